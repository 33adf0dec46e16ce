"""Identity as one piece: everything that knows who may come in, built in the right order."""

from __future__ import annotations

from dataclasses import dataclass

from pixlsrve.auth import script_tokens
from pixlsrve.auth.accounts import Accounts
from pixlsrve.auth.clock import Clock
from pixlsrve.auth.devices import Devices
from pixlsrve.auth.directory import Directory
from pixlsrve.auth.keys import SigningKey
from pixlsrve.auth.pairing import Pairing
from pixlsrve.auth.passwords import COST, Hasher
from pixlsrve.auth.refresh import RefreshTokens, SubjectTokens
from pixlsrve.auth.revocation import Revocation, Tunnel
from pixlsrve.auth.script_tokens import ScriptTokens
from pixlsrve.auth.sessions import Sessions
from pixlsrve.auth.tokens import Authenticator
from pixlsrve.events import EventBus
from pixlsrve.model import SubjectKind
from pixlsrve.store.database import Database


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The parts; `devices` is a background service too."""

    host_id: str
    clock: Clock
    directory: Directory
    authenticator: Authenticator
    scripts: ScriptTokens
    refresh: RefreshTokens
    sessions: Sessions
    revocation: Revocation
    accounts: Accounts
    devices: Devices
    pairing: Pairing
    hasher: Hasher


async def open_identity(
    state: Database,
    *,
    key: SigningKey,
    host_id: str,
    clock: Clock,
    tunnel: Tunnel,
    bus: EventBus,
    password_cost: int = COST,
) -> Identity:
    """Identity over the state database, its rows read; whoever opens it closes `hasher` in the end."""
    directory = Directory(clock)
    await directory.load(state)
    scripts = ScriptTokens(state, clock)
    await scripts.load()
    device_tokens = SubjectTokens(SubjectKind.DEVICE, directory)
    account_tokens = SubjectTokens(SubjectKind.ACCOUNT, directory)
    authenticator = Authenticator(
        key,
        host_id,
        clock,
        {script_tokens.KIND: scripts, SubjectKind.DEVICE: device_tokens, SubjectKind.ACCOUNT: account_tokens},
    )
    refresh = RefreshTokens(state, directory, authenticator, bus, key=key, host_id=host_id, clock=clock)
    await refresh.load()
    device_tokens.attach(refresh)
    account_tokens.attach(refresh)
    sessions = Sessions(state, directory, clock)
    await sessions.load()
    revocation = Revocation(state, directory, refresh, sessions, tunnel, bus, clock)
    refresh.on_end(revocation.apply)
    sessions.on_end(revocation.apply)
    hasher = Hasher(password_cost)
    devices = Devices(state, directory, refresh, sessions, revocation, tunnel, bus, clock)
    return Identity(
        host_id=host_id,
        clock=clock,
        directory=directory,
        authenticator=authenticator,
        scripts=scripts,
        refresh=refresh,
        sessions=sessions,
        revocation=revocation,
        accounts=Accounts(state, directory, hasher, revocation, clock),
        devices=devices,
        pairing=Pairing(devices, directory),
        hasher=hasher,
    )
