"""`/media_post/` and `/media_get/`: files in and out at the Flutter door (DESIGN sections 5 and 9)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from pixlsrve.errors import InvalidInput
from pixlsrve.events import EventType
from pixlsrve.http import keys, library, routing
from pixlsrve.http.original_files import send_original
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.http.uploads.bodies import receive, sender_of
from pixlsrve.http.uploads.keys import UPLOADS, check_again
from pixlsrve.media.originals import display_name
from pixlsrve.media.uploads.service import Receiving

STORE = "store"
"""Where this door's files are, below the storage directory."""
POST_PATH, GET_PATH = "/media_post/", "/media_get/"


class MediaQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which file."""

    media_id: Annotated[str, Meta(description="As `/media_post/` answered it.")] = ""


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was taken in; `saved_to` is relative to the storage directory."""

    status: str = "File saved"
    media_id: str
    filename: str
    param1: str | None
    param2: str | None
    saved_to: str


async def post_media(request: web.Request) -> web.Response:
    """POST /media_post/: a file as a form's part `file`, with parameters beside it."""
    sender, uploads = sender_of(request), request.app[UPLOADS]

    async def begin(name: str, size: int | None, at_most: int | None) -> Receiving:
        return await uploads.begin(
            sender.owner, name=name, size=size, at_most=at_most, viewer=sender.viewer, folder=STORE
        )

    form = await receive(request, begin, is_form_needed=True)
    try:
        await check_again(request)
        stored = await form.receiving.finish()
    finally:
        await form.receiving.abandon()
    request.app[keys.BUS].publish(EventType.MEDIA_POSTED, {"media_id": stored.asset_id}, root_id=stored.root_id)
    saved = Saved(
        media_id=stored.asset_id,
        filename=stored.name,
        param1=form.fields.get("param1"),
        param2=form.fields.get("param2"),
        saved_to=stored.path,
    )
    return routing.answer(saved)


async def get_media(request: web.Request) -> web.StreamResponse:
    """GET /media_get/: the file, with ranges; a damaged one too, for its bytes may be all there is."""
    media_id = routing.query(request, MediaQuery).media_id
    if not media_id:
        raise InvalidInput("media_id parameter is required", reason="invalid_parameter", parameter="media_id")
    asset = await request.app[library.LIBRARY].file(media_id, viewer=library.viewer_of(request))
    original = asset.original
    fd = await request.app[library.ROOTS].open_original(original.root_id, original.path)
    return await send_original(request, fd, original, filename=display_name(original.path.rpartition(b"/")[2]))


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=POST_PATH,
        handler=post_media,
        access=Access.MEMBER,
        rate=Rate.UPLOADS,
        summary="Upload a file.",
        answer=Saved,
        takes="multipart/form-data",
        errors=(400, 403, 413, 415, 500, 503, 507),
    ),
    Route(
        method="GET",
        path=GET_PATH,
        handler=get_media,
        access=Access.MEMBER,
        rate=Rate.PHOTOS,
        summary="A file that was uploaded; ranges are understood.",
        query=MediaQuery,
        content_type="*/*",
        errors=(404, 412, 416, 503),
    ),
)
