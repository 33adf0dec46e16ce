"""Port Control Protocol and its forerunner NAT-PMP: their messages, and asking the router by them.

RFC 6887 (PCP, version 2) and RFC 6886 (NAT-PMP, version 0); both on UDP port 5351 of the router.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from typing import TypeVar

from pixlsrve.wg.router.gateway import Address, Gateway
from pixlsrve.wg.router.protocol import Mapping, NoAnswer, ProtocolName, Refusal, Wish

T = TypeVar("T")

PORT = 5351
TRIES_S = (0.25, 0.5, 1.0, 2.0)
"""How long each try waits (RFC 6886 §3.1 begins with 250 ms and doubles)."""
_UDP = 17
_PCP, _NATPMP = 2, 0
_MAP, _ANSWER = 1, 0x80
_MOST_BYTES = 1_100
_PCP_HEADER = struct.Struct("!BBxBII12x")
_PCP_MAP = struct.Struct("!12sB3xHH16s")
_NATPMP_ADDRESS = struct.Struct("!BBHI4s")
_NATPMP_MAP = struct.Struct("!BBHIHHI")
_PCP_RESULTS = {
    1: "it does not speak this version",
    2: "it does not allow it",
    3: "it found the request malformed",
    4: "it does not know the request",
    7: "it has no network itself",
    8: "it has no room for another one",
    9: "it does not know the protocol",
    10: "it is busy with another",
    11: "it can't give an outer port",
    12: "there is another router in between",
    13: "this computer may not have more",
}
_NATPMP_RESULTS = {2: "it does not allow it", 3: "it has no network itself", 4: "it has no room for another one"}
_UNSUPPORTED_VERSION = 1


class Unsupported(NoAnswer):
    """The router answers, in another version."""


def pcp_request(own: Address, wish: Wish, *, outer_port: int, lease_s: int) -> bytes:
    """A MAP request (RFC 6887 §7.1, §11.1); `lease_s` 0 takes the mapping back."""
    header = struct.pack("!BBHI16s", _PCP, _MAP, 0, lease_s, _sixteen(own))
    anywhere = _sixteen(IPv4Address(0)) if own.version == 4 else bytes(16)
    return header + _PCP_MAP.pack(wish.nonce, _UDP, wish.port, outer_port, anywhere)


def parse_pcp(data: bytes, wish: Wish) -> Mapping | None:
    """The mapping that an answer tells of; None for what is no answer to us (RFC 6887 §8.3, §11.4).

    Raises Refusal and Unsupported.
    """
    if len(data) < 4 or not data[1] & _ANSWER:
        return None
    if data[0] != _PCP:
        raise Unsupported("it speaks another version")
    if len(data) < _PCP_HEADER.size:
        return None
    _, code, result, lease_s, _ = _PCP_HEADER.unpack_from(data)
    if result == _UNSUPPORTED_VERSION:
        raise Unsupported(_PCP_RESULTS[result])
    if code != _ANSWER | _MAP or len(data) < _PCP_HEADER.size + _PCP_MAP.size:
        return None
    nonce, protocol, port, outer_port, outer = _PCP_MAP.unpack_from(data, _PCP_HEADER.size)
    if nonce != wish.nonce or protocol != _UDP or port != wish.port:
        return None
    if result:
        raise Refusal(_PCP_RESULTS.get(result, f"it answered code {result}"))
    address = IPv6Address(outer)
    known = address.ipv4_mapped or address
    return Mapping(outer=None if known.is_unspecified else known, port=outer_port, lease_s=lease_s)


def natpmp_request(wish: Wish, *, outer_port: int, lease_s: int) -> bytes:
    """A request to map UDP (RFC 6886 §3.3); both 0 to take the mapping back (§3.4)."""
    return struct.pack("!BBHHHI", _NATPMP, _MAP, 0, wish.port, outer_port, lease_s)


def parse_natpmp_map(data: bytes, wish: Wish) -> tuple[int, int] | None:
    """Outer port and lease in seconds; None for what is no answer to us. Raises Refusal."""
    _check_natpmp(data, _MAP)
    if len(data) < _NATPMP_MAP.size or data[1] != _ANSWER | _MAP:
        return None
    _, _, _, _, port, outer_port, lease_s = _NATPMP_MAP.unpack_from(data)
    return (outer_port, lease_s) if port == wish.port else None


def parse_natpmp_address(data: bytes) -> IPv4Address | None:
    """The router's outer address; None for what is no answer to us. Raises Refusal."""
    _check_natpmp(data, 0)
    if len(data) < _NATPMP_ADDRESS.size or data[1] != _ANSWER:
        return None
    return IPv4Address(_NATPMP_ADDRESS.unpack_from(data)[4])


