"""Logins that a browser has begun and not yet finished: one-time secrets, bound to that browser (THREATS T12)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

import msgspec

from pixlsrve.auth.social.provider import Attempt
from pixlsrve.errors import InvalidInput, Unavailable

LIFETIME_S = 600
MOST_BEGUN = 1_000
_RANDOM_BYTES = 32
_UNKNOWN = "This login was not begun in this browser, or too long ago; begin again."


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A login on its way. `browser` is the SHA-256 of the cookie that the browser got."""

    provider: str
    attempt: Attempt
    invite: str | None
    browser: bytes
    ends_s: float

    def __repr__(self) -> str:
        return "Begun(...)"


class Logins:
    """Keeps what was begun for ten minutes, in memory; at most 1,000 at once, more are refused until some are over."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._begun: dict[bytes, Begun] = {}

    def begin(self, provider: str, redirect_uri: str, invite: str | None) -> tuple[Attempt, str]:
        """The secrets of a new login, and the value of its browser's cookie. Raises Unavailable."""
        now_s = self._monotonic()
        self._begun = {key: kept for key, kept in self._begun.items() if kept.ends_s > now_s}
        if len(self._begun) >= MOST_BEGUN:
            raise Unavailable("Too many people sign in just now; try again in a moment.", retry_after_s=60)
        browser = secrets.token_urlsafe(_RANDOM_BYTES)
        attempt = Attempt(
            redirect_uri=redirect_uri,
            state=secrets.token_urlsafe(_RANDOM_BYTES),
            nonce=secrets.token_urlsafe(_RANDOM_BYTES),
            verifier=secrets.token_urlsafe(_RANDOM_BYTES),
        )
        self._begun[_digest(attempt.state)] = Begun(
            provider=provider,
            attempt=attempt,
            invite=invite,
            browser=_digest(browser),
            ends_s=now_s + LIFETIME_S,
        )
        return attempt, browser

    def take(self, provider: str, state: str, browser: str) -> Begun:
        """The login with this state, which is used up by this. Raises InvalidInput unless this browser began it."""
        begun = self._begun.pop(_digest(state), None)
        is_right = (
            begun is not None
            and begun.provider == provider
            and begun.ends_s > self._monotonic()
            and hmac.compare_digest(begun.browser, _digest(browser))
        )
        if begun is None or not is_right:
            raise InvalidInput(_UNKNOWN, reason="unknown_login")
        return begun


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
