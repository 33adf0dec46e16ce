"""Services that keep the state safe while the daemon runs: its verified copy, event numbers, the clock."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from pixlsrve.errors import StorageError
from pixlsrve.events import EventBus
from pixlsrve.store import state
from pixlsrve.store.database import Database, DatabaseDamaged
from pixlsrve.store.migrate import check, copy_verified
from pixlsrve.store.recovery import COPY_FOLDER, STATE

log = structlog.get_logger(__name__)

EVERY_S = 3_600.0


class StateCopies:
    """Copies the state to `DATA_DIR/backup/state.db`: at the start, then each hour in which it changed.

    `hasten` copies at once: a revocation must not be undone by going back to an older copy (THREATS T8).
    """

    def __init__(self, data_dir: Path, report: Callable[[DatabaseDamaged], None]) -> None:
        self._report = report
        self._path = data_dir / STATE
        self._copy = data_dir / COPY_FOLDER / STATE
        self._copied: tuple[tuple[int, int], ...] = ()
        self._wake = asyncio.Event()

    async def hasten(self) -> None:
        """Copy as soon as what is being written is written."""
        self._wake.set()

    async def run(self) -> None:
        """Copy until cancelled; a disk without room for the copy is reported, and tried again in an hour."""
        while True:
            try:
                await asyncio.to_thread(self.copy_if_changed)
            except DatabaseDamaged:
                self._report(DatabaseDamaged(self._path, "its copy is not sound"))
            except (OSError, sqlite3.Error, StorageError) as error:
                log.warning("the state could not be copied", error=str(error), retry_in_s=EVERY_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), EVERY_S)
            self._wake.clear()

    def copy_if_changed(self) -> bool:
        """Copy when the files differ from those copied last; whether it did. Raises DatabaseDamaged, OSError."""
        found = self._fingerprint()
        if found == self._copied:
            return False
        self._copy.parent.mkdir(mode=0o700, exist_ok=True)
        copy_verified(self._path, self._copy)
        self._copied = found
        return True

    def _fingerprint(self) -> tuple[tuple[int, int], ...]:
        """Size and time of the database and its write-ahead log."""
        paths = (self._path, Path(f"{self._path}-wal"))
        return tuple((facts.st_size, facts.st_mtime_ns) for facts in (path.stat() for path in paths if path.exists()))


class EventNumbers:
    """Keeps event numbers from being given twice, whatever happens to the process.

    What is stored is always a block ahead of what the bus may use next, so that the bus never waits for the disk.
    """

    def __init__(self, database: Database, first: int) -> None:
        self.first = first
        self._database = database
        self._wanted = self._stored = first + 2 * EventBus.BLOCK
        self._wake = asyncio.Event()

    @classmethod
    async def load(cls, database: Database) -> EventNumbers:
        """Continue after the last run's numbers; what this run may use first is stored by then."""
        numbers = cls(database, await state.load_number(database, state.EVENT_SEQ, 1))
        await state.save_number(database, state.EVENT_SEQ, numbers._stored)
        return numbers

    def reserve(self, upto: int) -> None:
        """The bus is about to use numbers below `upto`."""
        self._wanted = max(self._wanted, upto + EventBus.BLOCK)
        self._wake.set()

    async def run(self) -> None:
        """Store what is wanted, until cancelled."""
        while True:
            while self._stored < self._wanted:
                wanted = self._wanted
                await state.save_number(self._database, state.EVENT_SEQ, wanted)
                self._stored = wanted
            self._wake.clear()
            await self._wake.wait()

    async def close(self, last: int) -> None:
        """The bus is at rest: the next run goes on right after its last number."""
        await state.save_number(self._database, state.EVENT_SEQ, last + 1)


class ClockKeeper:
    """Stores how far the clock has come, so that one set back while the daemon is down revives nothing."""

    def __init__(self, database: Database, now_us: Callable[[], int]) -> None:
        self._database = database
        self._now_us = now_us

    async def run(self) -> None:
        """Store it now and each hour, until cancelled."""
        while True:
            await self.save()
            await asyncio.sleep(EVERY_S)

    async def save(self) -> None:
        """Store it now."""
        await state.save_number(self._database, state.CLOCK_US, self._now_us())


class BackgroundCheck:
    """Reads databases that were too large to be checked before the start, after an unclean stop; then it is done."""

    def __init__(self, paths: list[Path], report: Callable[[DatabaseDamaged], None]) -> None:
        self._paths = paths
        self._report = report

    async def run(self) -> None:
        """Check each; ends by itself. A cancelled check stops reading within moments."""
        cancelled = threading.Event()
        try:
            for path in self._paths:
                await asyncio.to_thread(check, path, is_cancelled=cancelled.is_set)
                log.info("database checked", database=path.name)
        except DatabaseDamaged as error:
            self._report(error)
        finally:
            cancelled.set()
