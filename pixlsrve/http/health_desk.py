"""What an admin is told about the host's health: findings, disks, the way in from outside, late failures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec
from aiohttp import web

from pixlsrve.auth.service import Identity
from pixlsrve.config import Config
from pixlsrve.devices.service import DeviceServices
from pixlsrve.doctor import folders, parts
from pixlsrve.doctor.disks import Disk, Use, find_disks
from pixlsrve.doctor.finding import Finding
from pixlsrve.doctor.reachability import Verdict
from pixlsrve.http.times import rfc3339
from pixlsrve.media.roots import Roots
from pixlsrve.model import RootState
from pixlsrve.store import uploads
from pixlsrve.store.database import Queries

FAILURES = 20
GROWTH_DAYS = 30
DAY_US = 86_400 * 1_000_000
Notices = Callable[[], list[dict[str, str]]]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Something that went wrong lately: a sync of a device."""

    kind: Literal["sync"]
    at: str
    device_name: str
    message: str


class Growth(msgspec.Struct, frozen=True):
    """What uploads have added over the last `days`."""

    days: int
    bytes: int


def _none() -> list[dict[str, str]]:
    return []


class HealthDesk:
    """Looks, each time that it is asked. `notices` and `verdict` are known once the control socket is."""

    def __init__(
        self, config: Config, state: Queries, *, roots: Roots, identity: Identity, devices: DeviceServices
    ) -> None:
        self._config = config
        self._state = state
        self._roots = roots
        self._identity = identity
        self._devices = devices
        self.notices: Notices = _none
        self.verdict: Callable[[], Awaitable[Verdict]] | None = None

    async def findings(self) -> list[Finding]:
        """What is wrong, as `pixlsrve doctor` finds it; without the walk through every folder."""
        said = [
            Finding(check="daemon", severity="warning", message=notice["message"], remedy=notice["remedy"])
            for notice in self.notices()
        ]
        return said + await asyncio.to_thread(lambda: list(self._examine()))

    async def disks(self) -> list[Disk]:
        """The disks of our folders; those of offline roots are left alone, since a dead share answers nobody."""
        online = [root for root in self._roots if root.state is not RootState.OFFLINE]
        wanted: list[tuple[Use, Path]] = [("uploads" if root.is_uploads else "photos", root.path) for root in online]
        wanted.append(("state", self._config.data_path))
        return await asyncio.to_thread(find_disks, wanted, self._config.uploads)

    async def growth(self) -> Growth:
        """What uploads have added lately."""
        since_us = time.time_ns() // 1_000 - GROWTH_DAYS * DAY_US
        return Growth(GROWTH_DAYS, await uploads.stored_since(self._state, since_us))

    async def failures(self) -> list[Failure]:
        """The last syncs that failed, the newest first."""
        devices = {device.id: device for device in self._identity.devices.list_all()}
        _, rows = await self._devices.registry.failures(list(devices), page=1, limit=FAILURES)
        return [
            Failure(
                kind="sync",
                at=rfc3339(row.at_us),
                device_name=devices[row.device_id].name,
                message=row.message,
            )
            for row in rows
            if row.device_id in devices
        ]

    def _examine(self) -> Iterator[Finding]:
        yield from folders.check_data_dir(self._config.data_path)
        yield from folders.check_storage_dir(self._config.storage_path)
        yield from parts.check_clock(self._config.data_path)


HEALTH_DESK = web.AppKey("health_desk", HealthDesk)
"""How the host is."""
