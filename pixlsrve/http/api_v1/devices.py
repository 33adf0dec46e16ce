"""The devices that have been paired, as their owners and admins see them: /api/v1/devices, /api/v1/vpn/config."""

from __future__ import annotations

import msgspec
from aiohttp import web

from pixlsrve.errors import NotFound
from pixlsrve.http import identity, keys, routing
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.http.times import rfc3339
from pixlsrve.model import Role
from pixlsrve.wg.peers import KEEPALIVE_S


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


class DevicesAnswer(msgspec.Struct, frozen=True):
    """The devices that the caller may see, the oldest first."""

    devices: list[DeviceItem]


class ConfigAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A device's end of the tunnel; `private_key` is null where only the device has it, `keepalive` in seconds."""

    device_id: str
    private_key: str | None
    server_public_key: str
    server_endpoint: str
    allowed_ips: str
    device_ip: str
    dns: str
    keepalive: int


async def list_devices(request: web.Request) -> web.Response:
    """GET /api/v1/devices: one's own, all for an admin."""
    devices, asker = request.app[identity.IDENTITY].devices, request[keys.PRINCIPAL]
    items = []
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
            last_seen_at=None if device.last_seen_us is None else rfc3339(device.last_seen_us),
        )
        items.append(item)
    return routing.answer(DevicesAnswer(items))


async def get_config(request: web.Request) -> web.Response:
    """GET /api/v1/vpn/config: the tunnel's configuration of the device that asks."""
    asker = request[keys.PRINCIPAL]
    if asker.device_id is None:
        raise NotFound("Only a device has a tunnel configuration; ask with its token.")
    device = request.app[identity.IDENTITY].devices.by_uuid(asker.device_id)
    config = await request.app[identity.TUNNEL].config_for(device.id)
    answer = ConfigAnswer(device_id=device.uuid, keepalive=KEEPALIVE_S, **msgspec.structs.asdict(config))
    return routing.answer(answer, headers={"Cache-Control": "no-store"})


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
    Route(
        method="GET",
        path="/api/v1/vpn/config",
        handler=get_config,
        access=Access.MEMBER,
        rate=Rate.OTHER,
        summary="The tunnel's configuration of the device that asks.",
        answer=ConfigAnswer,
        errors=(404, 503),
    ),
)
