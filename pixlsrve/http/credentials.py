"""Who asks: the bearer token or the one-time ticket of a request, and what the store says of it."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from pixlsrve.errors import InvalidInput, NotAuthenticated, Unavailable
from pixlsrve.model import Principal

TICKET_LIFE_S = 30
TICKETS_MAX = 1_000
_TOKEN_MAX = 4_096


class Authenticator(Protocol):
    """Knows the credentials."""

    async def authenticate(self, token: str) -> Principal:
        """Whose access token this is, as the store knows them now. Raises NotAuthenticated, DeviceRevoked."""


class Tickets:
    """One-time tickets that stand in for an access token where no header can be sent; 30 s, kept hashed in memory.

    At most 1,000 are out at once; more are refused until some are used or over.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._out: dict[bytes, tuple[float, str]] = {}

    def issue(self, token: str) -> str:
        """A ticket for whoever holds `token`. Raises Unavailable when too many are out."""
        now = self._clock()
        self._out = {key: kept for key, kept in self._out.items() if kept[0] > now}
        if len(self._out) >= TICKETS_MAX:
            raise Unavailable("Too many tickets are out.", reason="too_many_tickets", retry_after_s=TICKET_LIFE_S)
        ticket = secrets.token_urlsafe(24)
        self._out[_digest(ticket)] = (now + TICKET_LIFE_S, token)
        return ticket

    def redeem(self, ticket: str) -> str:
        """The token behind `ticket`, which is used up by this. Raises NotAuthenticated."""
        ends_at, token = self._out.pop(_digest(ticket), (float("-inf"), ""))
        if ends_at <= self._clock():
            raise NotAuthenticated("The ticket is unknown, used or over; ask for another.")
        return token


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode("utf-8", "surrogateescape")).digest()


def bearer_token(request: web.Request) -> str | None:
    """The token in the Authorization header (RFC 6750 §2.1); None without one.

    Raises NotAuthenticated for another scheme or a damaged value, InvalidInput for two headers.
    """
    values = request.headers.getall("Authorization", None)
    if values is None:
        return None
    if len(values) > 1:
        raise InvalidInput("The request has more than one Authorization header.", reason="ambiguous_credential")
    scheme, _, token = values[0].partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token or len(token) > _TOKEN_MAX or " " in token:
        raise NotAuthenticated("The Authorization header must be `Bearer` and a token.")
    return token
