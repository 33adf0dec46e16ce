"""The library's services under their typed keys, and what this layer asks of the parts above and beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec
from aiohttp import web

from pixlsrve.http import keys
from pixlsrve.index.progress import IndexStatus
from pixlsrve.media.assets import Library
from pixlsrve.media.conversions import Conversions
from pixlsrve.media.roots import Roots
from pixlsrve.media.thumbnails import ThumbnailCache
from pixlsrve.store.assets import Viewer


class Ticket(Protocol):
    """A scan that was asked for."""

    @property
    def scan_id(self) -> str:
        """A UUID."""

    @property
    def estimated_duration_s(self) -> int:
        """A guess."""


class Scans(Protocol):
    """What the handlers ask of the indexer."""

    def status(self) -> IndexStatus:
        """How far indexing has come."""

    async def request_scan(self, *, full: bool, accept_removals: bool) -> Ticket:
        """Have all roots walked."""


@dataclass(frozen=True, kw_only=True)
class HostInfo:
    """Who this host is. `started_s` is on the monotonic clock; `is_discreet` hides from strangers how much there is."""

    host_id: str
    name: str
    version: str
    started_s: float
    capabilities: tuple[str, ...] = ("thumbnails", "search")
    is_discreet: bool = False


class WireguardStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The tunnel; `reason` says why there is none."""

    enabled: bool = False
    listening_port: int | None = None
    connected_peers: int = 0
    reason: str | None = None


LIBRARY = web.AppKey("library", Library)
"""Questions about the index."""

YEAR = "max-age=31536000"
"""How long a thumbnail may be kept: its address changes with it."""

THUMBNAILS = web.AppKey("thumbnails", ThumbnailCache)
"""Thumbnails by asset."""

THUMBNAIL_CACHING: web.AppKey[Literal["public", "private"]] = web.AppKey("thumbnail_caching", str)  # type: ignore[arg-type]  # one of two words
"""The setting http.thumbnail_cache."""

CONVERSIONS = web.AppKey("conversions", Conversions)
"""Originals as JPEG."""

ROOTS = web.AppKey("roots", Roots)
"""Where originals are."""

SCANS: web.AppKey[Scans] = web.AppKey("scans", object)  # type: ignore[arg-type]  # a protocol
"""The indexer."""

HOST = web.AppKey("host", HostInfo)
"""Who this host is."""

WIREGUARD: web.AppKey[Callable[[], Awaitable[WireguardStatus]]] = web.AppKey("wireguard", object)  # type: ignore[arg-type]  # a callable
"""Says how the tunnel is."""


def viewer_of(request: web.Request) -> Viewer:
    """The roots that the caller may see; None for all."""
    return request[keys.PRINCIPAL].roots
