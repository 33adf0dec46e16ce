"""The content-addressed door opened to loopback and the LAN, where compat.open_media_api says so (DESIGN 3)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import replace

from aiohttp import web

from pixlsrve.errors import NotAuthenticated
from pixlsrve.http import keys
from pixlsrve.http.routing import Access, Handler, Route


def opened(routes: Iterable[Route], tunnel: ipaddress.IPv4Network) -> Iterator[Route]:
    """The routes without need of a token for whoever is near and not in the tunnel (THREATS T35)."""
    for route in routes:
        yield replace(route, access=Access.LAN, handler=_at_home(route.handler, tunnel))


def _at_home(handler: Handler, tunnel: ipaddress.IPv4Network) -> Handler:
    """`handler` for callers with a token, and those whose address is none of the tunnel's."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        if keys.PRINCIPAL not in request and _is_in(request.app[keys.PEERS].address(request), tunnel):
            raise NotAuthenticated("From the tunnel this needs a token: send `Authorization: Bearer TOKEN`.")
        return await handler(request)

    return guarded


def _is_in(text: str, tunnel: ipaddress.IPv4Network) -> bool:
    """Whether an address lies in the tunnel; an IPv4-mapped one counts as IPv4."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped is not None and address.ipv4_mapped in tunnel
    return address in tunnel
