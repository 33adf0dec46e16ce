"""Who is at the other end: the client's address, whether a proxy stands between, whether it is near (DESIGN 9)."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterable, Sequence

from aiohttp import web

from pixlsrve.http.limits import Address, Network, client_address, is_within, parse_address
from pixlsrve.wg.lan import on_link_networks

INTERFACES_MAX_AGE_S = 10.0
"""How long a reading of the interfaces is believed: short, because addresses change with every network joined."""

_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",  # RFC 1918
        "172.16.0.0/12",
        "192.168.0.0/16",
        "fc00::/7",  # RFC 4193
        "169.254.0.0/16",  # RFC 3927
        "fe80::/10",  # RFC 4291
    )
)


def is_direct(request: web.Request) -> bool:
    """Whether no proxy says that it passed the request on (Via, Forwarded, X-Forwarded-*)."""
    return not any(_is_proxy_header(name) for name in request.headers)


def _is_proxy_header(name: str) -> bool:
    lower = name.lower()
    return lower in {"via", "forwarded"} or lower.startswith("x-forwarded-")


class Peers:
    """Says where a request comes from. `trusted_proxies` are the peers whose X-Forwarded-For counts."""

    def __init__(
        self,
        trusted_proxies: Sequence[Network] = (),
        *,
        interfaces: Callable[[], Iterable[Network]] = on_link_networks,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trusted = tuple(trusted_proxies)
        self._interfaces = interfaces
        self._clock = clock
        self._on_link: tuple[Network, ...] = ()
        self._read_at = float("-inf")

    def address(self, request: web.Request) -> str:
        """The client's address as text: the peer's, or what a trusted proxy says of it."""
        peer = request.remote or ""
        if not self._trusted:
            return peer
        return client_address(peer, request.headers.getall("X-Forwarded-For", ()), self._trusted)

    def known_address(self, request: web.Request) -> str:
        """The client's address as text; empty where a proxy hides it or claims what can't be trusted."""
        address = self._honest_address(request)
        return "" if address is None else str(address)

    def scheme(self, request: web.Request) -> str:
        """`http` or `https`: ours with the client, or what a trusted proxy says of its own."""
        said = self._said_by_proxy(request, "X-Forwarded-Proto").lower()
        return said if said in {"http", "https"} else request.scheme

    def host(self, request: web.Request) -> str:
        """The host and port that the client asked for, by itself or as a trusted proxy says."""
        return self._said_by_proxy(request, "X-Forwarded-Host") or request.host

    def _said_by_proxy(self, request: web.Request, name: str) -> str:
        """What the nearest proxy put into a header; empty where there is none or it isn't trusted."""
        if not self._trusted or name not in request.headers:
            return ""
        peer = parse_address(request.remote or "")
        if peer is None or not self._is_trusted(peer):
            return ""
        return request.headers.getall(name)[-1].rpartition(",")[2].strip()

    def is_near(self, request: web.Request) -> bool:
        """Whether the client is on loopback, the LAN or the VPN, and no unknown proxy hides who it is."""
        address = self._honest_address(request)
        if address is None:
            return False
        return address.is_loopback or is_within(address, _PRIVATE) or self._is_on_link(address)

    def is_on_host(self, request: web.Request) -> bool:
        """Whether the client is a program on this host, asking over loopback without a proxy."""
        address = self._honest_address(request)
        return address is not None and address.is_loopback

    def _honest_address(self, request: web.Request) -> Address | None:
        """The client's address, or None where a header hides it or claims what can't be trusted."""
        peer = parse_address(request.remote or "")
        if peer is None or is_direct(request):
            return peer
        if not self._is_trusted(peer):
            return None
        client = parse_address(self.address(request))
        # The proxy itself comes out where its header is missing or unreadable: then nobody knows who asks.
        return None if client is None or self._is_trusted(client) else client

    def _is_trusted(self, address: Address) -> bool:
        return is_within(address, self._trusted)

    def _is_on_link(self, address: Address) -> bool:
        if self._clock() - self._read_at > INTERFACES_MAX_AGE_S:
            self._on_link = tuple(self._interfaces())
            self._read_at = self._clock()
        return is_within(address, self._on_link)
