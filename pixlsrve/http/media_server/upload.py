"""`PUT /image/{filename}`: uploads at the content-addressed door (specs/media-server.md, DESIGN sections 5 and 9)."""

from __future__ import annotations

from aiohttp import web

from pixlsrve.errors import InvalidInput, NotFound, Unavailable
from pixlsrve.http import keys, routing
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.http.uploads.bodies import receive, sender_of
from pixlsrve.http.uploads.keys import UPLOADS, check_again
from pixlsrve.media import png_thumbnails
from pixlsrve.media.png_thumbnails import PngThumbnails
from pixlsrve.media.uploads import names
from pixlsrve.media.uploads.service import Receiving
from pixlsrve.media.uploads.stored import Allowed, Stored
from pixlsrve.model import Kind

PNG_THUMBNAILS = web.AppKey("png_thumbnails", PngThumbnails)
"""Thumbnails as this door has them."""

EXTENSIONS = frozenset({"png", "jpg", "jpeg", "gif"})
PICTURES = Allowed(kinds=frozenset({Kind.PHOTO}), formats=frozenset({"jpeg", "png", "apng", "gif"}))
"""By content; a JPEG called .png is kept as it is."""


async def put_image(request: web.Request) -> web.Response:
    """PUT /image/{filename}: a picture, as a form's part `file` or as the body itself."""
    name = request.match_info["filename"]
    if names.extension_of(names.rebuild(name)) not in EXTENSIONS:
        raise InvalidInput("Invalid file type; the name must end in png, jpg, jpeg or gif.", reason="type_not_allowed")
    sender, uploads = sender_of(request), request.app[UPLOADS]

    async def begin(_: str, size: int | None, at_most: int | None) -> Receiving:
        return await uploads.begin(
            sender.owner, name=name, size=size, at_most=at_most, viewer=sender.viewer, allowed=PICTURES
        )

    form = await receive(request, begin)
    try:
        if keys.PRINCIPAL in request:
            await check_again(request)
        stored = await form.receiving.finish()
    finally:
        await form.receiving.abandon()
    facts = {"sha256": stored.sha256.hex(), "filename": stored.name, "file_path": stored.path}
    if stored.is_duplicate:
        return routing.answer({"message": "Image content already exists.", **facts})
    thumbnail = await _thumbnail_file(request.app[PNG_THUMBNAILS], stored)
    whole = {"message": "Image uploaded successfully.", **facts, "thumbnail_file": thumbnail}
    return routing.answer(whole, status=201)


async def _thumbnail_file(thumbnails: PngThumbnails, stored: Stored) -> str | None:
    """The name of the thumbnail, which is there by then; None where the picture can't be decoded."""
    try:
        await thumbnails.get(stored.asset_id, stored.sha256, viewer=None)
    except NotFound:
        return None
    except Unavailable:
        pass  # it decodes slowly, and will be made when it is asked for
    return png_thumbnails.file_name(stored.sha256)


ROUTES: tuple[Route, ...] = (
    Route(
        method="PUT",
        path="/image/{filename}",
        handler=put_image,
        access=Access.MEMBER,
        rate=Rate.UPLOADS,
        summary="Upload a picture.",
        status=201,
        takes="multipart/form-data",
        errors=(400, 403, 413, 415, 500, 503, 507),
    ),
)
