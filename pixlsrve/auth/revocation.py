"""Taking access away: recorded first, applied second (THREATS T7, T8)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

import structlog

from pixlsrve.auth.clock import Clock
from pixlsrve.auth.directory import Directory
from pixlsrve.auth.finish import finish
from pixlsrve.auth.refresh import RefreshTokens
from pixlsrve.auth.sessions import Sessions
from pixlsrve.errors import Conflict
from pixlsrve.events import EventBus, EventType
from pixlsrve.model import Device, Role, Subject, SubjectKind
from pixlsrve.store import accounts as account_rows
from pixlsrve.store import devices as device_rows
from pixlsrve.store import refresh as refresh_rows
from pixlsrve.store import sessions as session_rows
from pixlsrve.store.database import Database, Transaction

log = structlog.get_logger(__name__)

APPLIED_WITHIN_S = 1.0
Hook = Callable[[], Awaitable[None]]
"""Called when rights have changed or ended: closes websockets, cuts streams, removes peers."""
LAST_ADMIN = "This is the last administrator; make another one first."


class Tunnel(Protocol):
    """What identity asks of the tunnel's keys and addresses; each call is part of the caller's transaction."""

    async def provision(self, transaction: Transaction, device_id: int, public_key: str | None, at_us: int) -> None:
        """Give a new device its key and address. Raises InvalidInput, Conflict, Unavailable."""

    async def release(self, transaction: Transaction, device_id: int) -> None:
        """Free them."""


class Revocation:
    """Ends devices, accounts and credentials, and tells whoever holds something open for them."""

    def __init__(
        self,
        state: Database,
        directory: Directory,
        refresh: RefreshTokens,
        sessions: Sessions,
        tunnel: Tunnel,
        bus: EventBus,
        clock: Clock,
    ) -> None:
        self._state = state
        self._directory = directory
        self._refresh = refresh
        self._sessions = sessions
        self._tunnel = tunnel
        self._bus = bus
        self._clock = clock
        self._hooks: list[Hook] = []
        self._calls: set[asyncio.Future[None]] = set()

    def on_change(self, hook: Hook) -> None:
        """Have `hook` called whenever somebody's rights have changed, when that is durable and in force.

        What is open is to be checked anew, and closed where it is not allowed any more.
        """
        self._hooks.append(hook)

    async def revoke_device(self, device_id: int) -> Device:
        """Revoke a device: its tokens fail from the next request on. One that is revoked stays so. Raises NotFound."""
        return await finish(self._revoke_device(device_id))

    async def remove_account(self, account_id: int) -> None:
        """Remove an account and revoke its devices. Raises NotFound, and Conflict for the last admin."""
        await finish(self._remove_account(account_id))

    async def end_credentials(self, transaction: Transaction, subject: Subject) -> None:
        """Record that a subject's refresh tokens and sessions are over; `forget_credentials` once
        that is committed."""
        await refresh_rows.end_of_subject(transaction, subject, self._clock.now_us())
        await session_rows.delete_of_subject(transaction, subject)

    def forget_credentials(self, subjects: frozenset[Subject]) -> None:
        """What was recorded by `end_credentials` takes effect."""
        self._refresh.forget(subjects)
        self._sessions.forget(subjects)

    async def apply(self) -> None:
        """Have everybody check what they hold open; waits a second at most."""
        calls = [asyncio.ensure_future(hook()) for hook in self._hooks]
        if not calls:
            return
        self._calls.update(calls)
        for call in calls:
            call.add_done_callback(self._ended)
        _, late = await asyncio.wait(calls, timeout=APPLIED_WITHIN_S)
        if late:
            log.warning("some of what a revocation ends is still open", parts=len(late))

    def _ended(self, call: asyncio.Future[None]) -> None:
        """A part has done its share, perhaps after nobody waited any more."""
        self._calls.discard(call)
        if not call.cancelled() and (error := call.exception()) is not None:
            log.error("a part could not end what was revoked", exc_info=error)

    async def _revoke_device(self, device_id: int) -> Device:
        async with self._state.transaction() as transaction:
            known = self._directory.device_or_gone(device_id)
            if known.revoked_us is not None:
                return known
            await self._record_device(transaction, device_id)
            device = await device_rows.find(transaction, device_id) or known
        await self._take_effect([device], ())
        return device

    async def _remove_account(self, account_id: int) -> None:
        async with self._state.transaction() as transaction:
            account = self._directory.account(account_id)
            if account.role is Role.ADMIN and not await account_rows.count_admins(transaction, without=account_id):
                raise Conflict(LAST_ADMIN, reason="last_admin")
            numbers = await device_rows.find_live_of_account(transaction, account_id)
            for device_id in numbers:
                await self._record_device(transaction, device_id)
            await self._end_tokens(transaction, Subject(SubjectKind.ACCOUNT, account_id))
            await account_rows.mark_removed(transaction, account_id, self._clock.now_us())
            devices = [await device_rows.find(transaction, device_id) for device_id in numbers]
            removed = await account_rows.find(transaction, account_id)
        if removed is not None:
            self._directory.put_account(removed)
        await self._take_effect(filter(None, devices), {Subject(SubjectKind.ACCOUNT, account_id)})

    async def _record_device(self, transaction: Transaction, device_id: int) -> None:
        """Everything that a device held, ended in the database."""
        await device_rows.mark_revoked(transaction, device_id, self._clock.now_us())
        await self._end_tokens(transaction, Subject(SubjectKind.DEVICE, device_id))
        await self._tunnel.release(transaction, device_id)

    async def _end_tokens(self, transaction: Transaction, subject: Subject) -> None:
        """A browser's session stays until it expires, so that its page can be told why it sees nothing any more."""
        await refresh_rows.end_of_subject(transaction, subject, self._clock.now_us())

    async def _take_effect(self, devices: Iterable[Device], accounts: Iterable[Subject]) -> None:
        """After the commit: refuse from now on, then tell."""
        gone = list(devices)
        for device in gone:
            self._directory.put_device(device)
        subjects = frozenset({*(Subject(SubjectKind.DEVICE, device.id) for device in gone), *accounts})
        self._refresh.forget(subjects)
        for device in gone:
            owner = self._directory.owner(Subject(SubjectKind.DEVICE, device.id))
            audience = frozenset({device.uuid} | ({owner.uuid} if owner is not None else set()))
            data = {"device_id": device.uuid, "number": device.id, "name": device.name}
            self._bus.publish(EventType.DEVICE_REVOKED, data, audience=audience)
        await self.apply()
