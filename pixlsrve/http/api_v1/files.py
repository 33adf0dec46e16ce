"""A photo's bytes: thumbnail, original, and the moving part of live photos."""

from __future__ import annotations

from typing import Literal

import msgspec
from aiohttp import web

from pixlsrve.http import content, library, routing
from pixlsrve.http.conditions import Outcome, Validators, evaluate
from pixlsrve.http.original_files import REVALIDATE, send_original, tag, version
from pixlsrve.http.peers import is_direct
from pixlsrve.http.ranges import Span
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.media.originals import display_name
from pixlsrve.media.thumbnails import parse_size
from pixlsrve.store.assets import Asset, Original


class ThumbnailQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The box to fit in: small 200, medium 400, large 800 pixels. `v` is the version in `thumbnail_url`."""

    size: Literal["small", "medium", "large"] | None = None
    v: str = ""


class FullQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`download` makes the browser save the file; `format=jpeg` converts what a browser can't show."""

    download: bool = False
    format: Literal["jpeg"] | None = None


async def get_thumbnail(request: web.Request) -> web.Response:
    """GET /api/v1/photos/{id}/thumbnail: a JPEG within the box, made first when nobody has made it yet."""
    asked = routing.query(request, ThumbnailQuery)
    app = request.app
    thumbnail = await app[library.THUMBNAILS].get(
        request.match_info["id"], parse_size(asked.size, asked.v), viewer=library.viewer_of(request)
    )
    scope = app[library.THUMBNAIL_CACHING] if is_direct(request) else "private"
    return content.send_bytes(
        request, thumbnail.jpeg, etag=thumbnail.etag, mime="image/jpeg", cache_control=f"{scope}, {library.YEAR}"
    )


async def get_full(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/photos/{id}/full: the original, or a JPEG of it."""
    asked = routing.query(request, FullQuery)
    photo = await request.app[library.LIBRARY].photo(request.match_info["id"], viewer=library.viewer_of(request))
    if request.app[library.CONVERSIONS].are_needed(photo, asked.format):
        return await _send_converted(request, photo, asked)
    return await _send(request, photo.original, attachment=asked.download)


async def get_live(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/photos/{id}/live: the moving part of a live or motion photo."""
    app, viewer = request.app, library.viewer_of(request)
    live = await app[library.LIBRARY].live_part(request.match_info["id"], viewer=viewer)
    span = Span(live.offset, live.offset + live.size_bytes) if live.is_embedded else None
    return await _send(request, live.original, mime=live.mime, window=span)


async def _send(
    request: web.Request,
    original: Original,
    *,
    mime: str | None = None,
    window: Span | None = None,
    attachment: bool = False,
) -> web.StreamResponse:
    """One file from the disk, or a part of it."""
    fd = await request.app[library.ROOTS].open_original(original.root_id, original.path)
    return await send_original(
        request, fd, original, filename=_name(original), mime=mime, window=window, attachment=attachment
    )


async def _send_converted(request: web.Request, photo: Asset, asked: FullQuery) -> web.Response:
    """A JPEG of the original; not made at all for a client that has it."""
    etag = f"{tag(photo.original) or version(photo.original).etag()}-jpeg"
    is_wanted = evaluate(request.method, request.headers, Validators(etag)) is Outcome.PROCEED
    jpeg = await request.app[library.CONVERSIONS].jpeg(photo) if is_wanted else b""
    return content.send_bytes(
        request,
        jpeg,
        etag=etag,
        mime="image/jpeg",
        cache_control=REVALIDATE,
        filename=f"{_name(photo.original).rpartition('.')[0] or 'photo'}.jpg",
        attachment=asked.download,
    )


def _name(original: Original) -> str:
    return display_name(original.path.rpartition(b"/")[2])


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/photos/{id}/thumbnail",
        handler=get_thumbnail,
        access=Access.MEMBER,
        rate=Rate.THUMBNAILS,
        summary="A JPEG thumbnail.",
        query=ThumbnailQuery,
        content_type="image/jpeg",
        errors=(404, 503),
    ),
    Route(
        method="GET",
        path="/api/v1/photos/{id}/full",
        handler=get_full,
        access=Access.MEMBER,
        rate=Rate.PHOTOS,
        summary="The original file, or a JPEG of it; ranges are understood.",
        query=FullQuery,
        content_type="*/*",
        errors=(404, 412, 416, 503),
    ),
    Route(
        method="GET",
        path="/api/v1/photos/{id}/live",
        handler=get_live,
        access=Access.MEMBER,
        rate=Rate.PHOTOS,
        summary="The moving part of a live or motion photo; ranges are understood.",
        content_type="video/*",
        errors=(404, 412, 416, 503),
    ),
)
