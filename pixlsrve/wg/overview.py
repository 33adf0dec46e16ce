"""How the tunnel stands, device by device: what was provisioned, what the interface counts, what the device says."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from pixlsrve.wg import addresses
from pixlsrve.wg.interface import PeerState, TunnelUnavailable
from pixlsrve.wg.peers import Peers
from pixlsrve.wg.reports import Report, Reports

Statistics = Callable[[], Awaitable[Iterable[PeerState]]]


class DeviceTunnel(msgspec.Struct, frozen=True, kw_only=True):
    """One device's tunnel. Times in microseconds since the epoch, counters since the interface came up."""

    address: str | None
    """None where the network has no room for it any more."""
    blocked_us: int | None
    """When it was ended; None while it is allowed."""
    blocked_reason: str | None
    is_connected: bool
    last_handshake_us: int | None
    received_bytes: int
    sent_bytes: int
    endpoint: str | None
    """Where it was last heard."""
    is_outdated: bool
    """Whether the device holds a configuration that does not lead here any more."""
    report: Report | None


async def _no_statistics() -> Iterable[PeerState]:
    return ()


class Overview:
    """Puts together what is known. `statistics` and `outdated` are set once the interface's parts are there."""

    def __init__(self, peers: Peers, network: str) -> None:
        self._peers = peers
        self._network = addresses.parse_network(network)
        self.reports = Reports()
        self.statistics: Statistics = _no_statistics
        """What the interface has just now."""
        self.outdated: Callable[[int], bool] = lambda _: False
        """Whether the device with this number holds an outdated configuration."""

    async def all(self) -> dict[int, DeviceTunnel]:
        """Every device that has a tunnel, by number; without an interface nobody is connected."""
        try:
            states = {state.public_key: state for state in await self.statistics()}
        except TunnelUnavailable:
            states = {}
        last, now_s = addresses.last_number(self._network), time.time()
        found = {}
        for row in await self._peers.all_rows():
            state = states.get(row.public_key) or PeerState(public_key=row.public_key, allowed_ips=())
            heard_s = state.last_handshake_s
            has_address = row.host_number <= last
            found[row.device_id] = DeviceTunnel(
                address=str(addresses.address_of(self._network, row.host_number)) if has_address else None,
                blocked_us=row.blocked_us,
                blocked_reason=row.blocked_reason,
                is_connected=state.is_connected(now_s),
                last_handshake_us=None if heard_s is None else heard_s * 1_000_000,
                received_bytes=state.received_bytes,
                sent_bytes=state.sent_bytes,
                endpoint=state.endpoint,
                is_outdated=self.outdated(row.device_id),
                report=self.reports.find(row.device_id),
            )
        return found
