"""What devices report about their own end of the tunnel: each one's last word, until the daemon ends."""

from __future__ import annotations

from collections.abc import Collection

import msgspec


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A device's word; times in microseconds since the epoch, `received_us` by the host's clock."""

    status: str
    last_handshake_us: int | None
    rx_bytes: int
    tx_bytes: int
    received_us: int


class Reports:
    """One report a device."""

    def __init__(self) -> None:
        self._reports: dict[int, Report] = {}

    def note(self, device_id: int, report: Report) -> None:
        """Keep a device's report in place of its earlier one."""
        self._reports[device_id] = report

    def find(self, device_id: int) -> Report | None:
        """What the device reported last."""
        return self._reports.get(device_id)

    def keep(self, device_ids: Collection[int]) -> None:
        """Forget the reports of all other devices."""
        for device_id in self._reports.keys() - set(device_ids):
            del self._reports[device_id]
