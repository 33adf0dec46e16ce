"""Browsers that are signed in: what a cookie's value stands for. Cookies themselves are the doors' affair."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable

import msgspec

from pixlsrve.auth.clock import Clock
from pixlsrve.auth.directory import Directory
from pixlsrve.auth.finish import finish
from pixlsrve.errors import NotAuthenticated
from pixlsrve.model import Principal, Subject
from pixlsrve.store import sessions as rows
from pixlsrve.store.database import Database
from pixlsrve.store.sessions import Session

LIFETIME_S = 30 * 86_400
"""From last use (DESIGN section 9)."""
MOST_SESSIONS = 50
"""Of one account or device; the oldest ends when one more begins."""
_NOTED_EVERY_US = 600 * 1_000_000
_US = 1_000_000


class Sessions:
    """Begins sessions, finds who they belong to, ends them. Values are 256 random bits, kept as SHA-256 only."""

    def __init__(self, state: Database, directory: Directory, clock: Clock) -> None:
        self._state = state
        self._directory = directory
        self._clock = clock
        self._live: dict[bytes, Session] = {}
        self._used: set[bytes] = set()
        self._after_end: Callable[[], Awaitable[None]] | None = None

    def on_end(self, hook: Callable[[], Awaitable[None]]) -> None:
        """Have `hook` called when a browser has signed out: what it holds open is over."""
        self._after_end = hook

    async def load(self) -> None:
        """Read the rows. Nothing is written, so that a full disk does not keep the daemon from starting."""
        self._live = {session.digest: session for session in await rows.find_all(self._state)}

    async def create(self, subject: Subject, *, generation: int | None = None) -> str:
        """The cookie value of a new session, which is durable by then.

        `generation` is the account's when its password was checked; a password or role that was changed since makes
        the check void. Raises DeviceRevoked, NotAuthenticated.
        """
        return await finish(self._create(subject, generation))

    def find(self, value: str) -> Principal:
        """Who holds the cookie with this value, now. Raises NotAuthenticated, DeviceRevoked.

        Each use prolongs the session to 30 days from then.
        """
        digest = _digest(value)
        session, now_us = self._live.get(digest), self._clock.now_us()
        if session is None or session.expires_us <= now_us:
            raise NotAuthenticated("You are not signed in any more; sign in again.")
        principal = self._directory.principal(session.subject)
        if now_us - session.used_us > _NOTED_EVERY_US:
            self._live[digest] = msgspec.structs.replace(session, used_us=now_us, expires_us=now_us + LIFETIME_S * _US)
            self._used.add(digest)
        return principal

    async def end(self, value: str) -> None:
        """Sign a browser out; an unknown value is no error."""
        await finish(self._end(_digest(value)))

    def forget(self, subjects: frozenset[Subject]) -> None:
        """The sessions of these have been deleted in the database."""
        self._live = {key: session for key, session in self._live.items() if session.subject not in subjects}

    def take_used(self) -> list[Session]:
        """The sessions whose latest use is to be stored."""
        used, self._used = self._used, set()
        return [self._live[digest] for digest in used if digest in self._live]

    async def _create(self, subject: Subject, generation: int | None) -> str:
        value = secrets.token_urlsafe(32)
        now_us = self._clock.now_us()
        session = Session(
            digest=_digest(value),
            subject=subject,
            created_us=now_us,
            used_us=now_us,
            expires_us=now_us + LIFETIME_S * _US,
        )
        async with self._state.transaction() as transaction:
            self._directory.check_current(subject, generation)
            await rows.delete_expired(transaction, now_us)
            surplus = self._surplus(subject)
            for digest in surplus:
                await rows.delete(transaction, digest)
            await rows.insert(transaction, session)
        for digest in surplus:
            self._live.pop(digest, None)
        self._live = {key: kept for key, kept in self._live.items() if kept.expires_us > now_us}
        self._live[session.digest] = session
        return value

    async def _end(self, digest: bytes) -> None:
        async with self._state.transaction() as transaction:
            await rows.delete(transaction, digest)
        if self._live.pop(digest, None) is not None and self._after_end is not None:
            await self._after_end()

    def _surplus(self, subject: Subject) -> list[bytes]:
        """The oldest sessions of a subject, which make room for one more."""
        own = [digest for digest, session in self._live.items() if session.subject == subject]
        return own[: max(0, len(own) - MOST_SESSIONS + 1)]


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()
