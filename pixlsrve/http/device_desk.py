"""The control socket's route for mini-servers that can't register themselves: what `pixlsrve devices add` asks for."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from pixlsrve.devices.service import DeviceServices
from pixlsrve.devices.songs import check
from pixlsrve.http import routing
from pixlsrve.http.control import ControlRoute
from pixlsrve.http.inputs import BodyCheck
from pixlsrve.store.songs import Listed


class AddBody(msgspec.Struct, frozen=True, kw_only=True):
    """Body of POST /devices/mini-servers; `songs` are paths as the mini-server calls them."""

    name: str
    address: Annotated[str, Meta(min_length=1, max_length=253)]
    port: Annotated[int, Meta(ge=1, le=65535)]
    songs: list[str] = []


class DeviceDesk:
    """Answers about mini-servers."""

    def __init__(self, services: DeviceServices) -> None:
        self._services = services
        self._read_add = BodyCheck(AddBody)

    def handlers(self) -> list[ControlRoute]:
        """Method, path and handler of each route."""
        return [("POST", "/devices/mini-servers", self._add)]

    async def _add(self, request: web.Request) -> web.Response:
        body = await self._read_add(request)
        listed = [Listed(path=path, size_bytes=0) for path in body.songs]
        for song in listed:
            check(song)
        device = await self._services.registry.add_foreign(body.name, address=body.address, port=body.port)
        songs = await self._services.songs.add(device, listed)
        return routing.answer(
            {
                "id": device.id,
                "device_id": device.uuid,
                "device_name": device.name,
                "songs": [{"song_id": song.uuid, "path": song.path} for song in songs],
            }
        )
