"""The host's side of the mini-servers: they register themselves and their songs here (specs/device-mini-server.md)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from pixlsrve.devices.manifest import digest, ns_of
from pixlsrve.http import keys, routing
from pixlsrve.http.device_access import DEVICES, media_path, own_device, visible_device
from pixlsrve.http.routing import Access, Rate, Route, with_slash
from pixlsrve.model import Device
from pixlsrve.store.songs import Listed, Song

_encode = msgspec.json.Encoder().encode


class RegisterBody(msgspec.Struct, frozen=True):
    """Where a mini-server listens; without `address` at the one that the call comes from."""

    port: Annotated[int, Meta(ge=1, le=65535)]
    address: Annotated[str, Meta(min_length=1, max_length=253)] | None = None


class RegisterAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was registered; `credential` is the bearer token that the host will show to the mini-server."""

    message: str
    device_id: str
    address: str
    port: int
    credential: str

    def __repr__(self) -> str:
        return f"RegisterAnswer(device_id={self.device_id!r})"


class SongBody(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the device: `path` as the device calls it, `mtime` in seconds since the epoch."""

    path: str
    size_bytes: int = 0
    mtime: float | None = None
    sha256: str | None = None
    title: str | None = None
    artist: str | None = None


class SongsBody(msgspec.Struct, frozen=True):
    """Body of POST /api/device/{device_id}/songs/."""

    songs: list[SongBody]


class SongItem(msgspec.Struct, frozen=True, kw_only=True):
    """A song of a device; `url` is where the host serves it, null before it was transferred."""

    song_id: str
    path: str
    size_bytes: int
    sha256: str | None
    title: str | None
    artist: str | None
    url: str | None


class SongsAnswer(msgspec.Struct, frozen=True):
    """Songs, in the order in which they were sent or became known."""

    songs: list[SongItem]


async def register(request: web.Request) -> web.Response:
    """POST /api/device/{device_id}/register/: where the device's mini-server is from now on."""
    body, device = routing.body(request, RegisterBody), own_device(request, request.match_info["device_id"])
    registry = request.app[DEVICES].registry
    # Behind a proxy that isn't trusted nobody knows who asks: such a caller is not on this host, and names an address.
    caller = request.app[keys.PEERS].known_address(request)
    agent = await registry.register(device, address=body.address, port=body.port, caller=caller)
    answer = RegisterAnswer(
        message="Device registered successfully.",
        device_id=device.uuid,
        address=agent.address,
        port=agent.port,
        credential=registry.credential(device),
    )
    return routing.answer(answer, headers=routing.NO_STORE)


async def add_songs(request: web.Request) -> web.Response:
    """POST /api/device/{device_id}/songs/: what the device has; each gets an id, and keeps it."""
    body, device = routing.body(request, SongsBody), own_device(request, request.match_info["device_id"])
    songs = await request.app[DEVICES].songs.add(device, [_listed(song) for song in body.songs])
    return routing.answer(SongsAnswer([_item(song) for song in songs]), headers=routing.NO_STORE)


async def list_songs(request: web.Request) -> web.StreamResponse:
    """GET /api/device/{device_id}/songs/: all of them, sent as they are read."""
    device = visible_device(request, request.match_info["device_id"])
    response = web.StreamResponse(headers={"Content-Type": routing.JSON, **routing.NO_STORE})
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    start = b'{"songs":['
    async for songs in _pages(request, device):
        await response.write(start + b",".join(_encode(_item(song)) for song in songs))
        start = b","
    await response.write(b"]}" if start == b"," else b'{"songs":[]}')
    await response.write_eof()
    return response


async def _pages(request: web.Request, device: Device) -> AsyncIterator[list[Song]]:
    after_id = 0
    while songs := await request.app[DEVICES].songs.of_device(device, after_id=after_id):
        yield songs
        after_id = songs[-1].id


def _listed(song: SongBody) -> Listed:
    """Raises InvalidInput."""
    return Listed(
        path=song.path,
        size_bytes=song.size_bytes,
        mtime_ns=ns_of(song.mtime),
        sha256=digest(song.sha256),
        title=song.title,
        artist=song.artist,
    )


def _item(song: Song) -> SongItem:
    return SongItem(
        song_id=song.uuid,
        path=song.path,
        size_bytes=song.size_bytes,
        sha256=None if song.sha256 is None else song.sha256.hex(),
        title=song.title,
        artist=song.artist,
        url=None if song.got_sha256 is None else media_path(song),
    )


ROUTES: tuple[Route, ...] = (
    *with_slash(
        Route(
            method="POST",
            path="/api/device/{device_id}/register",
            handler=register,
            access=Access.MEMBER,
            rate=Rate.UPLOADS,
            summary="Where the mini-server of a device listens.",
            body=RegisterBody,
            answer=RegisterAnswer,
            errors=(403,),
        )
    ),
    *with_slash(
        Route(
            method="POST",
            path="/api/device/{device_id}/songs",
            handler=add_songs,
            access=Access.MEMBER,
            rate=Rate.UPLOADS,
            summary="Tell which songs a device has.",
            body=SongsBody,
            answer=SongsAnswer,
            errors=(403,),
        )
    ),
    *with_slash(
        Route(
            method="GET",
            path="/api/device/{device_id}/songs",
            handler=list_songs,
            access=Access.MEMBER,
            rate=Rate.UPLOADS,
            summary="The songs of a device.",
            answer=SongsAnswer,
            errors=(403,),
        )
    ),
)
