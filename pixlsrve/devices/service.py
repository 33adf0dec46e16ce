"""The devices' side of the host as one piece, built in the right order."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from pixlsrve.auth.keys import SigningKey
from pixlsrve.auth.service import Identity
from pixlsrve.devices.addresses import Reachable
from pixlsrve.devices.fetch import Asking, Fetcher
from pixlsrve.devices.registry import Registry
from pixlsrve.devices.songs import Songs
from pixlsrve.devices.sync import Syncs
from pixlsrve.events import EventBus
from pixlsrve.media.uploads.service import Uploads
from pixlsrve.outbound import CONNECT_LIMIT_S, PROGRESS_LIMIT_S, DeviceCalls
from pixlsrve.store.database import Database


@dataclass(frozen=True, kw_only=True)
class DeviceServices:
    """The parts."""

    registry: Registry
    songs: Songs
    fetcher: Fetcher
    syncs: Syncs
    uploads: Uploads


@contextlib.asynccontextmanager
async def open_devices(
    state: Database,
    *,
    identity: Identity,
    key: SigningKey,
    bus: EventBus,
    uploads: Uploads,
    reachable: Reachable | None = None,
    connect_s: float = CONNECT_LIMIT_S,
    silence_s: float = PROGRESS_LIMIT_S,
) -> AsyncIterator[DeviceServices]:
    """The parts, with their rows read, for the length of the block; what is under way ends with it."""
    registry = Registry(state, identity.directory, identity.clock, key, reachable or Reachable())
    await registry.load()
    songs = Songs(state, identity.clock)
    async with DeviceCalls(connect_s=connect_s, silence_s=silence_s) as calls:
        asking = Asking(registry, calls)
        fetcher = Fetcher(registry, asking, silence_s=silence_s)
        syncs = Syncs(registry, songs, asking, fetcher, directory=identity.directory, clock=identity.clock, bus=bus)
        try:
            yield DeviceServices(registry=registry, songs=songs, fetcher=fetcher, syncs=syncs, uploads=uploads)
        finally:
            await syncs.close()
            await fetcher.close()
