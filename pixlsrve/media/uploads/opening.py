"""Uploads as a part of the running daemon."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from pixlsrve.config import UploadsConfig
from pixlsrve.events import EventBus
from pixlsrve.media.roots import Roots
from pixlsrve.media.uploads.arrivals import Arrivals
from pixlsrve.media.uploads.service import Uploads
from pixlsrve.media.uploads.sessions import Sessions
from pixlsrve.store.database import Database


class UploadParts(NamedTuple):
    """What takes files in, and those of its uploads that can be resumed."""

    uploads: Uploads
    sessions: Sessions


@contextlib.asynccontextmanager
async def open_uploads(
    *,
    state: Database,
    index: Database,
    roots: Roots,
    arrivals: Arrivals,
    bus: EventBus,
    config: UploadsConfig,
    now_us: Callable[[], int],
) -> AsyncIterator[UploadParts]:
    """Uploads for the length of the block; what a crash left half-received is gone when it begins."""
    uploads = Uploads(state=state, index=index, roots=roots, arrivals=arrivals, bus=bus, config=config, now_us=now_us)
    sessions = Sessions(uploads, state, now_us)
    try:
        await sessions.prepare()
        yield UploadParts(uploads, sessions)
    finally:
        await uploads.close()
