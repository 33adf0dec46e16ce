"""Identity on a real state database, with a clock that tests move."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pixlsrve.auth.clock import Clock
from pixlsrve.auth.keys import SigningKey
from pixlsrve.auth.pairing import Applicant, Pairing
from pixlsrve.auth.refresh import TokenPair
from pixlsrve.auth.service import Identity, open_identity
from pixlsrve.config import WireguardConfig
from pixlsrve.events import Event, EventBus, EventType
from pixlsrve.model import Account, Device, Principal, Role, Subject, SubjectKind
from pixlsrve.store.database import Database
from pixlsrve.store.migrate import migrate
from pixlsrve.wg.keys import Seal, encode_key, make_pair
from pixlsrve.wg.peers import Peers

KEY = SigningKey("0123456789abcdef", bytes(range(32)))
HOST_ID = "6b1d2c9e-0000-4000-8000-000000000000"
SERVER = make_pair()
CHEAP = 4
"""bcrypt's lowest cost: tests are about what is decided, not about how long it takes."""
PASSWORD = "correct horse"


class FakeTime:
    """A wall clock and a monotonic one, moved by the test."""

    def __init__(self) -> None:
        self.wall_s = 1_800_000_000.0
        self.monotonic_s = 50.0

    def clock(self) -> Clock:
        return Clock(wall=lambda: self.wall_s, monotonic=self.monotonic)

    def monotonic(self) -> float:
        return self.monotonic_s

    def pass_s(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds


@dataclass(kw_only=True)
class Kit:
    """Identity and what it stands on."""

    state: Database
    identity: Identity
    peers: Peers
    bus: EventBus
    time: FakeTime
    windows: Pairing

    async def pair(
        self,
        name: str = "Anna's phone",
        *,
        public_key: str | None = None,
        role: Role = Role.MEMBER,
        account: Account | None = None,
    ) -> tuple[Device, TokenPair]:
        """A device that joined with a typed code."""
        offer = self.windows.open(role=role, account=account)
        applicant = Applicant(name=name, type="ios", public_key=public_key)
        paired = await self.windows.pair(applicant, offer.typed_code)
        return paired.device, paired.tokens

    async def add(self, name: str, role: Role = Role.MEMBER) -> Account:
        """An account with PASSWORD."""
        return await self.identity.accounts.add(name, PASSWORD, role=role)

    async def login(self, name: str, password: str = PASSWORD) -> TokenPair:
        """What /auth/login does."""
        account = await self.identity.accounts.check_password(name, password)
        return await self.identity.refresh.issue(
            Subject(SubjectKind.ACCOUNT, account.id), generation=account.generation
        )

    async def who(self, access_token: str) -> Principal:
        """Whose access token this is."""
        return await self.identity.authenticator.authenticate(access_token)

    def events(self, type_: EventType) -> list[Event]:
        """What was published of one kind."""
        return [event for event in self.bus.since(0) or [] if event.type is type_]


@contextlib.asynccontextmanager
async def open_kit(
    folder: Path,
    now: FakeTime | None = None,
    *,
    network: str = "10.100.0.0/24",
    durability: Literal["FULL", "OFF"] = "FULL",
) -> AsyncIterator[Kit]:
    """Identity over `folder`/state.db, made or opened again."""
    now = now or FakeTime()
    migrate(folder / "state.db", "state")
    async with Database.open(folder / "state.db", durability=durability, readers=1) as state:
        bus = EventBus()
        peers = Peers(state, WireguardConfig(network=network, endpoint="192.0.2.9"), SERVER, Seal(bytes(range(32))))
        await peers.fit()
        identity = await open_identity(
            state, key=KEY, host_id=HOST_ID, clock=now.clock(), tunnel=peers, bus=bus, password_cost=CHEAP
        )
        windows = Pairing(identity.devices, identity.directory, monotonic=now.monotonic)
        try:
            yield Kit(state=state, identity=identity, peers=peers, bus=bus, time=now, windows=windows)
        finally:
            identity.hasher.close()


def new_key() -> str:
    """A device's public key, base64."""
    return encode_key(make_pair().public)
