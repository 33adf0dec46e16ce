"""What the indexer does while its databases can't be written: waits, and says so once in a while (THREATS T32)."""

from __future__ import annotations

import asyncio
import time

import structlog

from pixlsrve.errors import PixlsrveError, StorageError, StorageFull
from pixlsrve.store.database import DatabaseDamaged

log = structlog.get_logger(__name__)

PAUSE_S = 2.0
SAY_EVERY_S = 600.0
CANT_WRITE = (StorageError, StorageFull)


class DiskTrouble:
    """Shared by everything that writes the index, so that a full disk is one line in the log and not one a file."""

    def __init__(self) -> None:
        self._said_s: float | None = None

    async def wait(self, error: PixlsrveError) -> None:
        """Pause before the next try. Raises `error` again where waiting does not help."""
        if isinstance(error, DatabaseDamaged):
            raise error
        now_s = time.monotonic()
        if self._said_s is None or now_s - self._said_s >= SAY_EVERY_S:
            self._said_s = now_s
            log.warning("the index can't be written; it is tried again all the time", error=error.message)
        await asyncio.sleep(PAUSE_S)

    def is_over(self) -> None:
        """Something was written."""
        if self._said_s is not None:
            self._said_s = None
            log.info("the index can be written again")
