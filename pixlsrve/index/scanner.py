"""A scan: walking roots or single folders, and bringing the index in line with them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping

import structlog

from pixlsrve.index.context import IndexContext, now_us
from pixlsrve.index.library import OWN_FOLDERS
from pixlsrve.index.losses import Judge
from pixlsrve.index.matching import Matcher
from pixlsrve.index.placing import Placer
from pixlsrve.index.session import ScanSession
from pixlsrve.index.walk import Listing, RootGone, list_one, walk
from pixlsrve.index.wording import Wording
from pixlsrve.media.roots import Root
from pixlsrve.model import RootState
from pixlsrve.store import counts, files, folders
from pixlsrve.store import roots as root_rows
from pixlsrve.store.folders import FolderRow

log = structlog.get_logger(__name__)

ENTRIES_AT_ONCE = 1_000
FOLDERS_AT_ONCE = 2_000


class Scanner:
    """Compares the disk with the index, one scan at a time."""

    def __init__(self, context: IndexContext, matcher: Matcher, wording: Wording) -> None:
        self._context = context
        self._placer = Placer(context, matcher, wording)
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

    async def scan_folders(self, session: ScanSession, targets: Mapping[int, set[bytes]]) -> None:
        """Look again at single folders of roots: root id to paths relative to it."""
        walked = []
        for root_id, paths in targets.items():
            root = self._context.roots.get(root_id)
            try:
                for path in sorted(paths):
                    await self._scan_folder(session, root, path)
                walked.append(root)
            except RootGone:
                await self._judge.set_state(root, RootState.OFFLINE)
        for root in walked:
            await self._judge.judge(session, root)

    async def _walk_root(self, session: ScanSession, root: Root) -> bool:
        """Walk a root; False when it is not there or has nothing in it any more."""
        known = await folders.signatures(self._context.index, root.id)
        listings = walk(root.path, known, excluded=self._excluded(root))
        seen: set[bytes] = set()
        unreadable: list[bytes] = []
        is_first = True
        try:
            while chunk := await asyncio.to_thread(_take, listings):
                if is_first and not session.accept_removals and await self._is_newly_empty(root, chunk[0]):
                    raise RootGone("the folder is empty")
                is_first = False
                await self._settle_mounts(root, chunk)
                await self._placer.apply(session, root, chunk)
                seen.update(listing.path for listing in chunk)
                unreadable.extend(listing.path for listing in chunk if not listing.is_readable)
        except RootGone as error:
            log.warning("root is offline", root=str(root.path), reason=str(error))
            await self._judge.set_state(root, RootState.OFFLINE)
            return False
        lost = [path for path in known if path not in seen and not _is_below_any(path, unreadable)]
        await self._lose_folders(session, root, lost)
        return True

    async def _is_newly_empty(self, root: Root, first: Listing) -> bool:
        """Whether a root that held files now holds nothing at all, as an empty mount point does."""
        if first.path or first.folders or first.entries or not first.is_readable or first.entries is None:
            return False
        return await files.count_live(self._context.index, root.id) > 0

    async def _scan_folder(self, session: ScanSession, root: Root, path: bytes) -> None:
        """Look at one folder; sub-folders are walked only when they are new, or lost when they are not there."""
        listing = await asyncio.to_thread(list_one, root.path, path, {}, excluded=self._excluded(root))
        known = (await folders.at_paths(self._context.index, root.id, [path])).get(path)
        if listing is None or (not path and await self._is_newly_empty(root, listing)):
            if not path:
                raise RootGone("the folder is empty")
            if known is not None:
                below = await folders.below(self._context.index, known)
                await self._lose_folders(session, root, [row.path for row in below])
            return
        if not listing.is_readable:
            return
        if known is None and path:
            parent = path.rpartition(b"/")[0]
            if parent not in await folders.at_paths(self._context.index, root.id, [parent]):
                await self._scan_folder(session, root, parent)
                return
        await self._settle_mounts(root, [listing])
        await self._placer.apply(session, root, [listing])
        await self._scan_children(session, root, listing)

    async def _scan_children(self, session: ScanSession, root: Root, listing: Listing) -> None:
        """Walk the sub-folders that are new, and lose those that are not there."""
        row = (await folders.at_paths(self._context.index, root.id, [listing.path]))[listing.path]
        known = {child.path: child for child in await folders.children(self._context.index, row.id)}
        prefix = listing.path + b"/" if listing.path else b""
        there = {prefix + name for name in listing.folders}
        for path in sorted(there - known.keys()):
            below = walk(root.path, {}, start=path, excluded=self._excluded(root))
            while chunk := await asyncio.to_thread(_take, below):
                await self._placer.apply(session, root, chunk)
        for path, child in known.items():
            if path not in there:
                rows = await folders.below(self._context.index, child)
                await self._lose_folders(session, root, [found.path for found in rows])

    async def _lose_folders(self, session: ScanSession, root: Root, paths: list[bytes]) -> None:
        """Folders that are not there: their files have vanished, unless their mount has."""
        rows = await folders.at_paths(self._context.index, root.id, paths)
        absent = [row for row in rows.values() if await self._was_mount(row)]
        for mount in absent:
            await self._take_offline(root, mount)
        lost = [row for row in rows.values() if not _is_below_any(row.path, [mount.path for mount in absent])]
        ids = [row.id for row in lost]
        session.vanished_folders.setdefault(root.id, set()).update(ids)
        for start in range(0, len(ids), 500):
            found = await files.live_in_folders(self._context.index, ids[start : start + 500])
            session.vanish(root.id, [i for i in found if i not in session.settled])

    async def _was_mount(self, row: FolderRow) -> bool:
        """Whether a folder was on another disk than the one above it."""
        if row.parent_id is None or not row.path:
            return False
        if row.is_offline:
            return True
        above = row.path.rpartition(b"/")[0]
        parent = (await folders.at_paths(self._context.index, row.root_id, [above])).get(above)
        return parent is not None and bool(row.device) and bool(parent.device) and row.device != parent.device

    async def _settle_mounts(self, root: Root, listings: list[Listing]) -> None:
        """Take folders offline that were mounts, and are now just empty folders of the disk below."""
        bare = [item for item in listings if item.path and item.entries == [] and not item.folders]
        if not bare:
            return
        rows = await folders.at_paths(self._context.index, root.id, [item.path for item in bare])
        for item in bare:
            row = rows.get(item.path)
            if row is not None and row.device != item.device and await self._was_mount(row):
                await self._take_offline(root, row)
                listings.remove(item)

    async def _take_offline(self, root: Root, mount: FolderRow) -> None:
        """A mount inside a root is not there: what was on it is kept as missing."""
        below = await folders.below(self._context.index, mount)
        if mount.is_offline:
            return
        log.warning(
            "a disk inside a root is not there",
            root=str(root.path),
            folder=os.fsencode(mount.path).decode("utf-8", "replace"),
        )
        ids = [row.id for row in below]
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


def _is_below_any(path: bytes, tops: list[bytes]) -> bool:
    """Whether `path` is one of `tops` or below one."""
    return any(path == top or path.startswith(top + b"/") or not top for top in tops)
