"""The devices that have been paired, as their owners and admins see them: /api/v1/devices."""

from __future__ import annotations

import msgspec
from aiohttp import web

from pixlsrve.http import identity, keys, routing, tunnel
from pixlsrve.http.device_access import DEVICES
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.http.times import rfc3339, rfc3339_or_none
from pixlsrve.http.tunnel import TunnelItem
from pixlsrve.model import Device, Role


class SyncItem(msgspec.Struct, frozen=True, kw_only=True):
    """How the last sync went: `code` and `message` are PiSync's, `synced_at` is the last that went well."""

    synced_at: str | None
    attempted_at: str
    code: int
    message: str | None


class DeviceItem(msgspec.Struct, frozen=True, kw_only=True):
    """A device; `number` is what /pisync and the commands call it, `username` its owner, null for the household."""

    device_id: str
    number: int
    device_name: str
    device_type: str
    role: Role
    username: str | None
    is_current: bool
    """Whether it is the one that asks."""
    paired_at: str
    last_seen_at: str | None
    tunnel: TunnelItem | None
    last_sync: SyncItem | None
    """Of a mini-server; null where there has been none."""


class DevicesAnswer(msgspec.Struct, frozen=True):
    """The devices that the caller may see, the oldest first."""

    devices: list[DeviceItem]


async def list_devices(request: web.Request) -> web.Response:
    """GET /api/v1/devices: one's own, all for an admin."""
    devices, asker = request.app[identity.IDENTITY].devices, request[keys.PRINCIPAL]
    found, items = await tunnel.tunnels(request), []
    for device in devices.list_visible(asker):
        owner = devices.owner(device)
        item = DeviceItem(
            device_id=device.uuid,
            number=device.id,
            device_name=device.name,
            device_type=device.type,
            role=devices.role(device),
            username=None if owner is None else owner.username,
            is_current=device.uuid == asker.device_id,
            paired_at=rfc3339(device.paired_us),
            last_seen_at=rfc3339_or_none(device.last_seen_us),
            tunnel=tunnel.tunnel_item(found.get(device.id), asker.role),
            last_sync=_sync(request, device),
        )
        items.append(item)
    return routing.answer(DevicesAnswer(items))


def _sync(request: web.Request, device: Device) -> SyncItem | None:
    services = request.app.get(DEVICES)
    row = None if services is None else services.registry.sync(device.id)
    if row is None:
        return None
    return SyncItem(
        synced_at=rfc3339_or_none(row.synced_us),
        attempted_at=rfc3339(row.attempted_us),
        code=row.code,
        message=row.message,
    )


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/devices",
        handler=list_devices,
        access=Access.MEMBER,
        rate=Rate.OTHER,
        summary="The paired devices: one's own, all for an administrator.",
        answer=DevicesAnswer,
    ),
)
