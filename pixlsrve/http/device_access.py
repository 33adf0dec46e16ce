"""Whose device a request is about, and who may see a song (THREATS T15, T17)."""

from __future__ import annotations

import mimetypes
from urllib.parse import quote

from aiohttp import web

from pixlsrve.devices.service import DeviceServices
from pixlsrve.errors import NotFound, NotPermitted
from pixlsrve.http import identity, keys
from pixlsrve.http.original_files import UNKNOWN
from pixlsrve.model import Device, Principal, Role
from pixlsrve.store.songs import Song

DEVICES = web.AppKey("device_services", DeviceServices)
"""Mini-servers, songs and syncs."""

_FOLDERS = frozenset({"audio", "video", "image"})


def known_device(request: web.Request, device_id: str) -> Device:
    """Any device, whoever asks. Raises NotPermitted, so that nobody learns which there are."""
    try:
        return request.app[identity.IDENTITY].devices.by_uuid(device_id.lower())
    except NotFound:
        raise _foreign() from None


def own_device(request: web.Request, device_id: str) -> Device:
    """The device itself or, for an admin, any. Raises NotPermitted, the same for one that does not exist."""
    asker = request[keys.PRINCIPAL]
    device = known_device(request, device_id)
    if asker.role is not Role.ADMIN and asker.device_id != device.uuid:
        raise _foreign()
    return device


def visible_device(request: web.Request, device_id: str) -> Device:
    """A device that is the caller's own, or its owner's, or any for an admin. Raises NotPermitted as above."""
    device = known_device(request, device_id)
    if not is_own(request, request[keys.PRINCIPAL], device):
        raise _foreign()
    return device


def is_own(request: web.Request, asker: Principal, device: Device) -> bool:
    """Whether the device is the caller, belongs to the caller's account, or the caller is an admin."""
    owner = request.app[identity.IDENTITY].devices.owner(device)
    return (
        asker.role is Role.ADMIN
        or asker.device_id == device.uuid
        or (owner is not None and owner.uuid == asker.account_id)
    )


async def song_of(request: web.Request, device: Device, song_id: str) -> Song:
    """A song of the device. Raises NotFound, for another device's too."""
    song = await request.app[DEVICES].songs.find(song_id)
    if song.device_id != device.id:
        raise NotFound("There is no such song.")
    return song


def file_name(song: Song) -> str:
    """The song's name without its folders, whatever system its device is of."""
    return song.path.replace("\\", "/").rstrip("/").rpartition("/")[2] or "song"


def mime_of(song: Song) -> str:
    """What the song's name promises; for what has not come in yet."""
    guessed, _ = mimetypes.guess_type(file_name(song))
    return guessed if guessed and guessed.partition("/")[0] in _FOLDERS else UNKNOWN


def media_path(song: Song) -> str:
    """The URL path under which the host serves the song once it is here."""
    kind = mime_of(song).partition("/")[0]
    return f"/media/{kind if kind in _FOLDERS else 'file'}/{song.uuid}/{quote(file_name(song), safe='')}"


def _foreign() -> NotPermitted:
    return NotPermitted("This is not a device of yours.", reason="not_your_device")
