"""What every way of asking a router for a port has in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from pixlsrve.wg.router.gateway import Address

ProtocolName = Literal["pcp", "natpmp", "upnp"]


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """A port of the router that leads to ours."""

    outer: Address | None
    """The address that the router has outside, as it says; None while it has none."""
    port: int
    lease_s: int
    """How long the router keeps it without being asked again; 0 for as long as it likes."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked for: a UDP port of the router that leads to `port` here."""

    port: int
    outer_ports: tuple[int, ...]
    """Ports of the router to be tried in this order; the later ones where another host has the first."""
    lease_s: int
    nonce: bytes = field(repr=False)
    """12 bytes that stay the same over restarts: who knows them may change the mapping (RFC 6887 §11.2)."""


class NoAnswer(Exception):
    """The router does not know this protocol, or says nothing that makes sense."""


class Refusal(Exception):
    """The router knows the protocol and says no; the text is for the log."""


class Mapper(Protocol):
    """One protocol, spoken with one router. Every call raises NoAnswer or Refusal, in bounded time."""

    name: ProtocolName

    async def make(self) -> Mapping:
        """Have the port mapped, whether or not it was before."""

    async def keep(self, mapping: Mapping) -> Mapping:
        """See that it is still there, renewing what is due or putting back what was lost."""

    async def outer(self) -> Address | None:
        """The router's address outside, for one that refuses; None when it names none."""

    async def end(self, mapping: Mapping) -> None:
        """Take it back."""
