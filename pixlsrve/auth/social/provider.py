"""What a login provider does for us, whatever it speaks."""

from __future__ import annotations

from typing import Protocol

import msgspec

from pixlsrve.errors import NotAuthenticated

REFUSED = "The login provider's answer can't be trusted; begin again."


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a provider has just vouched for. `issuer` and `subject` together are the person's lasting key."""

    issuer: str
    subject: str
    email: str | None = None
    """Only where the provider says that it has verified it."""
    name: str | None = None
    """As the person calls themself; for a first user name."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets of one browser's login: RFC 6749 §10.12, RFC 7636, OpenID Connect Core §3.1.2.1."""

    redirect_uri: str
    state: str
    nonce: str
    verifier: str

    def __repr__(self) -> str:
        return "Attempt(...)"


class Provider(Protocol):
    """One configured login provider. Raises Unavailable when it can't be reached."""

    async def authorization_url(self, attempt: Attempt) -> str:
        """Where to send the browser."""

    async def redeem(self, attempt: Attempt, code: str, issuer: str | None) -> Person:
        """Whom the code stands for that the browser brought back. Raises NotAuthenticated.

        `issuer` is the `iss` that came beside it (RFC 9207), None where none did.
        """

    async def recognise(self, *, id_token: str | None, access_token: str | None, nonce: str | None) -> Person:
        """Whom a native app's token stands for. Raises NotAuthenticated, and InvalidInput for the wrong kind of it."""


def refusal() -> NotAuthenticated:
    """A token or code that is not what it claims; says nothing about which check failed."""
    return NotAuthenticated(REFUSED, reason="invalid_social_token")
