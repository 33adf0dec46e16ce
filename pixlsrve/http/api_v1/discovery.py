"""Who this host is, for devices that look around: /api/v1/discovery/info."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from pixlsrve.errors import NotFound
from pixlsrve.http import keys, library, routing
from pixlsrve.http.reach import REACH, Way
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.store.assets import Viewer

_MARK = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
_ANYONE = "cross-origin"


class InfoQuery(msgspec.Struct, frozen=True):
    """Query of GET /api/v1/discovery/info."""

    host_id: Annotated[str, Meta(max_length=100, description="Answer only if this is the host's.")] | None = None


class MarkQuery(msgspec.Struct, frozen=True):
    """Query of GET /api/v1/discovery/mark."""

    host_id: Annotated[str, Meta(max_length=100, description="Whom the asker takes this host for.")]


class InfoAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The host in a few words; counts are of photos and videos, and of albums, or 0 where `http.discovery` hides them.

    `addresses` are the ways to reach it, best first: a client tries them in this order and compares `host_id`.
    """

    host_id: str
    host_name: str
    version: str
    api_version: str
    capabilities: tuple[str, ...]
    photo_count: int
    album_count: int
    tls_port: int | None
    addresses: list[Way]


async def get_info(request: web.Request) -> web.Response:
    """GET /api/v1/discovery/info."""
    host, questions = request.app[library.HOST], request.app[library.LIBRARY]
    wanted = routing.query(request, InfoQuery).host_id
    if wanted is not None and wanted != host.host_id:
        raise NotFound("This is another host.", reason="other_host")
    tunnel = await request.app[library.WIREGUARD]()
    https, reach = request.app.get(keys.HTTPS), request.app.get(REACH)
    viewer = _viewer(request) if host.is_discreet else None
    return routing.answer(
        InfoAnswer(
            host_id=host.host_id,
            host_name=host.name,
            version=host.version,
            api_version="v1",
            capabilities=(*host.capabilities, *(["wireguard"] if tunnel.enabled else [])),
            photo_count=await questions.photo_count(viewer=viewer),
            album_count=await questions.album_count(viewer=viewer),
            tls_port=None if https is None else https.port,
            addresses=[] if reach is None else reach.ways(),
        )
    )


async def get_mark(request: web.Request) -> web.Response:
    """GET /api/v1/discovery/mark: a picture for whoever knows this host's id.

    Pages of this host under another of its addresses may not read answers, but see whether a picture came; to everybody
    else it says nothing, because the id is not to be guessed (THREATS T28, T34).
    """
    if routing.query(request, MarkQuery).host_id != request.app[library.HOST].host_id:
        raise NotFound("This is another host.", reason="other_host")
    headers = {"Content-Type": "image/svg+xml", "Cache-Control": "no-store", "Cross-Origin-Resource-Policy": _ANYONE}
    return web.Response(body=_MARK, headers=headers)


def _viewer(request: web.Request) -> Viewer:
    """The roots that the caller may see; none without a token."""
    principal = request.get(keys.PRINCIPAL)
    return frozenset() if principal is None else principal.roots


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/discovery/info",
        handler=get_info,
        access=Access.LAN,
        rate=Rate.OTHER,
        summary="Who this host is.",
        query=InfoQuery,
        answer=InfoAnswer,
        errors=(404,),
    ),
    Route(
        method="GET",
        path="/api/v1/discovery/mark",
        handler=get_mark,
        access=Access.LAN,
        rate=Rate.OTHER,
        summary="A picture for whoever knows this host's id, by which pages find another way to it.",
        query=MarkQuery,
        content_type="image/svg+xml",
        errors=(404,),
    ),
)
