"""Which router is the LAN's way out, and which address of ours it sees. Nothing is sent."""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

Address = IPv4Address | IPv6Address

_ROUTES_V4, _ROUTES_V6 = Path("/proc/net/route"), Path("/proc/net/ipv6_route")
_VIA_ROUTER, _REJECT = 0x2, 0x200
_DISCARD_PORT = 9
_MACOS = ("/sbin/route", "-n", "get", "default")
_MACOS_LIMIT_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """The default router. `interface` is the one that leads to it."""

    router: Address
    own: Address
    """Our address towards it."""
    interface: str

    def socket_address(self, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
        """Where a port of the router is, for a socket."""
        if self.router.version == 4:
            return str(self.router), port
        index = socket.if_nametoindex(self.interface) if self.router.is_link_local else 0
        return str(self.router), port, 0, index


def find_gateway() -> Gateway | None:
    """The default router on the LAN, IPv4's before IPv6's; None where there is none that could be asked. May block.

    A router with a public address is the provider's: nobody there opens ports.
    """
    for router, interface in _routers():
        if not (router.is_private or router.is_link_local or router.version == 6):
            continue
        own = _own_address(router, interface)
        if own is not None:
            return Gateway(router=router, own=own, interface=interface)
    return None


def global_ipv6() -> IPv6Address | None:
    """An address of ours by which the IPv6 internet could reach us, if routers let it."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probing:
            probing.connect(("2001:db8::1", _DISCARD_PORT))  # RFC 3849: nobody's; nothing is sent
            address = IPv6Address(probing.getsockname()[0].partition("%")[0])
    except OSError:
        return None
    return address if address.is_global else None


def parse_routes_v4(text: str) -> list[tuple[Address, str]]:
    """The default routers in /proc/net/route (proc_net(5)), those with the lowest metric first."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        flags = int(fields[3], 16)
        if fields[1] == fields[7] == "00000000" and flags & _VIA_ROUTER and not flags & _REJECT:
            router = IPv4Address(struct.pack("=I", int(fields[2], 16)))
            found.append((int(fields[6]), router, fields[0]))
    return [(router, name) for _, router, name in sorted(found)]


def parse_routes_v6(text: str) -> list[tuple[Address, str]]:
    """The default routers in /proc/net/ipv6_route, those with the lowest metric first."""
    found = []
    for line in text.splitlines():
        target, prefix, _, _, router, metric, _, _, flags, name = line.split()
        is_default = int(target, 16) == 0 and prefix == "00"
        if is_default and int(flags, 16) & _VIA_ROUTER and not int(flags, 16) & _REJECT:
            found.append((int(metric, 16), IPv6Address(int(router, 16)), name))
    return [(router, name) for _, router, name in sorted(found)]


def parse_route_macos(text: str) -> list[tuple[Address, str]]:
    """The default router in the output of route(8)'s `get default`."""
    router = re.search(r"^\s*gateway: (\S+)$", text, re.M)
    interface = re.search(r"^\s*interface: (\S+)$", text, re.M)
    if router is None or interface is None:
        return []
    try:
        return [(ipaddress.ip_address(router[1].partition("%")[0]), interface[1])]
    except ValueError:
        return []  # `link#5`: no router, but an interface


def _routers() -> Iterator[tuple[Address, str]]:
    if sys.platform == "darwin":
        yield from _macos_routers("-inet")
        yield from _macos_routers("-inet6")
        return
    for path, parse in ((_ROUTES_V4, parse_routes_v4), (_ROUTES_V6, parse_routes_v6)):
        try:
            text = path.read_text("ascii")
        except OSError:
            continue
        yield from parse(text)


def _macos_routers(family: str) -> list[tuple[Address, str]]:
    try:
        done = subprocess.run(  # noqa: S603  # a fixed program with fixed words
            [*_MACOS[:-1], family, _MACOS[-1]],
            capture_output=True,
            text=True,
            timeout=_MACOS_LIMIT_S,
            env={},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return parse_route_macos(done.stdout)


def _own_address(router: Address, interface: str) -> Address | None:
    """Our address towards the router: for IPv6 the global one, which is what has to be let in."""
    if router.version == 6:
        return global_ipv6()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probing:
            probing.connect((str(router), _DISCARD_PORT))
            return IPv4Address(probing.getsockname()[0])
    except OSError:
        return None
