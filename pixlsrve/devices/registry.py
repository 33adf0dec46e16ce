"""Where the devices' mini-servers are, as they or an admin registered them, and how their syncs went."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re

import msgspec

from pixlsrve.auth.clock import Clock
from pixlsrve.auth.devices import LONGEST_NAME, clean_text
from pixlsrve.auth.directory import Directory
from pixlsrve.auth.finish import finish
from pixlsrve.auth.keys import SigningKey
from pixlsrve.devices.addresses import Reachable, parse
from pixlsrve.devices.outcomes import Outcome
from pixlsrve.errors import InvalidInput
from pixlsrve.model import Device
from pixlsrve.store import device_sync as rows
from pixlsrve.store.database import Database
from pixlsrve.store.device_sync import AgentRow, FailureRow, SyncRow

_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)
"""A host name as resolvers take it (RFC 1123 §2.1, and the underscore that homes use)."""
FOREIGN_TYPE = "mini-server"


class Registry:
    """Knows the mini-servers and the outcomes; both are in memory, and durable before they are told."""

    def __init__(
        self, state: Database, directory: Directory, clock: Clock, key: SigningKey, reachable: Reachable
    ) -> None:
        self._state = state
        self._directory = directory
        self._clock = clock
        self._key = hmac.digest(key.secret, b"pixlsrve mini-servers", hashlib.sha256)
        self.reachable = reachable
        self._agents: dict[int, AgentRow] = {}
        self._syncs: dict[int, SyncRow] = {}
        self._moved: dict[int, asyncio.Event] = {}

    async def load(self) -> None:
        """Read the rows."""
        self._agents = {row.device_id: row for row in await rows.find_agents(self._state)}
        self._syncs = {row.device_id: row for row in await rows.find_syncs(self._state)}

    def agent(self, device_id: int) -> AgentRow | None:
        """Where the device's mini-server is, if it is registered."""
        return self._agents.get(device_id)

    def sync(self, device_id: int) -> SyncRow | None:
        """How the device's last sync went, if there was one."""
        return self._syncs.get(device_id)

    def is_gone(self, device: Device) -> bool:
        """Whether the device was revoked."""
        return self._directory.device_or_gone(device.id).revoked_us is not None

    def moved(self, device_id: int) -> asyncio.Event:
        """Set when the device registers another address or port than it has now."""
        return self._moved.setdefault(device_id, asyncio.Event())

    def credential(self, device: Device) -> str:
        """What the host shows to this device's mini-server: always the same, made from the host's key, not stored."""
        digest = hmac.digest(self._key, device.uuid.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    async def register(self, device: Device, *, address: str | None, port: int, caller: str) -> AgentRow:
        """This is where the device's mini-server is now; without `address`, where the call came from.

        Raises InvalidInput for an address that the host would never call.
        """
        is_local = self.reachable.is_local(caller)
        agent = AgentRow(
            device_id=device.id,
            address=self._checked(address if address is not None else caller, port, is_local=is_local),
            port=port,
            is_local=is_local,
            registered_us=self._clock.now_us(),
        )
        return await finish(self._save(agent))

    async def add_foreign(self, name: str, *, address: str, port: int) -> Device:
        """A mini-server that can't register itself, as a device of the household without tokens. Raises InvalidInput.

        An admin says so at the host, and may name an address of the host itself.
        """
        name = clean_text(name, "device_name", LONGEST_NAME)
        checked = self._checked(address, port, is_local=True)
        return await finish(self._add_foreign(name, checked, port))

    async def note(self, device: Device, outcome: Outcome, started_us: int) -> SyncRow:
        """A sync that began at `started_us` has ended so; a failure keeps the time of the last success."""
        before = self._syncs.get(device.id)
        kept_us = None if before is None else before.synced_us
        row = SyncRow(
            device_id=device.id,
            synced_us=self._clock.now_us() if outcome is Outcome.SUCCESS else kept_us,
            attempted_us=started_us,
            code=outcome.code,
            message=outcome.message,
        )
        if row.synced_us is not None and outcome is Outcome.SUCCESS:
            row = msgspec.structs.replace(row, attempted_us=row.synced_us)
        async with self._state.transaction() as transaction:
            await rows.save_sync(transaction, row)
        self._syncs[device.id] = row
        return row

    async def failures(self, devices: list[int], *, page: int, limit: int) -> tuple[int, list[FailureRow]]:
        """How many failed syncs of these devices are remembered, and a page of them, the newest first."""
        return await rows.find_failures(self._state, devices, limit=limit, offset=(page - 1) * limit)

    async def _save(self, agent: AgentRow) -> AgentRow:
        async with self._state.transaction() as transaction:
            self._directory.device(agent.device_id)
            await rows.save_agent(transaction, agent)
        self._place(agent)
        return agent

    async def _add_foreign(self, name: str, address: str, port: int) -> Device:
        now_us = self._clock.now_us()
        async with self._state.transaction() as transaction:
            device = await self._directory.add_bare(transaction, name=name, type_=FOREIGN_TYPE, at_us=now_us)
            agent = AgentRow(
                device_id=device.id, address=address, port=port, is_local=True, is_foreign=True, registered_us=now_us
            )
            await rows.save_agent(transaction, agent)
        self._directory.put_device(device)
        self._place(agent)
        return device

    def _place(self, agent: AgentRow) -> None:
        before = self._agents.get(agent.device_id)
        self._agents[agent.device_id] = agent
        if before is not None and (before.address, before.port) != (agent.address, agent.port):
            self._moved.pop(agent.device_id, asyncio.Event()).set()

    def _checked(self, text: str, port: int, *, is_local: bool) -> str:
        """An address that may be called, or a name. Raises InvalidInput."""
        address = parse(text.strip("[]"))
        if address is not None:
            if self.reachable.may_call(str(address), port, is_local=is_local):
                return str(address)
            raise InvalidInput(
                "That address can't be a device's: it must be on this network, and loopback only from the host itself.",
                reason="address_refused",
                parameter="address",
            )
        # What ends in a number, decimal or hexadecimal, is an address to some resolvers.
        if not _NAME.fullmatch(text) or not text.rstrip(".").rpartition(".")[2][0].isalpha():
            raise InvalidInput(
                "The field address must be an IP address or a host name.", reason="invalid_field", parameter="address"
            )
        return text.lower()
