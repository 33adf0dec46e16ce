"""How much may still be uploaded: quotas, and the free space that stays (THREATS T32)."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from concurrent.futures import Executor
from pathlib import Path

from pixlsrve.config import UploadsConfig
from pixlsrve.errors import StorageFull
from pixlsrve.media.uploads.trouble import translated
from pixlsrve.store import uploads as rows
from pixlsrve.store.database import Database

MIB = 1024 * 1024
STEP_BYTES = 16 * MIB
"""An upload whose size nobody said claims its room in such steps."""


class Room:
    """Claims of uploads that are on their way, against quotas and the disk."""

    def __init__(self, state: Database, storage: Path, config: UploadsConfig, executor: Executor) -> None:
        self._state = state
        self._storage = storage
        self._config = config
        self._executor = executor
        self._claimed: defaultdict[str, int] = defaultdict(int)
        self._ahead_bytes = 0

    async def claim(self, owner: str, size_bytes: int | None) -> Claim:
        """Room for an upload of so many bytes (None: not said yet). Raises StorageFull."""
        claim = Claim(self, owner)
        await claim.grow(STEP_BYTES if size_bytes is None else size_bytes)
        return claim

    async def check(self, owner: str, more_bytes: int) -> None:
        """Whether `more_bytes` more may come from `owner`. Raises StorageFull."""
        quota_bytes = self._config.quota_mb * MIB
        with translated():
            disk = await asyncio.get_running_loop().run_in_executor(self._executor, os.statvfs, self._storage)
        used = await rows.used_bytes(self._state, owner) if quota_bytes else 0
        # From here on nothing is waited for, so that uploads that begin at once see each other's claims.
        if quota_bytes and used + self._claimed.get(owner, 0) + more_bytes > quota_bytes:
            raise StorageFull(
                f"Your uploads may take {self._config.quota_mb} MiB, and this one would be too much; "
                "the owner can change the setting uploads.quota_mb.",
                reason="quota",
            )
        free = disk.f_bavail * disk.f_frsize - self._config.reserve_bytes(disk.f_blocks * disk.f_frsize)
        if self._ahead_bytes + more_bytes > free:
            raise StorageFull("The disk for uploads has no room left for this; free some space.")

    def change(self, owner: str, claimed_bytes: int, ahead_bytes: int) -> None:
        """An upload claims more or less, and more or less of that is not on the disk yet."""
        self._claimed[owner] += claimed_bytes
        self._ahead_bytes += ahead_bytes
        if self._claimed[owner] <= 0:
            del self._claimed[owner]


class Claim:
    """The room of one upload. What has been written counts as taken by the disk itself."""

    def __init__(self, room: Room, owner: str) -> None:
        self._room = room
        self._owner = owner
        self._size_bytes = 0
        self._written_bytes = 0

    async def grow(self, more_bytes: int) -> None:
        """Claim more. Raises StorageFull."""
        await self._room.check(self._owner, more_bytes)
        self._size_bytes += more_bytes
        self._room.change(self._owner, more_bytes, more_bytes)

    async def note_written(self, count: int) -> None:
        """So many more bytes have come. Raises StorageFull where nobody said that there would be so many."""
        while self._written_bytes + count > self._size_bytes:
            await self.grow(STEP_BYTES)
        self._written_bytes += count
        self._room.change(self._owner, 0, -count)

    def note_recorded(self, count: int) -> None:
        """So many of the written bytes count against the quota by their record from now on."""
        self._size_bytes -= count
        self._written_bytes -= count
        self._room.change(self._owner, -count, 0)

    def end(self) -> None:
        """The upload is over, one way or the other."""
        self._room.change(self._owner, -self._size_bytes, self._written_bytes - self._size_bytes)
        self._size_bytes = self._written_bytes = 0
