"""Telling moved files from new ones: which known asset is the file that a walk found at a new place."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pixlsrve.errors import PixlsrveError
from pixlsrve.index.walk import Entry
from pixlsrve.media.roots import Roots
from pixlsrve.store import files
from pixlsrve.store.database import Database
from pixlsrve.store.file_numbers import mtime_ns_of
from pixlsrve.store.files import FileRow

Hasher = Callable[[int, bytes], Awaitable[bytes | None]]
"""SHA-256 of the file at a path below a root (root id, path); None when it can't be read."""


@dataclass(slots=True)
class Unsettled:
    """A file at a place where the index expected nothing, or something else."""

    root_id: int
    folder_id: int
    folder_path: bytes
    entry: Entry
    at_place: FileRow | None
    """The asset that the index has at this place, with another size or time."""
    match: FileRow | None = field(default=None)
    """The asset that this file really is."""

    @property
    def path(self) -> bytes:
        """Relative to the root."""
        return self.folder_path + b"/" + self.entry.name if self.folder_path else self.entry.name


class Matcher:
    """Finds the assets that unsettled files are. Needs the roots to look whether an asset's old place is empty."""

    def __init__(self, index: Database, roots: Roots, hasher: Hasher) -> None:
        self._index = index
        self._roots = roots
        self._hash = hasher

    async def match(self, unsettled: Sequence[Unsettled]) -> None:
        """Set `match` on every file that is a known asset from elsewhere."""
        used: set[int] = set()
        await self._match_by_inode(unsettled, used)
        rest = [item for item in unsettled if item.match is None and item.at_place is None]
        if rest and await files.has_lost(self._index):
            for item in rest:
                await self._match_lost(item, used)

    async def _match_by_inode(self, unsettled: Sequence[Unsettled], used: set[int]) -> None:
        """Renamed within a disk: same inode, size and time, and not any more where it was."""
        places = [(item.entry.inode, item.entry.device) for item in unsettled]
        rows: dict[tuple[int, int, int, int], list[FileRow]] = {}
        for row in await files.with_inodes(self._index, places):
            rows.setdefault((row.inode, row.device, row.size_bytes, row.mtime_ns), []).append(row)
        if not rows:
            return
        for item in unsettled:
            entry = item.entry
            candidates = rows.get((entry.inode, entry.device, entry.size_bytes, entry.mtime_ns), [])
            for row in sorted(candidates, key=lambda row: (row.gone_us is not None, row.name != entry.name)):
                if row.id not in used and await self.is_displaced(row):
                    item.match = row
                    used.add(row.id)
                    break

    async def _match_lost(self, item: Unsettled, used: set[int]) -> None:
        """Back from elsewhere: an asset that is gone or missing, of the same name and time or the same bytes."""
        entry, digest = item.entry, None
        for row in await files.gone_with_size(self._index, entry.size_bytes):
            if row.id in used or not await self.is_displaced(row):
                continue
            if row.mtime_ns != entry.mtime_ns or row.name != entry.name:
                digest = digest or await self._hash(item.root_id, item.path)
                if digest is None:
                    return
                if digest != row.sha256:
                    continue
            item.match = row
            used.add(row.id)
            return

    async def is_displaced(self, row: FileRow) -> bool:
        """Whether the file is not at its asset's place any more, or another one is."""
        if row.gone_us is not None:
            return True
        try:
            root = self._roots.get(row.root_id)
        except PixlsrveError:
            return True
        return await asyncio.to_thread(_differs, root.path / os.fsdecode(row.path), row)

    async def is_same_content(self, row: FileRow, other: FileRow) -> bool:
        """Whether `other`, a younger asset, has the bytes of `row`."""
        if row.size_bytes != other.size_bytes:
            return False
        if row.mtime_ns == other.mtime_ns and row.name == other.name:
            return True
        digest = other.sha256 or await self._hash(other.root_id, other.path)
        return digest is not None and digest == row.sha256


def _differs(path: Path, row: FileRow) -> bool:
    """Whether the file at `path` is absent or not of the asset's size and time; False where that can't be told."""
    try:
        status = path.lstat()
    except OSError as error:
        return error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
    return (status.st_size, mtime_ns_of(status)) != (row.size_bytes, row.mtime_ns)
