"""Which addresses of devices the host may call (THREATS T24)."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterable

from pixlsrve.own_addresses import own_addresses

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

_BELIEVED_S = 10.0
_PRIVATE = tuple(ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
"""RFC 1918 and RFC 4193."""


def parse(text: str) -> Address | None:
    """An address; an IPv4-mapped one as IPv4. None for what is none, or has a zone."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return None
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
    return address


def own_interfaces() -> list[Interface]:
    """The addresses of this host with their networks."""
    return [own.at for own in own_addresses()]


class Reachable:
    """Knows the LAN as this host's interfaces show it. `own_ports` are those that the host itself listens on."""

    def __init__(
        self,
        *,
        interfaces: Callable[[], Iterable[Interface]] = own_interfaces,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = interfaces
        self._clock = clock
        self._read_at = float("-inf")
        self._known: tuple[Interface, ...] = ()
        self.own_ports: frozenset[int] = frozenset()

    def may_call(self, text: str, port: int, *, is_local: bool) -> bool:
        """Whether the host may call this IP address; its own and loopback only where `is_local`."""
        address = parse(text)
        if address is None or address.is_multicast or address.is_link_local or address.is_unspecified:
            return False
        if address.is_loopback or self.is_own(address):
            return is_local and port not in self.own_ports
        if address == ipaddress.IPv4Address("255.255.255.255"):
            return False
        return any(address in network for network in _PRIVATE) or any(
            address in interface.network for interface in self._interfaces() if not interface.is_loopback
        )

    def is_local(self, text: str) -> bool:
        """Whether a caller with this address is a program on this host."""
        address = parse(text)
        return address is not None and (address.is_loopback or self.is_own(address))

    def is_own(self, address: Address) -> bool:
        """Whether the address is one of this host's."""
        return any(address == interface.ip for interface in self._interfaces())

    def _interfaces(self) -> tuple[Interface, ...]:
        now = self._clock()
        if now - self._read_at > _BELIEVED_S:
            self._known, self._read_at = tuple(self._read()), now
        return self._known
