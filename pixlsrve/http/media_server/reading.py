"""Reading at the content-addressed door: `/list`, `/thumbnail/{sha256}`, `/image/{sha256}` (specs/media-server.md)."""

from __future__ import annotations

import mimetypes

import msgspec
from aiohttp import web

from pixlsrve.http import content, keys, library
from pixlsrve.http.original_files import REVALIDATE, UNKNOWN, send_original
from pixlsrve.http.routing import JSON, Access, Rate, Route
from pixlsrve.index.metadata import EXTENSIONS
from pixlsrve.media.contents import Contents, Entry
from pixlsrve.media.originals import display_name
from pixlsrve.model import Kind
from pixlsrve.store.assets import Viewer

CONTENTS = web.AppKey("contents", Contents)
"""The library by content."""

_VIEWED = frozenset({Kind.PHOTO, Kind.VIDEO})
_encode = msgspec.json.Encoder().encode


def is_media(name: bytes) -> bool:
    """Whether a file is a picture or a film by its extension."""
    extension = name.rpartition(b".")[2].decode("ascii", "replace").lower()
    return b"." in name and EXTENSIONS.get(extension) in _VIEWED


async def list_all(request: web.Request) -> web.StreamResponse:
    """GET /list: every picture and film by its SHA-256, sent while it is read."""
    response = web.StreamResponse(headers={"Content-Type": JSON, "Cache-Control": REVALIDATE})
    entries = request.app[CONTENTS].entries(viewer=_viewer(request))
    if request.method == "HEAD":
        await response.prepare(request)
        return response
    opening = b"{"
    async for some in entries:
        members = b",".join(b'"%b":%b' % (sha256.encode(), _encode(entry)) for sha256, entry in some)
        if not response.prepared:
            await response.prepare(request)
        if members:
            await response.write(opening + members)
            opening = b","
    if not response.prepared:
        await response.prepare(request)
    await response.write(b"{}" if opening == b"{" else b"}")
    await response.write_eof()
    return response


async def get_thumbnail(request: web.Request) -> web.Response:
    """GET /thumbnail/{sha256}: a PNG within 256 by 256 pixels, made first when nobody has made it yet."""
    text = request.match_info["sha256"]
    png = await request.app[CONTENTS].thumbnail(text, viewer=_viewer(request))
    return content.send_bytes(
        request,
        png,
        etag=f"{text.lower()}-png",
        mime="image/png",
        cache_control=f"private, {library.YEAR}",
    )


async def get_image(request: web.Request) -> web.StreamResponse:
    """GET /image/{sha256}: the file itself."""
    fd, original = await request.app[CONTENTS].open(request.match_info["sha256"], viewer=_viewer(request))
    name = display_name(original.path.rpartition(b"/")[2])
    return await send_original(request, fd, original, filename=name, mime=original.mime or _guessed(name))


def _viewer(request: web.Request) -> Viewer:
    """The roots that the caller may see: all, where compat.open_media_api lets in without a token."""
    principal = request.get(keys.PRINCIPAL)
    return None if principal is None else principal.roots


def _guessed(name: str) -> str:
    """The type that a file's name promises, for what can't be decoded; the sandbox makes a lie harmless."""
    guessed, _ = mimetypes.guess_type(name)
    return guessed if guessed is not None and guessed.startswith(("image/", "video/")) else UNKNOWN


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/list",
        handler=list_all,
        access=Access.MEMBER,
        rate=Rate.OTHER,
        summary="List every picture and film by its SHA-256.",
        answer=dict[str, Entry],
    ),
    Route(
        method="GET",
        path="/thumbnail/{sha256}",
        handler=get_thumbnail,
        access=Access.MEMBER,
        rate=Rate.THUMBNAILS,
        summary="Get a picture's thumbnail as PNG.",
        content_type="image/png",
        errors=(400, 404, 503),
    ),
    *(
        Route(
            method="GET",
            path=path,
            handler=get_image,
            access=Access.MEMBER,
            rate=Rate.PHOTOS,
            summary="Get a file by its SHA-256.",
            content_type="*/*",
            errors=(400, 404, 416, 503),
        )
        for path in ("/image/{sha256}", "/image/sha256/{sha256}")
    ),
)
