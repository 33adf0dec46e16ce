"""PiSync's devices: listing them, syncing one, and what went wrong, letter for letter (specs/pisync-api.md)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from pixlsrve.devices.outcomes import Outcome
from pixlsrve.errors import NotAuthenticated, NotFound
from pixlsrve.http import identity, keys, routing
from pixlsrve.http.device_access import DEVICES
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.http.times import rfc3339_ms
from pixlsrve.model import Device
from pixlsrve.store.device_sync import SyncRow

DEFAULT_LIMIT = 50
SortBy = Literal["device_id", "name", "type", "last_sync_at", "sync_status_code", "last_attempt_at"]


class DevicesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Without any of them every device is listed; `sync_status_code` is a code, or `!200` for all but that."""

    page: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] | None = None
    sort_by: SortBy = "device_id"
    order: Literal["asc", "desc"] = "asc"
    sync_status_code: Annotated[str, Meta(pattern="^!?[0-9]{3}$")] | None = None


class LogsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the log."""

    page: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    limit: Annotated[int, Meta(ge=1, le=500)] = DEFAULT_LIMIT


class DeviceItem(msgspec.Struct, frozen=True, kw_only=True):
    """The specification's Device."""

    device_id: int
    name: str
    type: str
    last_sync_at: str | None
    sync_status_code: int | None
    error_message: str | None
    last_attempt_at: str | None


class DevicesAnswer(msgspec.Struct, frozen=True):
    """The devices; `count` is how many there are, of which a page may show fewer."""

    count: int
    devices: list[DeviceItem]


class SyncAnswer(msgspec.Struct, frozen=True):
    """How a sync went, and the device since then."""

    message: str
    device: DeviceItem


class LogItem(msgspec.Struct, frozen=True, kw_only=True):
    """A sync that failed."""

    device_id: int
    name: str
    type: str
    sync_status_code: int
    error_message: str
    last_attempt_at: str


class LogsAnswer(msgspec.Struct, frozen=True):
    """The failed syncs of one's devices, the newest first; `count` is how many are remembered."""

    count: int
    logs: list[LogItem]


async def list_devices(request: web.Request) -> web.Response:
    """GET /pisync/devices: the caller's devices."""
    asked = routing.query(request, DevicesQuery)
    items = [_item(request, device) for device in _own(request)]
    if asked.sync_status_code is not None:
        code, is_other = int(asked.sync_status_code[-3:]), asked.sync_status_code.startswith("!")
        items = [item for item in items if (item.sync_status_code == code) is not is_other]
    items = _sorted(items, asked.sort_by, is_descending=asked.order == "desc")
    count = len(items)
    if asked.page is not None or asked.limit is not None:
        limit = asked.limit or DEFAULT_LIMIT
        start = ((asked.page or 1) - 1) * limit
        items = items[start : start + limit]
    return routing.answer(DevicesAnswer(count, items), headers=routing.NO_STORE)


async def list_failures(request: web.Request) -> web.Response:
    """GET /pisync/devices/logs: the syncs that failed."""
    asked, devices = routing.query(request, LogsQuery), {device.id: device for device in _own(request)}
    registry = request.app[DEVICES].registry
    count, failures = await registry.failures(list(devices), page=asked.page, limit=asked.limit)
    logs = [
        LogItem(
            device_id=failure.device_id,
            name=devices[failure.device_id].name,
            type=devices[failure.device_id].type,
            sync_status_code=failure.code,
            error_message=failure.message,
            last_attempt_at=rfc3339_ms(failure.at_us),
        )
        for failure in failures
    ]
    return routing.answer(LogsAnswer(count, logs), headers=routing.NO_STORE)


async def get_sync(request: web.Request) -> web.Response:
    """GET /pisync/devices/{id}: sync the device now. A page's cookie is not enough, for this changes things (T28)."""
    if "Authorization" not in request.headers:
        raise NotAuthenticated("No auth token provided", reason="no_token")
    return await post_sync(request)


async def post_sync(request: web.Request) -> web.Response:
    """POST /pisync/devices/{id}/sync: the same."""
    device = _find(request, request.match_info["id"])
    row = await request.app[DEVICES].syncs.sync(device)
    message = "Device synced successfully" if row.message is None else f"Sync failed: {row.message}"
    answer = SyncAnswer(message, _shown(device, row))
    return routing.answer(answer, status=row.code, headers=routing.NO_STORE)


def _own(request: web.Request) -> list[Device]:
    return request.app[identity.IDENTITY].devices.list_visible(request[keys.PRINCIPAL])


def _find(request: web.Request, text: str) -> Device:
    """The caller's device with this number or id. Raises NotFound."""
    for device in _own(request):
        if text in {str(device.id), device.uuid}:
            return device
    raise NotFound(f"Device with ID {text[:100]} not found")


def _item(request: web.Request, device: Device) -> DeviceItem:
    return _shown(device, request.app[DEVICES].registry.sync(device.id))


def _shown(device: Device, row: SyncRow | None) -> DeviceItem:
    return DeviceItem(
        device_id=device.id,
        name=device.name,
        type=device.type,
        last_sync_at=None if row is None or row.synced_us is None else rfc3339_ms(row.synced_us),
        sync_status_code=None if row is None else row.code,
        error_message=None if row is None else row.message,
        last_attempt_at=None if row is None else rfc3339_ms(row.attempted_us),
    )


def _sorted(items: list[DeviceItem], by: SortBy, *, is_descending: bool) -> list[DeviceItem]:
    """Sorted, what has no such fact last."""

    def key(item: DeviceItem) -> tuple[str | int, int]:
        value = getattr(item, by)
        return (value.casefold() if isinstance(value, str) else value), item.device_id

    known = [item for item in items if getattr(item, by) is not None]
    unknown = [item for item in items if getattr(item, by) is None]
    return sorted(known, key=key, reverse=is_descending) + unknown


_FAILED = tuple(sorted({outcome.code for outcome in Outcome} - {200}))

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/pisync/devices",
        handler=list_devices,
        access=Access.MEMBER,
        rate=Rate.OTHER,
        summary="One's devices, and how their last syncs went.",
        query=DevicesQuery,
        answer=DevicesAnswer,
    ),
    Route(
        method="GET",
        path="/pisync/devices/logs",
        handler=list_failures,
        access=Access.MEMBER,
        rate=Rate.OTHER,
        summary="The syncs of one's devices that failed.",
        query=LogsQuery,
        answer=LogsAnswer,
    ),
    Route(
        method="GET",
        path="/pisync/devices/{id}",
        handler=get_sync,
        access=Access.MEMBER,
        rate=Rate.OTHER,
        summary="Sync a device now; answers when that is done.",
        answer=SyncAnswer,
        errors=_FAILED,
    ),
    Route(
        method="POST",
        path="/pisync/devices/{id}/sync",
        handler=post_sync,
        access=Access.MEMBER,
        rate=Rate.OTHER,
        summary="Sync a device now; answers when that is done.",
        answer=SyncAnswer,
        errors=_FAILED,
    ),
)