def _check_natpmp(data: bytes, operation: int) -> None:
    """Raises Refusal when the answer to `operation` is one, Unsupported for another version."""
    if len(data) < 4 or data[1] != _ANSWER | operation:
        return
    (result,) = struct.unpack_from("!H", data, 2)
    if data[0] != _NATPMP or result in (_UNSUPPORTED_VERSION, 5):
        raise Unsupported("it speaks another version")
    if result:
        raise Refusal(_NATPMP_RESULTS.get(result, f"it answered code {result}"))


def _sixteen(address: Address) -> bytes:
    """An address as PCP writes it (RFC 6887 §5)."""
    return address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed


class Pcp:
    """Asks a router by PCP."""

    name: ProtocolName = "pcp"

    def __init__(self, gateway: Gateway, wish: Wish) -> None:
        self._gateway = gateway
        self._wish = wish

    async def make(self) -> Mapping:
        """The mapping; the router chooses another port where the wanted one is taken."""
        return await self._ask(self._wish.outer_ports[0], self._wish.lease_s)

    async def keep(self, mapping: Mapping) -> Mapping:
        """Asking again renews, and puts back what a restarted router has forgotten."""
        return await self._ask(mapping.port, self._wish.lease_s)

    async def outer(self) -> Address | None:
        """Only a mapping tells it (RFC 6887 §11.4)."""
        raise NoAnswer("PCP has no such question")

    async def end(self, mapping: Mapping) -> None:
        """A lease of 0 takes it back (RFC 6887 §15.1)."""
        await self._ask(mapping.port, 0)

    async def _ask(self, outer_port: int, lease_s: int) -> Mapping:
        request = pcp_request(self._gateway.own, self._wish, outer_port=outer_port, lease_s=lease_s)
        mapping = await exchange(self._gateway, request, lambda data: parse_pcp(data, self._wish))
        if lease_s and not (mapping.port and mapping.lease_s):
            raise NoAnswer("it answered nonsense")
        return mapping


class NatPmp:
    """Asks a router by NAT-PMP."""

    name: ProtocolName = "natpmp"

    def __init__(self, gateway: Gateway, wish: Wish) -> None:
        self._gateway = gateway
        self._wish = wish

    async def make(self) -> Mapping:
        """The mapping; the router chooses another port where the wanted one is taken."""
        return await self._ask(self._wish.outer_ports[0])

    async def keep(self, mapping: Mapping) -> Mapping:
        """Asking again renews, and puts back what a restarted router has forgotten."""
        return await self._ask(mapping.port)

    async def outer(self) -> Address | None:
        """The address by a question of its own (RFC 6886 §3.2); a router that has none refuses it."""
        try:
            found = await exchange(self._gateway, bytes([_NATPMP, 0]), parse_natpmp_address)
        except Refusal:
            return None
        return None if found.is_unspecified else found

    async def end(self, mapping: Mapping) -> None:
        """Outer port and lease of 0 take it back."""
        request = natpmp_request(self._wish, outer_port=0, lease_s=0)
        await exchange(self._gateway, request, lambda data: parse_natpmp_map(data, self._wish))

    async def _ask(self, outer_port: int) -> Mapping:
        if self._gateway.router.version != 4:
            raise NoAnswer("NAT-PMP is for IPv4")
        outer = await exchange(self._gateway, bytes([_NATPMP, 0]), parse_natpmp_address)
        request = natpmp_request(self._wish, outer_port=outer_port, lease_s=self._wish.lease_s)
        port, lease_s = await exchange(self._gateway, request, lambda data: parse_natpmp_map(data, self._wish))
        if not port or not lease_s:
            raise NoAnswer("it answered nonsense")
        return Mapping(outer=None if outer.is_unspecified else outer, port=port, lease_s=lease_s)


async def exchange(gateway: Gateway, request: bytes, parse: Callable[[bytes], T | None]) -> T:
    """The router's answer, asked for some seconds; whatever others send does not get in. Raises NoAnswer."""
    family = socket.AF_INET if gateway.router.version == 4 else socket.AF_INET6
    loop = asyncio.get_running_loop()
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.setblocking(False)
            asking.bind((str(gateway.own), 0))
            asking.connect(gateway.socket_address(PORT))  # from now on the kernel drops what others send
            for patience_s in TRIES_S:
                await loop.sock_sendall(asking, request)
                with suppress(TimeoutError):
                    async with asyncio.timeout(patience_s):
                        return await _answer(asking, parse)
    except OSError as error:  # such as "connection refused": nobody listens there
        raise NoAnswer(error.strerror or "no network") from error
    raise NoAnswer("no answer")


async def _answer(asking: socket.socket, parse: Callable[[bytes], T | None]) -> T:
    """The first datagram that makes sense."""
    loop = asyncio.get_running_loop()
    while True:
        parsed = parse(await loop.sock_recv(asking, _MOST_BYTES))
        if parsed is not None:
            return parsed
