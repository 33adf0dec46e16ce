"""What every part of the indexer needs, in one place."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import tzinfo
from typing import Protocol

from pixlsrve.events import EventBus
from pixlsrve.media.places import Place
from pixlsrve.media.roots import Roots
from pixlsrve.media.version import LibraryVersion
from pixlsrve.store.database import Database


class PlaceLookup(Protocol):
    """Names positions."""

    def lookup(self, latitude: float, longitude: float) -> Place | None:
        """The place at a position (signed degrees, WGS 84), or None."""


@dataclass(kw_only=True)
class IndexContext:
    """Databases, roots and listeners that the indexer's parts share."""

    index: Database
    state: Database
    thumbnails: Database
    roots: Roots
    bus: EventBus
    version: LibraryVersion
    places: PlaceLookup
    zone: tzinfo
    id_secret: bytes


def now_us() -> int:
    """The wall clock, microseconds since the epoch."""
    return time.time_ns() // 1_000
