"""Which roots the library has: the configured folders matched with those that the state database remembers."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import structlog

from pixlsrve.index.context import now_us
from pixlsrve.media.roots import Root, Roots, unique_names
from pixlsrve.model import RootState
from pixlsrve.store import folders
from pixlsrve.store import roots as rows
from pixlsrve.store.database import Database
from pixlsrve.store.file_numbers import mtime_ns_of
from pixlsrve.store.roots import RootRow

log = structlog.get_logger(__name__)

UPLOADS = "Uploads"
# Folders that the host writes itself in the storage directory and that hold no media.
OWN_FOLDERS = frozenset({"websocket_messages"})
SAMPLE = 40


async def open_roots(state: Database, index: Database, photos: Sequence[str], storage_dir: str) -> Roots:
    """The roots in force. A folder that was renamed as a whole goes on as the root it was."""
    paths = [Path(path) for path in photos]
    storage = Path(storage_dir)
    names = unique_names(paths)
    wanted = [(path, name, path == storage) for path, name in zip(paths, names, strict=True)]
    if storage not in paths:
        wanted.append((storage, unique_names([*map(Path, names), Path(UPLOADS)])[-1], True))
    known = {row.path: row for row in await rows.all_roots(state)}
    configured = {os.fsencode(path) for path, _, _ in wanted}
    orphans = [row for path, row in known.items() if path not in configured]
    result = []
    for path, name, is_uploads in wanted:
        row = known.get(os.fsencode(path)) or await _renamed(index, orphans, path)
        result.append(await _settle(state, row, path, name, is_uploads=is_uploads))
        if row in orphans:
            orphans.remove(row)
    async with state.transaction() as tx:
        for row in orphans:
            await rows.mark_unconfigured(tx, row.id)
    await _join_index(index, result)
    return Roots(result)


async def _settle(state: Database, row: RootRow | None, path: Path, name: str, *, is_uploads: bool) -> Root:
    """The root at `path`, remembered from now on."""
    raw = os.fsencode(path)
    async with state.transaction() as tx:
        if row is None:
            uid = secrets.token_bytes(16)
            root_id = await rows.insert_root(tx, uid, raw, name, is_uploads=is_uploads, now_us=now_us())
        else:
            uid, root_id = row.uid, row.id
            await rows.update_root(tx, root_id, raw, name, is_uploads=is_uploads)
    return Root(id=root_id, uid=uid, path=path, name=name, is_uploads=is_uploads)


async def _renamed(index: Database, orphans: list[RootRow], path: Path) -> RootRow | None:
    """The root that is at `path` now: more than half of a sample of its files are there, and it left its old place."""
    for row in orphans:
        if await asyncio.to_thread(Path(os.fsdecode(row.path)).is_dir):
            continue
        sample = await rows.sample_files(index, row.id, SAMPLE)
        found = await asyncio.to_thread(_count_present, path, sample)
        if sample and found * 2 > len(sample):
            log.info("a root has moved", old=os.fsdecode(row.path), new=str(path))
            return row
    return None


def _count_present(root: Path, sample: Sequence[tuple[bytes, int, int]]) -> int:
    """How many of the sampled files are below `root` with their size and time."""
    count = 0
    for relative, size_bytes, mtime_ns in sample:
        try:
            status = (root / os.fsdecode(relative)).lstat()
        except OSError:
            continue
        count += (status.st_size, mtime_ns_of(status)) == (size_bytes, mtime_ns)
    return count


async def _join_index(index: Database, roots: Sequence[Root]) -> None:
    """Rows for the roots in the index, and what it knows of them; roots that are not configured are taken out."""
    async with index.transaction() as tx:
        for root in roots:
            await rows.ensure_index_root(tx, root.id)
    states = await rows.index_roots(index)
    for root in roots:
        state, root.last_scan_us = states[root.id]
        root.state = RootState(state)
        root.absent_mounts = await folders.absent_mounts(index, root.id)
        if not await asyncio.to_thread(root.path.is_dir):
            root.state = RootState.OFFLINE
            async with index.transaction() as tx:
                await rows.set_state(tx, root.id, root.state.value)
            log.warning("root is not there", root=str(root.path), remedy="connect the disk or correct the settings")
    for root_id in states.keys() - {root.id for root in roots}:
        async with index.transaction() as tx:
            await rows.retire(tx, root_id, now_us())
