"""What the tunnel asks of a WireGuard interface, whoever drives it."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Protocol

import msgspec

from pixlsrve.errors import PixlsrveError

CONNECTED_S = 180
Why = tuple[str, str]
"""Why something can't be, and which command mends it."""


class TunnelUnavailable(PixlsrveError):
    """There can be no tunnel just now: `message` says why, `remedy` which command mends it."""

    reason = "no_tunnel"

    def __init__(self, message: str, remedy: str = "", *, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.remedy = remedy

    @property
    def text(self) -> str:
        """Both, for a person."""
        return f"{self.message} {self.remedy}".strip()


class InterfaceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The host's end of the tunnel."""

    name: str
    """Of the network interface; macOS gives its own (`utunN`)."""
    private_key: bytes
    """32 bytes."""
    port: int
    """UDP; 0 lets the system choose."""
    address: ipaddress.IPv4Interface
    """The host's address in the tunnel, with the network's prefix."""

    def __repr__(self) -> str:
        return f"InterfaceSettings(name={self.name!r}, port={self.port}, address={self.address})"


class DesiredPeer(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One peer that may use the tunnel."""

    public_key: bytes
    """32 bytes."""
    address: ipaddress.IPv4Address
    """Its only allowed IP, as a /32 (THREATS T35)."""


class PeerState(msgspec.Struct, frozen=True, kw_only=True):
    """One peer as the interface has it."""

    public_key: bytes
    allowed_ips: tuple[str, ...]
    """Networks in their canonical text."""
    endpoint: str | None = None
    """HOST:PORT where it was last heard; None when never."""
    last_handshake_s: int | None = None
    """Seconds since the epoch; None when there was none since the interface came up."""
    received_bytes: int = 0
    sent_bytes: int = 0

    def is_connected(self, now_s: float) -> bool:
        """Whether the peer is there: its keys are used for 180 s at most (WireGuard paper, 6.1)."""
        return self.last_handshake_s is not None and now_s - self.last_handshake_s < CONNECTED_S


class Backend(Protocol):
    """Drives one interface. Every call raises TunnelUnavailable when it can't be done, and may be made again."""

    name: str
    """`kernel` or `userspace`."""

    @property
    def interface(self) -> str:
        """The network interface's real name, once `ensure` has made it."""

    async def ensure(self, settings: InterfaceSettings) -> None:
        """Have the interface up with this key, port and address, over whatever was left; peers stay."""

    async def apply(self, *, put: Collection[DesiredPeer], remove: Collection[bytes]) -> None:
        """Add or correct peers, then drop those with the keys in `remove`."""

    async def peers(self) -> list[PeerState]:
        """Every peer that the interface has just now."""

    async def listening_port(self) -> int:
        """The UDP port that it listens on just now."""

    async def lost(self) -> None:
        """Wait until the interface, or who drives it, has gone by itself."""

    async def tear_down(self) -> None:
        """Remove the interface; fine when there is none. Never raises TunnelUnavailable."""


def port_taken(port: int) -> TunnelUnavailable:
    """The error for a UDP port that can't be had."""
    return TunnelUnavailable(
        f"The UDP port {port} is taken by another program.",
        "`ss -lunp` shows which one: end it, or set wireguard.port to another port.",
        reason="port_taken",
    )
