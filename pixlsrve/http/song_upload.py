"""Receiving songs from devices: the specification's upload URL, and `/api/upload/` with the ids as fields."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
from aiohttp import BodyPartReader, web

from pixlsrve.devices.service import DeviceServices
from pixlsrve.devices.transfer import Transfer
from pixlsrve.errors import InvalidInput, NotAuthenticated, NotPermitted
from pixlsrve.http import keys, routing
from pixlsrve.http.device_access import DEVICES, file_name, known_device, media_path, own_device, song_of
from pixlsrve.http.inputs import UnsupportedBody
from pixlsrve.http.routing import Access, Rate, Route, with_slash
from pixlsrve.http.uploads import bodies
from pixlsrve.media.uploads.service import Receiving
from pixlsrve.media.uploads.stored import Stored
from pixlsrve.model import Device
from pixlsrve.store.assets import Viewer
from pixlsrve.store.database import Transaction
from pixlsrve.store.songs import Song

_REFUSALS = frozenset({"not_media", "type_not_allowed", "type_mismatch", "empty"})
_NO_TOKEN = "This needs a token: send `Authorization: Bearer TOKEN`."  # noqa: S105  # a sentence


class UploadAnswer(msgspec.Struct, frozen=True):
    """The specification's words; `path` is a URL path on this host."""

    message: str
    path: str


@dataclass(frozen=True)
class _Target:
    """Which song is being received, for whom, and the transfer that waits for it."""

    device: Device
    song: Song
    viewer: Viewer
    transfer: Transfer | None


async def upload_song(request: web.Request) -> web.Response:
    """POST /api/device/{device_id}/songs/{song_id}/upload/: the song's file, as a form or as the body itself."""
    target = await _target(request, request.match_info["device_id"], request.match_info["song_id"])
    bodies.check_encoding(request)
    if not _is_form(request):
        return await _receive(request, target, request.content.iter_any(), request.content_length)
    parts = bodies.form_parts(request)
    async for part in parts:
        if bodies.is_file(part):
            return await _receive(request, target, _only_file(part, parts), None)
    raise InvalidInput(bodies.NO_FILE, reason="no_file")


async def upload(request: web.Request) -> web.Response:
    """POST /api/upload/: the same with `device_id` and `song_id` as fields, before the file, or in the query."""
    if keys.PRINCIPAL not in request and not request.app[DEVICES].fetcher.is_awaited_from(_caller(request)):
        raise NotAuthenticated(_NO_TOKEN, reason="no_token")
    if not _is_form(request):
        raise UnsupportedBody("The body must be a form: send `multipart/form-data`.")
    given = {name: request.query[name] for name in ("device_id", "song_id") if name in request.query}
    bodies.check_encoding(request)
    parts = bodies.form_parts(request)
    async for part in parts:
        if not bodies.is_file(part):
            given[part.name or ""] = (await bodies.read_field(part)).strip()
            continue
        missing = [field for field in ("device_id", "song_id") if field not in given]
        if missing:
            raise InvalidInput(
                f"The field {missing[0]} is missing; it comes before the file.",
                reason="invalid_field",
                parameter=missing[0],
            )
        target = await _target(request, given["device_id"], given["song_id"])
        return await _receive(request, target, _only_file(part, parts), None)
    raise InvalidInput(bodies.NO_FILE, reason="no_file")


def is_awaited(request: web.Request) -> bool:
    """Whether the host itself has asked for this upload, which is then not counted (DESIGN section 4)."""
    devices = request.app.get(DEVICES)
    if devices is None:
        return False
    song_id = request.match_info.get("song_id")
    if song_id is not None:
        return devices.fetcher.find(song_id) is not None
    return devices.fetcher.is_awaited_from(_caller(request))


async def _target(request: web.Request, device_id: str, song_id: str) -> _Target:
    """Raises NotAuthenticated, NotPermitted, NotFound."""
    services = request.app[DEVICES]
    transfer = services.fetcher.find(song_id)
    if keys.PRINCIPAL in request:
        device = own_device(request, device_id)
        return _Target(device, await song_of(request, device, song_id), request[keys.PRINCIPAL].roots, transfer)
    # A mini-server that an admin has added has no token: one upload, of the song and from the address that was asked.
    if transfer is None or not services.fetcher.is_expected(song_id, _caller(request)):
        raise NotAuthenticated(_NO_TOKEN, reason="no_token")
    device = known_device(request, device_id)
    song = await song_of(request, device, song_id)
    transfer.sender = None
    return _Target(device, song, frozenset(), transfer)


async def _receive(
    request: web.Request, target: _Target, chunks: AsyncIterator[bytes], size_bytes: int | None
) -> web.Response:
    """Take the file in, letting listeners have it at once; 201 once it is durable and indexed."""
    services, song = request.app[DEVICES], target.song
    receiving = await services.uploads.begin(
        target.device.uuid, name=file_name(song), size=size_bytes, viewer=target.viewer
    )
    upload = 0 if target.transfer is None else target.transfer.begin(receiving, size_bytes)
    stored: Stored | None = None
    refused: str | None = None
    try:
        stored = await _take(services, target, receiving, chunks, upload)
    except InvalidInput as error:
        if error.reason in _REFUSALS:
            refused = error.reason
            await services.songs.refuse(song, refused)
        raise
    finally:
        if target.transfer is not None:
            target.transfer.end(upload, stored, refused)
    answer = UploadAnswer("Song File uploaded successfully.", media_path(song))
    return routing.answer(answer, status=201, headers=routing.NO_STORE)


async def _take(
    services: DeviceServices, target: _Target, receiving: Receiving, chunks: AsyncIterator[bytes], upload: int
) -> Stored:
    """Raises InvalidInput for what is no media, and what the disk and the connection say."""

    async def also(transaction: Transaction, stored: Stored) -> None:
        await services.songs.note(transaction, target.song, stored)

    try:
        async for chunk in chunks:
            await receiving.write(chunk)
            if target.transfer is not None:
                target.transfer.add(upload, chunk)
    except BaseException:
        await receiving.abandon()
        raise
    if services.registry.is_gone(target.device):
        await receiving.abandon()
        raise NotPermitted("The device's access was withdrawn while the song arrived.", reason="not_your_device")
    if target.transfer is not None:
        target.transfer.rest()
    return await receiving.finish(also)


def _caller(request: web.Request) -> str:
    return request.app[keys.PEERS].address(request)


def _is_form(request: web.Request) -> bool:
    return request.content_type.startswith("multipart/")


async def _only_file(part: BodyPartReader, rest: AsyncIterator[BodyPartReader]) -> AsyncIterator[bytes]:
    """The file's bytes. Raises InvalidInput for a form with another file, or that ends without saying so.

    In the latter case the file may be cut short.
    """
    async for chunk in bodies.read_file(part):
        yield chunk
    async for further in rest:
        if bodies.is_file(further):
            raise bodies.several_files()


def _route(path: str, handler: routing.Handler) -> Route:
    return Route(
        method="POST",
        path=path,
        handler=handler,
        # Without a token only what a third party's mini-server is awaited to send, which the handlers check.
        access=Access.LAN,
        rate=Rate.UPLOADS,
        summary="A song's file, from the device that has it.",
        answer=UploadAnswer,
        errors=(401, 403, 404, 413, 415, 503, 507),
        is_asked_for=is_awaited,
    )


ROUTES: tuple[Route, ...] = (
    *with_slash(_route("/api/device/{device_id}/songs/{song_id}/upload", upload_song)),
    *with_slash(_route("/api/upload", upload)),
)
