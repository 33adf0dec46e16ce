"""How the tunnel itself stands, for the API, the control socket and Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pixlsrve.http.library import WireguardStatus
from pixlsrve.wg.tunnel import Tunnel


async def wireguard_status(tunnel: Tunnel) -> WireguardStatus:
    """`wireguard_status` of GET /api/v1/host/status."""
    state = tunnel.status()
    return WireguardStatus(
        enabled=state.enabled,
        listening_port=state.listening_port,
        connected_peers=await tunnel.connected_peers(),
        reason=state.reason,
    )


async def tunnel_facts(tunnel: Tunnel) -> dict[str, Any]:
    """What `pixlsrve status --json` shows under `wireguard`."""
    return {**msgspec.structs.asdict(tunnel.status()), "connected_peers": await tunnel.connected_peers()}


class TunnelFigures(Collector):
    """What Prometheus is told: as the interface was looked at last, within a minute."""

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel

    def collect(self) -> Iterator[Metric]:
        """Three gauges."""
        state = self._tunnel.status()
        yield GaugeMetricFamily("pixlsrve_tunnel_up", "Whether there is a tunnel.", value=state.enabled)
        yield GaugeMetricFamily("pixlsrve_tunnel_peers", "Devices that may use the tunnel.", value=state.peers)
        yield GaugeMetricFamily(
            "pixlsrve_tunnel_connected_peers",
            "Devices whose last handshake is younger than 3 minutes.",
            value=self._tunnel.last_connected(),
        )
