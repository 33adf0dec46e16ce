"""A scan: walking roots or single folders, and bringing the index in line with them."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from pixlsrve.index.context import IndexContext, now_us
from pixlsrve.index.library import OWN_FOLDERS
from pixlsrve.index.losses import Judge
from pixlsrve.index.matching import Matcher
from pixlsrve.index.placing import Placer
from pixlsrve.index.session import ScanSession
from pixlsrve.index.walk import Listing, RootGone, list_one, walk
from pixlsrve.index.wording import Wording
from pixlsrve.media.originals import display_name
from pixlsrve.media.roots import Root
from pixlsrve.model import RootState
from pixlsrve.store import counts, files, folders
from pixlsrve.store import roots as root_rows
from pixlsrve.store.files import FileRow
from pixlsrve.store.folders import FolderRow

log = structlog.get_logger(__name__)

ENTRIES_AT_ONCE = 1_000
FOLDERS_AT_ONCE = 2_000


@dataclass
class _Visit:
    """What a scan knows of the root that it looks at."""

    root: Root
    mounts: set[bytes]
    """Folders that were other disks at the scan's beginning."""
    seen: set[bytes] = field(default_factory=set)
    """Folders that were looked at singly."""


class Scanner:
    """Compares the disk with the index, one scan at a time."""

    def __init__(self, context: IndexContext, matcher: Matcher, wording: Wording) -> None:
        self._context = context
        self.placer = Placer(context, matcher, wording)
        self._judge = Judge(context, matcher, wording)

    async def scan_roots(self, session: ScanSession, roots: Iterable[Root]) -> None:
        """Walk whole roots. What one lost may turn up in another, so all are walked before any is judged."""
        walked = [root for root in roots if await self._walk_root(session, root)]
        for root in walked:
            session.walked_roots.add(root.id)
            await self._judge.judge(session, root)
            async with self._context.index.transaction() as tx:
                root.last_scan_us = now_us()
                await root_rows.set_scanned(tx, root.id, root.last_scan_us)

    async def scan_folders(self, session: ScanSession, targets: Mapping[int, set[bytes]]) -> bool:
        """Look again at single folders of roots: root id to paths relative to it.

        True when one of the roots was offline and there is something in it again: only a whole walk can tell what.
        """
        walked = []
        for root_id, paths in targets.items():
            root = self._context.roots.get(root_id)
            visit = _Visit(root, await folders.mounts(self._context.index, root_id))
            try:
                for path in sorted(paths):
                    await self._scan_folder(session, visit, path)
                await self._confirm(session, root)
                walked.append(root)
            except RootGone as error:
                await self._go_offline(root, error)
        for root in walked:
            await self._judge.judge(session, root)
        return any(root.state is RootState.OFFLINE for root in walked)

    async def _confirm(self, session: ScanSession, root: Root) -> None:
        """Before anything is judged as lost: is the root still there, and are the files really not at their places?

        Raises RootGone. A file that is there and passed over now is no loss.
        """
        vanished = sorted(session.vanished.get(root.id, set()) - session.settled)
        if not vanished:
            return
        top = await asyncio.to_thread(list_one, root.path, b"", {}, excluded=self._excluded(root))
        if top is not None and not session.accept_removals and await self._is_newly_empty(root, top):
            raise RootGone("the folder is empty")
        rows: dict[bytes, list[FileRow]] = {}
        for row in await files.by_ids(self._context.index, vanished):
            if row.gone_us is None:
                rows.setdefault(row.folder_path, []).append(row)
        for path, found in rows.items():
            listing, there = await asyncio.to_thread(_look, root, path, found, self._excluded(root))
            listed = {entry.name for entry in (listing.entries or ())} if listing else set()
            for row in found:
                if row.name in listed or (listing is not None and not listing.is_readable):
                    session.found_at_place(root.id, row.id)
                elif row.name in there:
                    session.ignored.add(row.id)

    async def _go_offline(self, root: Root, error: RootGone) -> None:
        """A root is not there, or nothing is in it any more."""
        if root.state is not RootState.OFFLINE:
            log.warning("root is offline", root=str(root.path), reason=str(error))
        await self._judge.set_state(root, RootState.OFFLINE)

    async def _walk_root(self, session: ScanSession, root: Root) -> bool:
        """Walk a root; False when it is not there or has nothing in it any more."""
        known = await folders.signatures(self._context.index, root.id)
        visit = _Visit(root, await folders.mounts(self._context.index, root.id))
        listings = walk(root.path, known, excluded=self._excluded(root))
        seen: set[bytes] = set()
        unreadable: list[bytes] = []
        is_first = True
        try:
            while chunk := await asyncio.to_thread(_take, listings):
                if is_first and not session.accept_removals and await self._is_newly_empty(root, chunk[0]):
                    raise RootGone("the folder is empty")
                is_first = False
                await self._apply(session, visit, chunk)
                seen.update(listing.path for listing in chunk)
                unreadable.extend(listing.path for listing in chunk if not listing.is_readable)
            lost = [path for path in known if path not in seen and not _is_below_any(path, unreadable)]
            await self._lose_folders(session, visit, lost)
            await self._confirm(session, root)
        except RootGone as error:
            await self._go_offline(root, error)
            return False
        return True

    async def _apply(self, session: ScanSession, visit: _Visit, listings: list[Listing]) -> None:
        """Bring the index in line with some folders; those that are only an absent disk's place are taken out."""
        if not session.accept_removals:
            await self._settle_mounts(visit, listings)
        await self.placer.apply(session, visit.root, listings)
        if visit.root.absent_mounts:
            visit.root.absent_mounts -= {listing.path for listing in listings if listing.is_readable}

    async def _is_newly_empty(self, root: Root, first: Listing) -> bool:
        """Whether a root that held files now holds nothing at all, as an empty mount point does."""
        if first.path or first.folders or first.entries or not first.is_readable or first.entries is None:
            return False
        return await files.count_live(self._context.index, root.id) > 0

    async def _scan_folder(self, session: ScanSession, visit: _Visit, path: bytes) -> None:
        """Look at one folder; sub-folders are walked only when they are new, or lost when they are not there."""
        root, index = visit.root, self._context.index
        if path in visit.seen:
            return
        visit.seen.add(path)
        listing = await asyncio.to_thread(list_one, root.path, path, {}, excluded=self._excluded(root))
        if listing is None:
            await self._scan_unlisted(session, visit, path)
            return
        if not path and not session.accept_removals and await self._is_newly_empty(root, listing):
            raise RootGone("the folder is empty")
        if not listing.is_readable:
            return
        above = path.rpartition(b"/")[0]
        if path and not await folders.at_paths(index, root.id, [above]):
            await self._scan_folder(session, visit, above)
            return
        listings = [listing]
        await self._apply(session, visit, listings)
        if listings:
            await self._scan_children(session, visit, listing)

    async def _scan_unlisted(self, session: ScanSession, visit: _Visit, path: bytes) -> None:
        """A folder that is passed over is lost; of one that is not there the folder above tells what became of it."""
        root, index = visit.root, self._context.index
        if path and not await asyncio.to_thread((root.path / os.fsdecode(path)).is_dir):
            await self._scan_folder(session, visit, path.rpartition(b"/")[0])
            return
        known = (await folders.at_paths(index, root.id, [path])).get(path)
        if known is not None:
            below = await folders.below(index, known)
            await self._lose_folders(session, visit, [row.path for row in below])

    async def _scan_children(self, session: ScanSession, visit: _Visit, listing: Listing) -> None:
        """Walk the sub-folders that are new, and lose those that are not there."""
        root, index = visit.root, self._context.index
        row = (await folders.at_paths(index, root.id, [listing.path]))[listing.path]
        known = {child.path: child for child in await folders.children(index, row.id)}
        prefix = listing.path + b"/" if listing.path else b""
        there = {prefix + name for name in listing.folders}
        for path in sorted(there - known.keys()):
            below = walk(root.path, {}, start=path, excluded=self._excluded(root))
            while chunk := await asyncio.to_thread(_take, below):
                await self._apply(session, visit, chunk)
        for path, child in known.items():
            if path not in there:
                rows = await folders.below(index, child)
                await self._lose_folders(session, visit, [found.path for found in rows])
            elif path in visit.mounts:
                await self._scan_folder(session, visit, path)

    async def _lose_folders(self, session: ScanSession, visit: _Visit, paths: list[bytes]) -> None:
        """Folders that are not there: their files have vanished, unless their mount has."""
        root = visit.root
        rows = await folders.at_paths(self._context.index, root.id, paths)
        absent = [] if session.accept_removals else [path for path in rows if path in visit.mounts]
        for path in absent:
            await self._take_offline(root, rows[path])
        ids = [row.id for row in rows.values() if not _is_below_any(row.path, absent)]
        session.vanished_folders.setdefault(root.id, set()).update(ids)
        for start in range(0, len(ids), 500):
            found = await files.live_in_folders(self._context.index, ids[start : start + 500])
            session.vanish(root.id, [i for i in found if i not in session.settled])

    async def _settle_mounts(self, visit: _Visit, listings: list[Listing]) -> None:
        """Take folders offline that were mounts, and are now just empty folders of the disk below."""
        bare = [item for item in listings if item.path in visit.mounts and item.entries == [] and not item.folders]
        if not bare:
            return
        rows = await folders.at_paths(self._context.index, visit.root.id, [item.path for item in bare])
        for item in bare:
            row = rows.get(item.path)
            if row is not None and row.device != item.device:
                await self._take_offline(visit.root, row)
                listings.remove(item)

    async def _take_offline(self, root: Root, mount: FolderRow) -> None:
        """A mount inside a root is not there: what was on it is kept as missing."""
        root.absent_mounts.add(mount.path)
        if mount.is_offline:
            return
        log.warning("a disk inside a root is not there", root=str(root.path), folder=display_name(mount.path))
        ids = [row.id for row in await folders.below(self._context.index, mount)]
        async with self._context.index.transaction() as tx:
            await files.set_missing(tx, await files.live_in_folders(tx, ids), now_us())
            await folders.set_offline(tx, ids)
            await counts.refresh(tx, ids)
        self._context.version.bump()

    def _excluded(self, root: Root) -> frozenset[str]:
        """First-level folders that are never listed."""
        return OWN_FOLDERS if root.is_uploads else frozenset()


def _take(listings: Iterator[Listing]) -> list[Listing]:
    """The next handful of listings; empty at the end."""
    taken: list[Listing] = []
    entries = 0
    for listing in listings:
        taken.append(listing)
        entries += len(listing.entries or ())
        if entries >= ENTRIES_AT_ONCE or len(taken) >= FOLDERS_AT_ONCE:
            break
    return taken


def _look(root: Root, path: bytes, rows: list[FileRow], excluded: frozenset[str]) -> tuple[Listing | None, set[bytes]]:
    """A folder's listing now, and which of its assets' files are at their places, listed or not. Raises RootGone."""
    listing = list_one(root.path, path, {}, excluded=excluded)
    folder = root.path / os.fsdecode(path)
    return listing, {row.name for row in rows if _is_file(folder / os.fsdecode(row.name))}


def _is_file(path: Path) -> bool:
    """Whether a regular file is at `path`."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _is_below_any(path: bytes, tops: list[bytes]) -> bool:
    """Whether `path` is one of `tops` or below one."""
    return any(path == top or path.startswith(top + b"/") or not top for top in tops)
