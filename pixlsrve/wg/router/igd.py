"""UPnP Internet Gateway Device: finding the router's description, and asking the router by it.

Only the router itself is believed and talked to: answers to the search count when it sent them, and every URL has to
lead to its own address (THREATS T24). Whatever it says is small, or not read.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from async_upnp_client.client import UpnpRequester
from async_upnp_client.client_factory import UpnpFactory
from async_upnp_client.const import HttpRequest, HttpResponse
from async_upnp_client.exceptions import UpnpActionError, UpnpError
from async_upnp_client.ssdp import build_ssdp_search_packet, decode_ssdp_packet, is_valid_ssdp_packet

from pixlsrve.errors import Unavailable
from pixlsrve.outbound import Outbound
from pixlsrve.wg.router.gateway import Address, Gateway
from pixlsrve.wg.router.protocol import Mapping, NoAnswer, ProtocolName, Refusal, Wish

if TYPE_CHECKING:
    from async_upnp_client.client import UpnpService

_GROUP = ("239.255.255.250", 1900)
_WANTED = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"  # later versions answer to it too
_CONNECTIONS = ("WANIPConnection:2", "WANIPConnection:1", "WANPPPConnection:1")
_SEARCH_S = 3.0
_DESCRIPTION_S = 20.0
_CALL_S = 15.0
_MOST_REQUESTS = 24
"""Of one discovery: a description, and one a service; real routers have fewer than ten."""
_MOST_ANSWERS = 20
"""That are looked at; a router sends a few."""
_MOST_BYTES = 4_096
_DESCRIPTION = "pixlsrve"
_CONFLICT, _SAME_PORTS, _ONLY_PERMANENT = 718, 724, 725
_NONSENSE = (UpnpError, Unavailable, ValueError, TypeError, LookupError, AttributeError, RecursionError, TimeoutError)
"""What comes of answers that are none: bad XML, bad types, missing parts."""


class RouterRequester(UpnpRequester):
    """Fetches from the router only, a limited number of times."""

    def __init__(self, router: Address, outbound: Outbound) -> None:
        self._router = router
        self._outbound = outbound
        self.left = _MOST_REQUESTS

    async def async_http_request(self, http_request: HttpRequest) -> HttpResponse:
        """The router's answer. Raises UpnpError."""
        if not leads_to(http_request.url, self._router):
            raise UpnpError("It points somewhere else.")
        if self.left <= 0:
            raise UpnpError("It has too many parts.")
        self.left -= 1
        status, headers, text = await self._outbound.exchange(
            http_request.method, http_request.url, headers=http_request.headers or {}, body=http_request.body
        )
        return HttpResponse(status, headers, text)


def leads_to(url: str, router: Address) -> bool:
    """Whether a URL is plain HTTP to that very address; names are not looked up."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and ipaddress.ip_address(parts.hostname or "") == router
    except ValueError:
        return False


async def search(gateway: Gateway) -> str:
    """The address of the router's description. Raises NoAnswer.

    The question goes to the router itself, and to the group, for routers that listen only there; not beyond the LAN.
    """
    if gateway.router.version != 4:
        raise NoAnswer("no IPv4 router")
    answers = _Answers(gateway.router)
    packet = build_ssdp_search_packet(_GROUP, 1, _WANTED)
    try:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: answers, sock=_search_socket(str(gateway.own))
        )
    except OSError as error:
        raise NoAnswer("no network") from error
    try:
        for target in ((str(gateway.router), _GROUP[1]), _GROUP):
            transport.sendto(packet, target)
        async with asyncio.timeout(_SEARCH_S):
            return await answers.location
    except TimeoutError as error:
        raise NoAnswer("no answer that could be used") from error
    finally:
        transport.close()


def _search_socket(own: str) -> socket.socket:
    """A socket whose packets stay on the LAN. Raises OSError."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        made.bind((own, 0))
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(own))
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
    except OSError:
        made.close()
        raise
    return made


class _Answers(asyncio.DatagramProtocol):
    """Waits for the location in the router's answer; anything else, and anybody else, is passed over."""

    def __init__(self, router: Address) -> None:
        self._router = router
        self._left = _MOST_ANSWERS
        self.location: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """One packet, from whomever."""
        if addr[0] != str(self._router) or len(data) > _MOST_BYTES or self._left <= 0 or self.location.done():
            return
        self._left -= 1
        with suppress(*_NONSENSE):
            if is_valid_ssdp_packet(data):
                _, headers = decode_ssdp_packet(data, None, addr)
                location = str(headers.get("location", ""))
                if leads_to(location, self._router):
                    self.location.set_result(location)

    def error_received(self, exc: Exception) -> None:
        """Unreachable by one way, which is no reason to give up the other."""


