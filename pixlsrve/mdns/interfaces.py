"""Which interfaces of this computer lie on a LAN, their addresses, and when these may have changed."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import re
import socket
import struct
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from pixlsrve.own_addresses import own_addresses

Address = IPv4Address | IPv6Address

_SIOCGIFFLAGS = 0xC0206911 if sys.platform == "darwin" else 0x8913
_UP, _LOOPBACK, _POINT_TO_POINT, _RUNNING = 0x1, 0x8, 0x10, 0x40
_MULTICAST = 0x8000 if sys.platform == "darwin" else 0x1000
_NAME_BYTES_MAX = 15
_IF_INET6 = Path("/proc/net/if_inet6")
_TEMPORARY, _DUPLICATE, _DEPRECATED, _TENTATIVE = 0x01, 0x08, 0x20, 0x40
_NOT_A_LAN = re.compile(r"docker\d+|br-[0-9a-f]{12}|veth[0-9a-f]{7,}|virbr\d+.*|vnet\d+|awdl\d+|llw\d+|utun\d+|anpi\d+")
"""Between this computer and its own containers, virtual machines and phones; nobody else is there."""
_NETLINK_GROUPS = 0x1 | 0x10 | 0x100
"""rtnetlink(7): RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR."""
SETTLE_S = 0.2
POLL_S = 5.0
"""How often to look where the system tells of changes, in case it doesn't."""
POLL_UNTOLD_S = 2.0
"""How often to look where it doesn't."""


@dataclass(frozen=True, kw_only=True)
class Interface:
    """An interface on a LAN, with addresses that others can use; link-local ones only where there are no others."""

    name: str
    index: int
    ipv4: tuple[IPv4Address, ...]
    ipv6: tuple[IPv6Address, ...]
    has_ipv6: bool
    """Whether it speaks IPv6 at all: it then has a link-local address."""
    is_settling: bool
    """Whether it has an IPv6 address that is still being tested for duplicates (RFC 4862 §5.4)."""

    @property
    def addresses(self) -> tuple[Address, ...]:
        """All of them."""
        return (*self.ipv4, *self.ipv6)


def lan_interfaces(
    excluded: Collection[str] = (), counts: Callable[[Address], bool] = lambda address: True
) -> tuple[Interface, ...]:
    """The interfaces that are up, connected, and on a LAN, in the system's order; not those named in `excluded`.

    `counts` says which addresses are of interest.
    """
    states = _ipv6_states()
    found = []
    with socket.socket(socket.AF_INET if _has_ipv4() else socket.AF_INET6, socket.SOCK_DGRAM) as asking:
        for name, (index, addresses) in _by_name().items():
            if name not in excluded and not _NOT_A_LAN.fullmatch(name) and _is_on_lan(asking, name):
                made = _interface(name, index, addresses, states, counts)
                if made.addresses:
                    found.append(made)
    return tuple(sorted(found, key=lambda interface: interface.index))


def _has_ipv4() -> bool:
    """Whether the system speaks IPv4 at all."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    except OSError:
        return False
    return True


def _by_name() -> dict[str, tuple[int, list[Address]]]:
    """Index and addresses of every interface."""
    found: dict[str, tuple[int, list[Address]]] = {}
    for own in own_addresses():
        _, addresses = found.setdefault(own.name, (own.number, []))
        addresses.append(own.at.ip)
    return found


def _is_on_lan(asking: socket.socket, name: str) -> bool:
    """Whether the interface is up, has a cable or a radio link, and can address many at once.

    Loopback and tunnels (point to point) can't, or nobody else is there.
    """
    request = struct.pack("16sH22x", name.encode()[:_NAME_BYTES_MAX], 0)
    try:
        answer = fcntl.ioctl(asking, _SIOCGIFFLAGS, request)
    except OSError:
        return False  # it has gone since
    (flags,) = struct.unpack_from("H", answer, 16)
    wanted = _UP | _RUNNING | _MULTICAST
    return flags & wanted == wanted and not flags & (_LOOPBACK | _POINT_TO_POINT)


def _interface(
    name: str,
    index: int,
    addresses: list[Address],
    states: dict[IPv6Address, int],
    counts: Callable[[Address], bool],
) -> Interface:
    """The interface with those of its addresses that others can use."""
    flags = {address: states.get(address, 0) if isinstance(address, IPv6Address) else 0 for address in addresses}
    works = [address for address, state in flags.items() if not state & (_DUPLICATE | _TENTATIVE)]
    lasting = [address for address in works if not flags[address] & (_TEMPORARY | _DEPRECATED) and counts(address)]
    shown = sorted([address for address in lasting if not address.is_link_local] or lasting, key=int)
    return Interface(
        name=name,
        index=index,
        ipv4=tuple(address for address in shown if isinstance(address, IPv4Address)),
        ipv6=tuple(address for address in shown if isinstance(address, IPv6Address)),
        has_ipv6=any(isinstance(address, IPv6Address) for address in works),
        is_settling=any(state & _TENTATIVE for state in flags.values()),
    )


def _ipv6_states() -> dict[IPv6Address, int]:
    """The flags of IPv6 addresses (IFA_F_... of rtnetlink(7)) where the system shows them: Linux."""
    try:
        lines = _IF_INET6.read_text("ascii").splitlines()
    except OSError:
        return {}
    fields = (line.split() for line in lines)
    return {IPv6Address(int(field[0], 16)): int(field[4], 16) for field in fields}


class AddressChanges:
    """Tells when addresses may have changed: `with AddressChanges() as changes: await changes.wait()`."""

    def __init__(self) -> None:
        self._told = asyncio.Event()
        self._socket: socket.socket | None = None

    def __enter__(self) -> AddressChanges:
        self._socket = _routing_socket()
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._drain, self._socket)
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def poke(self) -> None:
        """End the wait that is going on, or the next one."""
        self._told.set()

    async def wait(self) -> None:
        """Until something may have changed; also without news, after some seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S if self._socket is not None else POLL_UNTOLD_S):
                await self._told.wait()
        self._told.clear()

    async def wait_settled(self) -> None:
        """As `wait`, and a moment longer: addresses come in groups."""
        await self.wait()
        await asyncio.sleep(SETTLE_S)

    def _drain(self, bound: socket.socket) -> None:
        """Take what has come; that it came is all we want to know, and a full buffer (ENOBUFS) tells the same."""
        self._told.set()
        with contextlib.suppress(OSError):
            while bound.recv(65_536):
                pass


def _routing_socket() -> socket.socket | None:
    """A socket on which the system tells of its interfaces and addresses; None where there is none to be had."""
    for family, kind, protocol, address in _routing_families():
        made = None
        try:
            made = socket.socket(family, kind, protocol)
            made.setblocking(False)
            if address is not None:
                made.bind(address)
        except OSError:
            if made is not None:
                made.close()
            continue
        return made
    return None


def _routing_families() -> Iterator[tuple[int, int, int, tuple[int, int] | None]]:
    """rtnetlink(7) on Linux, route(4) on macOS."""
    if sys.platform == "linux":
        yield socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE, (0, _NETLINK_GROUPS)
    elif hasattr(socket, "AF_ROUTE"):
        yield socket.AF_ROUTE, socket.SOCK_RAW, 0, None
