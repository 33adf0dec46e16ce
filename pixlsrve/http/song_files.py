"""Songs as files: those that were transferred with ranges, and those still on a device while they arrive."""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web

from pixlsrve.devices.fetch import SongGone
from pixlsrve.devices.outcomes import SyncFailed
from pixlsrve.devices.transfer import Transfer, TransferFailed
from pixlsrve.errors import NotFound, Unavailable
from pixlsrve.http import content, identity, keys, library
from pixlsrve.http.device_access import DEVICES, file_name, is_own, mime_of, song_of, visible_device
from pixlsrve.http.disposition import content_disposition
from pixlsrve.http.original_files import REVALIDATE, UNKNOWN, send_original
from pixlsrve.http.routing import Access, Rate, Route, with_slash
from pixlsrve.media.assets import may_see
from pixlsrve.model import Device
from pixlsrve.store.assets import Original
from pixlsrve.store.songs import Song

log = structlog.get_logger(__name__)


async def get_media(request: web.Request) -> web.StreamResponse:
    """GET /media/{kind}/{song_id}/{name}: what an upload's `path` leads to; only the id in it matters."""
    song = await request.app[DEVICES].songs.find(request.match_info["song_id"])
    device = _device_of(request, song)
    if song.root_id is None:
        raise NotFound("There is no such song.")
    is_visible = may_see(library.viewer_of(request), song.root_id)
    if not is_visible and (device is None or not is_own(request, request[keys.PRINCIPAL], device)):
        raise NotFound("There is no such song.")
    return await _send(request, song)


async def stream(request: web.Request) -> web.StreamResponse:
    """GET /api/device/{device_id}/songs/{song_id}/stream/: the song, fetched from its device where it isn't here."""
    device = visible_device(request, request.match_info["device_id"])
    song = await song_of(request, device, request.match_info["song_id"])
    if song.got_sha256 is not None:
        try:
            return await _send(request, song)
        except NotFound:
            log.info("a song is gone from the storage and is fetched again", song=song.uuid)
    if request.method == "HEAD":
        return web.Response(headers=_headers(song, song.size_bytes or None))
    if "Authorization" not in request.headers:
        # Fetching changes what the host holds, which no address that a page can make a browser open may do (T28).
        raise NotFound("The song has not been transferred yet; ask with a bearer token, or sync the device.")
    return await _relay(request, request.app[DEVICES].fetcher.fetch(device, song))


def _device_of(request: web.Request, song: Song) -> Device | None:
    """The song's device, unless it was revoked."""
    devices = request.app[identity.IDENTITY].devices
    return next((device for device in devices.list_all() if device.id == song.device_id), None)


async def _send(request: web.Request, song: Song) -> web.StreamResponse:
    """A transferred song, wherever in the library it has been moved to. Raises NotFound, Unavailable."""
    original = await _original(request, song)
    root_id, path = (song.root_id, song.stored_path) if original is None else (original.root_id, original.path)
    if root_id is None or path is None:
        raise NotFound("There is no such song.")
    fd = await request.app[library.ROOTS].open_original(root_id, path)
    name = file_name(song)
    if original is None:
        return await content.send_file(request, fd, mime=UNKNOWN, cache_control=REVALIDATE, filename=name)
    return await send_original(request, fd, original, filename=name)


async def _original(request: web.Request, song: Song) -> Original | None:
    """The file as the index knows it; None where it does not, or shows it to nobody."""
    if song.asset_uuid is None:
        return None
    try:
        photo = await request.app[library.LIBRARY].photo(song.asset_uuid, viewer=None)
    except NotFound:
        return None
    return photo.original


async def _relay(request: web.Request, transfer: Transfer) -> web.StreamResponse:
    """The song as it arrives. Raises NotFound, Unavailable as long as nothing has come."""
    with transfer.listening():
        try:
            upload = await transfer.begun()
            piece = await transfer.read(upload, 0)
        except SongGone as error:
            raise NotFound("The device does not have this song any more.") from error
        except (SyncFailed, TransferFailed) as error:
            raise Unavailable("The device does not send the song just now.", reason="device_unreachable") from error
        response = web.StreamResponse(headers=_headers(transfer.song, transfer.size_bytes))
        await response.prepare(request)
        sent_bytes = 0
        try:
            while piece:
                async with asyncio.timeout(content.STALL_LIMIT_S):
                    await response.write(piece)
                sent_bytes += len(piece)
                piece = await transfer.read(upload, sent_bytes)
            await response.write_eof()
        except (TransferFailed, TimeoutError) as error:
            # Only a broken connection tells a listener that this was not the song's end.
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the song broke off") from error
        return response


def _headers(song: Song, size_bytes: int | None) -> dict[str, str]:
    headers = {
        "Content-Type": mime_of(song),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": content.SANDBOX,
        "Content-Disposition": content_disposition(file_name(song), attachment=False),
    }
    if size_bytes is not None:
        headers["Content-Length"] = str(size_bytes)
    return headers


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/media/{kind}/{song_id}/{name}",
        handler=get_media,
        access=Access.MEMBER,
        rate=Rate.PHOTOS,
        summary="A song that a device has sent; ranges are understood.",
        content_type="*/*",
        errors=(404, 412, 416, 503),
    ),
    *with_slash(
        Route(
            method="GET",
            path="/api/device/{device_id}/songs/{song_id}/stream",
            handler=stream,
            access=Access.MEMBER,
            rate=Rate.PHOTOS,
            summary="A song of a device, fetched from it where it is not here yet.",
            content_type="*/*",
            errors=(403, 404, 412, 416, 503),
        )
    ),
)
