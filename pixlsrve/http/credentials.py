"""Who asks: the bearer token, session cookie or one-time ticket of a request, and what the store says of it."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from aiohttp import web

from pixlsrve.errors import InvalidInput, NotAuthenticated, Unavailable
from pixlsrve.http import cookies, keys
from pixlsrve.http.origins import Origins
from pixlsrve.model import Principal

TICKET_LIFE_S = 30
TICKETS_MAX = 1_000
_TOKEN_MAX = 4_096


class Authenticator(Protocol):
    """Knows the credentials."""

    async def authenticate(self, token: str) -> Principal:
        """Whose access token this is, as the store knows them now. Raises NotAuthenticated, DeviceRevoked."""


class Sessions(Protocol):
    """Knows the browsers that are signed in."""

    def find(self, value: str) -> Principal:
        """Who holds the session cookie with this value, now. Raises NotAuthenticated, DeviceRevoked."""


class Credential(NamedTuple):
    """What proves who asks: an access token, or a session cookie's value."""

    value: str
    is_session: bool = False

    def __repr__(self) -> str:
        return "Credential(...)"


class Callers:
    """Finds out who sent a request, as the store knows them at that moment."""

    def __init__(self, authenticator: Authenticator, sessions: Sessions | None, origins: Origins) -> None:
        self._authenticator = authenticator
        self._sessions = sessions
        self._origins = origins

    async def identify(self, request: web.Request) -> Principal:
        """The sender. Raises NotAuthenticated, DeviceRevoked, and NotPermitted where a foreign page uses a cookie."""
        # As `credential` and `resolve`, without their detours: every request comes through here.
        token = bearer_token(request)
        if token is not None:
            return await self._authenticator.authenticate(token)
        return await self.resolve(self.credential(request))

    def credential(self, request: web.Request) -> Credential:
        """What the request proves its sender with; a token goes before a cookie. Raises like `identify`."""
        token = bearer_token(request)
        if token is not None:
            return Credential(token)
        value = None
        if self._sessions is not None and "Cookie" in request.headers:
            value = cookies.session_value(request, is_secure=self._origins.is_secure(request))
        if value is None:
            raise _no_token()
        self._origins.check_cookie_use(request)
        return Credential(value, is_session=True)

    async def resolve(self, credential: Credential) -> Principal:
        """Whose credential this is now. Raises NotAuthenticated, DeviceRevoked."""
        if not credential.is_session:
            return await self._authenticator.authenticate(credential.value)
        if self._sessions is None:
            raise NotAuthenticated("Nobody signs in here with a browser.")
        return self._sessions.find(credential.value)

    async def identify_again(self, request: web.Request) -> Principal:
        """The sender of a request that is being answered, as things are by now. Raises NotAuthenticated."""
        credential = request.get(keys.CREDENTIAL)
        return await (self.identify(request) if credential is None else self.resolve(credential))


class Tickets:
    """One-time tickets that stand in for a credential where no header can be sent; 30 s, kept hashed in memory.

    At most 1,000 are out at once; more are refused until some are used or over.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._out: dict[bytes, tuple[float, Credential]] = {}

    def issue(self, credential: Credential) -> str:
        """A ticket for whoever holds `credential`. Raises Unavailable when too many are out."""
        now = self._clock()
        self._out = {key: kept for key, kept in self._out.items() if kept[0] > now}
        if len(self._out) >= TICKETS_MAX:
            raise Unavailable("Too many tickets are out.", reason="too_many_tickets", retry_after_s=TICKET_LIFE_S)
        ticket = secrets.token_urlsafe(24)
        self._out[_digest(ticket)] = (now + TICKET_LIFE_S, credential)
        return ticket

    def redeem(self, ticket: str) -> Credential:
        """The credential behind `ticket`, which is used up by this. Raises NotAuthenticated."""
        ends_at, credential = self._out.pop(_digest(ticket), (float("-inf"), Credential("")))
        if ends_at <= self._clock():
            raise NotAuthenticated("The ticket is unknown, used or over; ask for another.")
        return credential


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode("utf-8", "surrogateescape")).digest()


def bearer_token(request: web.Request) -> str | None:
    """The token in the Authorization header (RFC 6750 §2.1); None without one.

    Raises NotAuthenticated for another scheme, a damaged value and an empty one, InvalidInput for two headers.
    """
    values = request.headers.getall("Authorization", None)
    if values is None:
        return None
    if len(values) > 1:
        raise InvalidInput("The request has more than one Authorization header.", reason="ambiguous_credential")
    scheme, _, token = values[0].partition(" ")
    token = token.strip(" ")
    if not token and scheme.lower() in {"bearer", ""}:
        raise _no_token()
    if scheme.lower() != "bearer" or not token or len(token) > _TOKEN_MAX or " " in token:
        raise NotAuthenticated("The Authorization header must be `Bearer` and a token.")
    return token


def _no_token() -> NotAuthenticated:
    return NotAuthenticated("This needs a token: send `Authorization: Bearer TOKEN`.", reason="no_token")
