"""The tunnel's routes: a device's configuration, its reports, ending and restoring it (specs/pixlsrve-api-v1.md)."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from pixlsrve.auth.devices import clean_text
from pixlsrve.errors import InvalidInput, NotFound, NotPermitted
from pixlsrve.http import identity, keys, library, routing, tunnel
from pixlsrve.http.disposition import content_disposition
from pixlsrve.http.hosts import HOME_NAME
from pixlsrve.http.reach import REACH
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.http.times import now_us
from pixlsrve.model import Device, Role
from pixlsrve.wg import profile, render
from pixlsrve.wg.peers import KEEPALIVE_S, PeerConfig
from pixlsrve.wg.profile import Platform
from pixlsrve.wg.reports import Report

LONGEST_STATUS = 32
LONGEST_REASON = 200
_MOST_BYTES = 2**63 - 1
_CLOCK_SKEW_US = 24 * 3_600 * 1_000_000
_ENDED = "An administrator has ended this device's tunnel; POST /api/v1/vpn/restore allows it again."
_Uuid = Annotated[str, Meta(max_length=100, description="A UUID.")]
_Bytes = Annotated[int, Meta(ge=0, le=_MOST_BYTES)]
_Moment = Annotated[dt.datetime, Meta(tz=True)]


class ConfigQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Query of GET /api/v1/vpn/config."""

    format: Annotated[
        Literal["json", "conf", "qr", "mobileconfig"],
        Meta(
            description="conf: a file for wg-quick; qr: a picture of it; mobileconfig: a profile for Apple's devices."
        ),
    ] = "json"
    dns: Annotated[
        Literal["tunnel", "none"], Meta(description="none leaves the tunnel's resolver out; the device keeps its own.")
    ] = "tunnel"
    device_id: Annotated[str, Meta(max_length=100, description="Another device's, for an admin.")] | None = None
    platform: Annotated[Platform, Meta(description="Of the profile; by the device's type without it.")] | None = None


class ConfigAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A device's end of the tunnel; `private_key` is null where only the device has it, `keepalive` in seconds.

    `dns` is null where there is no resolver in the tunnel.
    """

    device_id: str
    private_key: str | None
    server_public_key: str
    server_endpoint: str
    allowed_ips: str
    device_ip: str
    dns: str | None
    keepalive: int


class StatusBody(msgspec.Struct, frozen=True, kw_only=True):
    """Body of POST /api/v1/vpn/status; the bytes are those that the device received and sent."""

    device_id: _Uuid
    status: Annotated[str, Meta(description="Such as connected or disconnected.")]
    last_handshake: _Moment | None = None
    rx_bytes: _Bytes = 0
    tx_bytes: _Bytes = 0


class RevokeBody(msgspec.Struct, frozen=True):
    """Body of POST /api/v1/vpn/revoke."""

    device_id: _Uuid
    reason: Annotated[str, Meta(description="Why, for whoever looks at the device later.")] | None = None


class RestoreBody(msgspec.Struct, frozen=True):
    """Body of POST /api/v1/vpn/restore."""

    device_id: _Uuid


class AcknowledgedAnswer(msgspec.Struct, frozen=True):
    """That a report has arrived."""

    acknowledged: bool


class VpnAnswer(msgspec.Struct, frozen=True):
    """That it is done, in a sentence."""

    success: bool
    message: str


async def get_config(request: web.Request) -> web.Response:
    """GET /api/v1/vpn/config: the tunnel's configuration of the device that asks, in the form that it asks for."""
    query = routing.query(request, ConfigQuery)
    device = _wanted(request, query.device_id)
    config = await tunnel.config_of(request, device.id)
    if await request.app[identity.TUNNEL].is_blocked(device.id):
        raise NotPermitted(_ENDED, reason="vpn_revoked")
    if query.dns == "none":
        config = msgspec.structs.replace(config, dns=None)
    if query.format == "json":
        answer = ConfigAnswer(device_id=device.uuid, keepalive=KEEPALIVE_S, **msgspec.structs.asdict(config))
        return routing.answer(answer, headers=routing.NO_STORE)
    if query.format == "conf":
        comment = f"{device.name} to the photos on {request.app[library.HOST].name}"
        text = render.wg_quick(config, has_dns=_has_dns(request), comment=comment)
        return _file(text.encode(), "text/plain; charset=utf-8", "pixlsrve.conf")
    if query.format == "qr":
        render.require_key(config)
        picture = render.qr_picture(render.wg_quick(config, has_dns=_has_dns(request)))
        return web.Response(body=picture, headers={"Content-Type": "image/png", **routing.NO_STORE})
    content = _profile(request, device, config, query.platform)
    return _file(content, profile.CONTENT_TYPE, "pixlsrve.mobileconfig")


