"""The tunnel under its typed key, and how the handlers of several routes show it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from aiohttp import web

from pixlsrve.auth.devices import Devices
from pixlsrve.http import identity
from pixlsrve.http.times import rfc3339, rfc3339_or_none
from pixlsrve.model import Role
from pixlsrve.wg.overview import DeviceTunnel, Overview
from pixlsrve.wg.peers import PeerConfig
from pixlsrve.wg.reports import Report


class ReportItem(msgspec.Struct, frozen=True, kw_only=True):
    """What a device said last about its own end (POST /api/v1/vpn/status)."""

    status: str
    last_handshake: str | None
    rx_bytes: int
    tx_bytes: int
    reported_at: str


class TunnelItem(msgspec.Struct, frozen=True, kw_only=True):
    """A device's tunnel; counters are since the host's end came up. An admin sees `endpoint` and `revoked_reason`."""

    address: str | None
    """In the tunnel; null where the network has no room for the device any more."""
    state: str
    """allowed, or revoked: see POST /api/v1/vpn/revoke."""
    revoked_at: str | None
    revoked_reason: str | None
    is_connected: bool
    """Whether the last handshake is younger than 3 minutes."""
    last_handshake: str | None
    received_bytes: int
    sent_bytes: int
    endpoint: str | None
    """Where the device was last heard from."""
    is_outdated: bool
    """Whether the device holds a configuration that does not lead to this host any more."""
    reported: ReportItem | None


@dataclass(kw_only=True)
class TunnelFacts:
    """What is known of the tunnel. `has_dns` is the setting; `answers_dns` says whether the resolver answers now."""

    overview: Overview
    has_dns: bool
    answers_dns: Callable[[], bool] = lambda: False

    def forgetter(self, devices: Devices) -> Callable[[], Awaitable[None]]:
        """What drops the reports of devices that are not there any more, for `Revocation.on_change`."""

        async def forget() -> None:
            self.overview.reports.keep({device.id for device in devices.list_all()})

        return forget


TUNNEL_FACTS = web.AppKey("tunnel_facts", TunnelFacts)
"""How the tunnel stands."""


async def config_of(request: web.Request, device_number: int) -> PeerConfig:
    """A device's configuration; without DNS where the setting has none. Raises NotFound, Unavailable."""
    config = await request.app[identity.TUNNEL].config_for(device_number)
    facts = request.app.get(TUNNEL_FACTS)
    return config if facts is None or facts.has_dns else msgspec.structs.replace(config, dns=None)


async def tunnels(request: web.Request) -> dict[int, DeviceTunnel]:
    """Every device's tunnel, by the device's number."""
    facts = request.app.get(TUNNEL_FACTS)
    return {} if facts is None else await facts.overview.all()


def tunnel_item(tunnel: DeviceTunnel | None, viewer: Role) -> TunnelItem | None:
    """A device's tunnel as `viewer` may see it; None where it has none."""
    if tunnel is None:
        return None
    is_admin = viewer is Role.ADMIN
    return TunnelItem(
        address=tunnel.address,
        state="allowed" if tunnel.blocked_us is None else "revoked",
        revoked_at=rfc3339_or_none(tunnel.blocked_us),
        revoked_reason=tunnel.blocked_reason if is_admin else None,
        is_connected=tunnel.is_connected,
        last_handshake=rfc3339_or_none(tunnel.last_handshake_us),
        received_bytes=tunnel.received_bytes,
        sent_bytes=tunnel.sent_bytes,
        endpoint=tunnel.endpoint if is_admin else None,
        is_outdated=tunnel.is_outdated,
        reported=None if tunnel.report is None else _report(tunnel.report),
    )


def _report(report: Report) -> ReportItem:
    return ReportItem(
        status=report.status,
        last_handshake=rfc3339_or_none(report.last_handshake_us),
        rx_bytes=report.rx_bytes,
        tx_bytes=report.tx_bytes,
        reported_at=rfc3339(report.received_us),
    )