class Igd:
    """Asks a router by UPnP. It is looked for on the first use."""

    name: ProtocolName = "upnp"

    def __init__(self, gateway: Gateway, wish: Wish, outbound: Outbound) -> None:
        self._gateway = gateway
        self._wish = wish
        self._requester = RouterRequester(gateway.router, outbound)
        self._service: UpnpService | None = None
        self._lease_s = wish.lease_s
        self._due_s = 0.0

    async def make(self) -> Mapping:
        """The first of the wished ports that no other host has."""
        for port in self._wish.outer_ports:
            if await self._holder(port) in (None, self._ours) and await self._add(port):
                return await self._made(port)
        raise Refusal("other computers have all the ports that were tried")

    async def keep(self, mapping: Mapping) -> Mapping:
        """Look whether it is there; add it again when it is gone or half of its lease is over."""
        holder = await self._holder(mapping.port)
        if holder == self._ours and (not mapping.lease_s or time.monotonic() < self._due_s):
            return replace(mapping, outer=await self.outer())
        if holder in (None, self._ours) and await self._add(mapping.port):
            return await self._made(mapping.port)
        return await self.make()

    async def end(self, mapping: Mapping) -> None:
        """Delete it, if it is still ours."""
        if await self._holder(mapping.port) == self._ours:
            await self._call("DeletePortMapping", **self._entry(mapping.port))

    @property
    def _ours(self) -> tuple[str, int]:
        return str(self._gateway.own), self._wish.port

    async def _made(self, port: int) -> Mapping:
        self._due_s = time.monotonic() + self._lease_s / 2
        return Mapping(outer=await self.outer(), port=port, lease_s=self._lease_s)

    async def _find(self) -> None:
        """Find the service that maps ports. Raises NoAnswer."""
        if self._service is not None:
            return
        location = await search(self._gateway)
        self._requester.left = _MOST_REQUESTS
        try:
            async with asyncio.timeout(_DESCRIPTION_S):
                device = await UpnpFactory(self._requester, non_strict=True).async_create_device(location)
            services = device.all_services
        except _NONSENSE as error:
            raise NoAnswer("its description makes no sense") from error
        for kind in _CONNECTIONS:
            for service in services:
                if service.service_type.endswith(f":{kind}") and service.has_action("AddPortMapping"):
                    self._service = service
                    return
        raise NoAnswer("it maps no ports")

    def _entry(self, port: int) -> dict[str, Any]:
        return {"NewRemoteHost": "", "NewExternalPort": port, "NewProtocol": "UDP"}

    async def _holder(self, port: int) -> tuple[str, int] | None:
        """Whose a port is: address and port on the LAN; None when nobody's."""
        try:
            found = await self._call("GetSpecificPortMappingEntry", **self._entry(port))
        except Refusal:  # 714, or whatever a router says that knows of none
            return None
        port_there = found.get("NewInternalPort")
        return str(found.get("NewInternalClient")), port_there if isinstance(port_there, int) else 0

    async def _add(self, port: int) -> bool:
        """Map a port; False when another host has it. Raises Refusal, NoAnswer."""
        for lease_s in dict.fromkeys((self._lease_s, 0)):
            try:
                await self._call(
                    "AddPortMapping",
                    **self._entry(port),
                    NewInternalPort=self._wish.port,
                    NewInternalClient=str(self._gateway.own),
                    NewEnabled=True,
                    NewPortMappingDescription=_DESCRIPTION,
                    NewLeaseDuration=lease_s,
                )
            except _Fault as fault:
                if fault.code == _ONLY_PERMANENT and lease_s:
                    continue
                if fault.code in (_CONFLICT, _SAME_PORTS):
                    return False
                raise
            self._lease_s = lease_s
            return True
        return False

    async def outer(self) -> Address | None:
        """The router's outer address; None when it names none."""
        try:
            found = await self._call("GetExternalIPAddress")
            address = ipaddress.ip_address(str(found.get("NewExternalIPAddress")))
        except (Refusal, ValueError):
            return None
        return None if address.is_unspecified else address

    async def _call(self, name: str, **arguments: Any) -> Any:
        """An action's answer. Raises Refusal when the router says no, NoAnswer for nonsense."""
        await self._find()
        assert self._service is not None  # noqa: S101  # just found
        self._requester.left = _MOST_REQUESTS
        try:
            async with asyncio.timeout(_CALL_S):
                return await self._service.action(name).async_call(**arguments)
        except UpnpActionError as error:
            raise _Fault(error.error_code or 0, error.error_desc or "") from error
        except _NONSENSE as error:
            self._service = None  # it may have moved: routers change the port of their description
            raise NoAnswer("it answered nonsense") from error


class _Fault(Refusal):
    """A UPnP error (UDA §3.2.2) and its code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"it answered error {code} {text[:80]!r}")
        self.code = code