async def report_status(request: web.Request) -> web.Response:
    """POST /api/v1/vpn/status: what a device says about its own end of the tunnel."""
    body, asker = routing.body(request, StatusBody), request[keys.PRINCIPAL]
    if asker.device_id is None or asker.device_id != body.device_id.lower():
        raise NotPermitted("A device reports about its own tunnel only.")
    device = request.app[identity.IDENTITY].devices.by_uuid(body.device_id)
    now = now_us()
    report = Report(
        status=clean_text(body.status, "status", LONGEST_STATUS),
        last_handshake_us=_handshake_us(body.last_handshake, now),
        rx_bytes=body.rx_bytes,
        tx_bytes=body.tx_bytes,
        received_us=now,
    )
    request.app[tunnel.TUNNEL_FACTS].overview.reports.note(device.id, report)
    return routing.answer(AcknowledgedAnswer(True), headers=routing.NO_STORE)


async def revoke(request: web.Request) -> web.Response:
    """POST /api/v1/vpn/revoke: end a device's tunnel and nothing else, until it is restored."""
    body, services = routing.body(request, RevokeBody), request.app[identity.IDENTITY]
    reason = None if not body.reason else clean_text(body.reason, "reason", LONGEST_REASON)
    device = services.devices.by_uuid(body.device_id)
    await request.app[identity.TUNNEL].block(device.id, services.clock.now_us(), reason)
    await services.revocation.apply()
    return routing.answer(VpnAnswer(True, "VPN access revoked"), headers=routing.NO_STORE)


async def restore(request: web.Request) -> web.Response:
    """POST /api/v1/vpn/restore: allow a device's tunnel again."""
    body, services = routing.body(request, RestoreBody), request.app[identity.IDENTITY]
    device = services.devices.by_uuid(body.device_id)
    await request.app[identity.TUNNEL].unblock(device.id)
    await services.revocation.apply()
    return routing.answer(VpnAnswer(True, "VPN access restored"), headers=routing.NO_STORE)


def _wanted(request: web.Request, device_id: str | None) -> Device:
    """The device whose configuration is asked for. Raises NotFound, and NotPermitted for somebody else's."""
    asker = request[keys.PRINCIPAL]
    if device_id is not None and device_id.lower() != asker.device_id and asker.role is not Role.ADMIN:
        raise NotPermitted("Only an administrator gets another device's configuration.")
    wanted = device_id or asker.device_id
    if wanted is None:
        raise NotFound("Only a device has a tunnel; ask with its token, or as an administrator with ?device_id=.")
    return request.app[identity.IDENTITY].devices.by_uuid(wanted)


def _handshake_us(moment: dt.datetime | None, now: int) -> int | None:
    """A reported time; the zero times of clients that never had a handshake count as none. Raises InvalidInput."""
    at_us = 0 if moment is None else int(moment.timestamp()) * 1_000_000
    if at_us > now + _CLOCK_SKEW_US:
        message = "The field last_handshake is wrong: it lies in the future."
        raise InvalidInput(message, reason="invalid_field", parameter="last_handshake")
    return at_us if at_us > 0 else None


def _has_dns(request: web.Request) -> bool:
    """Whether the tunnel's resolver answers: without it, naming it would take the device's internet away."""
    facts = request.app.get(tunnel.TUNNEL_FACTS)
    return facts is not None and facts.answers_dns()


def _profile(request: web.Request, device: Device, config: PeerConfig, platform: Platform | None) -> bytes:
    """The profile for Apple's devices."""
    host, reach = request.app[library.HOST], request.app.get(REACH)
    at_home = [] if reach is None else [way.url for way in reach.ways() if way.kind == "lan"]
    return profile.mobileconfig(
        config,
        device_id=device.uuid,
        host_name=host.name,
        platform=platform or profile.platform_of(device.type),
        home_urls=[f"{url}/api/v1/discovery/info?host_id={host.host_id}" for url in at_home],
        own_names=[HOME_NAME],
        has_dns=_has_dns(request),
    )


def _file(content: bytes, content_type: str, name: str) -> web.Response:
    """Something to be kept as a file by the device, and by nobody between."""
    headers = {"Content-Type": content_type, "Content-Disposition": content_disposition(name, attachment=True)}
    return web.Response(body=content, headers={**headers, **routing.NO_STORE})


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/vpn/config",
        handler=get_config,
        access=Access.MEMBER,
        rate=Rate.OTHER,
        summary="The tunnel's configuration of the device that asks: as JSON, file, QR code or profile.",
        query=ConfigQuery,
        answer=ConfigAnswer,
        errors=(403, 404, 409, 503),
    ),
    Route(
        method="POST",
        path="/api/v1/vpn/status",
        handler=report_status,
        access=Access.MEMBER,
        rate=Rate.OTHER,
        summary="What a device says about its own end of the tunnel.",
        body=StatusBody,
        answer=AcknowledgedAnswer,
        errors=(403,),
    ),
    Route(
        method="POST",
        path="/api/v1/vpn/revoke",
        handler=revoke,
        access=Access.ADMIN,
        rate=Rate.OTHER,
        summary="End a device's tunnel, and nothing else.",
        body=RevokeBody,
        answer=VpnAnswer,
        errors=(404,),
    ),
    Route(
        method="POST",
        path="/api/v1/vpn/restore",
        handler=restore,
        access=Access.ADMIN,
        rate=Rate.OTHER,
        summary="Allow a device's tunnel again.",
        body=RestoreBody,
        answer=VpnAnswer,
        errors=(404,),
    ),
)
