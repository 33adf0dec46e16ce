"""Bringing asset rows in line with the files that a walk has seen."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from pixlsrve.errors import NotFound
from pixlsrve.events import EventType
from pixlsrve.index import identity
from pixlsrve.index.context import IndexContext, now_us
from pixlsrve.index.folder_keeper import FolderKeeper
from pixlsrve.index.identity import uuid_text
from pixlsrve.index.matching import Matcher, Unsettled
from pixlsrve.index.pairing import places_of, repair
from pixlsrve.index.session import ScanSession
from pixlsrve.index.walk import Entry, Listing
from pixlsrve.index.wording import Wording
from pixlsrve.index.zone import local_day
from pixlsrve.media.originals import display_name
from pixlsrve.media.roots import Root
from pixlsrve.model import Kind
from pixlsrve.store import counts, files, folders
from pixlsrve.store import identity as identities
from pixlsrve.store.database import Transaction
from pixlsrve.store.date_key import date_key
from pixlsrve.store.file_numbers import inode_of
from pixlsrve.store.files import FileRow, NewFile
from pixlsrve.store.folders import FolderRow

T = TypeVar("T")
SHOWN = {Kind.PHOTO: 1, Kind.VIDEO: 2, Kind.AUDIO: 3}


class Placer:
    """Applies listings to the index: one call for each handful of folders."""

    def __init__(self, context: IndexContext, matcher: Matcher, wording: Wording) -> None:
        self._context = context
        self._matcher = matcher
        self._wording = wording
        self._folders = FolderKeeper(context)
        self._next_id = 0
        self._lock = asyncio.Lock()

    async def apply(self, session: ScanSession, root: Root, listings: Sequence[Listing]) -> None:
        """Make the rows of these folders say what was seen; what is not there any more is left to the session."""
        async with self._lock:
            await self._apply(session, root, listings)

    async def place_new(
        self, root: Root, folder_path: bytes, entry: Entry, then: Callable[[Transaction, int], Coroutine[Any, Any, T]]
    ) -> T | None:
        """A file that is plainly new gets its row, and `then` what it does with that, in one transaction.

        None where its folder is not known yet, or the file may be one that is: that is for `place_one`.
        """
        context = self._context
        item = Unsettled(root.id, 0, folder_path, entry, None)
        written = await identities.written_ids(context.state, "asset", root.id, [item.path])
        uuid = written.get(item.path) or identity.derive(context.id_secret, root.uid, item.path, what=b"asset")

        async def work(tx: Transaction) -> T | None:
            folder = (await folders.at_paths(tx, root.id, [folder_path])).get(folder_path)
            if folder is None or await self._may_be_known(tx, folder, entry, uuid):
                return None
            item.folder_id = folder.id
            (row,) = await self._with_free_keys(tx, [self._new_row(item, uuid)])
            await files.insert(tx, [row])
            return await then(tx, row.id)

        async with self._lock:
            await self._know_next_id()
            return await context.index.write(work)

    async def _may_be_known(self, tx: Transaction, folder: FolderRow, entry: Entry, uuid: bytes) -> bool:
        """Whether the index has anything that this file could be."""
        if await files.at_place(tx, folder.id, entry.name) or await files.by_uuid(tx, [uuid]):
            return True
        same = (entry.size_bytes, entry.mtime_ns)
        seen = await files.with_inodes(tx, [(entry.inode, entry.device)])
        if any((row.size_bytes, row.mtime_ns) == same for row in seen):
            return True
        return bool(await files.gone_with_size(tx, entry.size_bytes))

    async def _know_next_id(self) -> None:
        if self._next_id == 0:
            self._next_id = await files.next_id(self._context.index)

    async def place_one(self, root: Root, folder_path: bytes, entry: Entry) -> int:
        """The row of one file that is there, made without looking at the others in its folder."""
        async with self._lock:
            await self._know_next_id()
            above = await asyncio.to_thread(_folders_down_to, root, folder_path)
            rows = await self._folders.ensure(root, above)
            folder = rows[folder_path]
            known = await files.at_place(self._context.index, folder.id, entry.name)
            as_it_is = (entry.size_bytes, entry.mtime_ns, None)
            if known is None or (known.size_bytes, known.mtime_ns, known.missing_us) != as_it_is:
                unsettled = [Unsettled(root.id, folder.id, folder.path, entry, known)]
                await self._matcher.match(unsettled)
                await self._write(ScanSession(now_us()), root, [], rows, unsettled, [])
                known = await files.at_place(self._context.index, folder.id, entry.name)
            if known is None:
                raise NotFound("The file was taken away while it was stored.")
            return known.id

    async def _apply(self, session: ScanSession, root: Root, listings: Sequence[Listing]) -> None:
        await self._know_next_id()
        rows = await self._folders.ensure(root, listings)
        unsettled: list[Unsettled] = []
        seen: list[tuple[int, int, int]] = []
        for listing in listings:
            folder = rows.get(listing.path)
            if listing.entries is None or folder is None:
                continue
            session.files_seen += len(listing.entries)
            await self._compare(session, root, folder, listing.entries, unsettled, seen)
        await self._matcher.match(unsettled)
        await self._write(session, root, listings, rows, unsettled, seen)

    async def _compare(
        self,
        session: ScanSession,
        root: Root,
        folder: FolderRow,
        entries: Sequence[Entry],
        unsettled: list[Unsettled],
        seen: list[tuple[int, int, int]],
    ) -> None:
        """Sort a folder's files into those as they were, those that need a closer look, and those not there."""
        known = {seal.name: seal for seal in await files.seals_in(self._context.index, folder.id)}
        different: list[tuple[Entry, int | None]] = []
        for entry in entries:
            seal = known.pop(entry.name, None)
            if seal is None or (seal.size_bytes, seal.mtime_ns) != (entry.size_bytes, entry.mtime_ns):
                different.append((entry, None if seal is None else seal.id))
                continue
            session.found_at_place(root.id, seal.id)
            if seal.missing_us is not None or (seal.device, seal.inode) != (entry.device, entry.inode):
                seen.append((entry.device, entry.inode, seal.id))
        rows = await files.by_ids(self._context.index, [i for _, i in different if i is not None])
        by_id = {row.id: row for row in rows}
        unsettled += [
            Unsettled(root.id, folder.id, folder.path, entry, None if i is None else by_id.get(i))
            for entry, i in different
        ]
        session.vanish(root.id, [seal.id for seal in known.values() if seal.id not in session.settled])

    async def _write(
        self,
        session: ScanSession,
        root: Root,
        listings: Sequence[Listing],
        rows: dict[bytes, FolderRow],
        unsettled: Sequence[Unsettled],
        seen: list[tuple[int, int, int]],
    ) -> None:
        """Commit what was found out about a handful of folders."""
        moved = [item for item in unsettled if item.match is not None]
        taken = {item.match.id for item in moved if item.match is not None}
        pushed_out = [item.at_place for item in moved if item.at_place is not None and item.at_place.id not in taken]
        changed = [item for item in unsettled if item.match is None and item.at_place is not None]
        changed = [item for item in changed if item.at_place is not None and item.at_place.id not in taken]
        settled_places = {id(item) for item in (*moved, *changed)}
        fresh = [item for item in unsettled if id(item) not in settled_places]
        new_rows, back = await self._identify(root, fresh)
        await self._write_moved_ids(moved)

        async def work(tx: Transaction) -> None:
            touched = await self._write_moves(tx, moved, pushed_out)
            await self._write_changes(tx, changed, back)
            await files.set_seen(tx, seen)
            await files.insert(tx, await self._with_free_keys(tx, new_rows))
            signed = [
                (item.signature, item.device, item.inode, rows[item.path].id)
                for item in listings
                if item.is_readable and item.path in rows
            ]
            await folders.set_seen(tx, signed)
            touched |= {item.folder_id for item in unsettled}
            await counts.refresh(tx, touched)

        await self._context.index.write(work)
        if unsettled or seen:
            self._context.version.bump()
        self._note(session, moved, pushed_out, changed, back, new_rows)

    def _note(
        self,
        session: ScanSession,
        moved: Sequence[Unsettled],
        pushed_out: Sequence[FileRow],
        changed: Sequence[Unsettled],
        back: Sequence[tuple[Unsettled, FileRow]],
        new_rows: Sequence[NewFile],
    ) -> None:
        """Tell the session what happened."""
        for item in moved:
            if item.match is not None:
                session.settle(item.match.id)
                data = {"id": uuid_text(item.match.uuid), "filename": display_name(item.entry.name)}
                self._context.bus.publish(EventType.PHOTO_CHANGED, data, root_id=item.root_id)
        for item in changed:
            if item.at_place is not None:
                session.settle(item.at_place.id)
        for row in pushed_out:
            if row.id not in session.settled:
                session.vanish(row.root_id, [row.id])
        session.files_new += len(new_rows) + len(back)
        session.files_changed += len(changed)
        session.files_moved += len(moved)

    async def _identify(
        self, root: Root, fresh: Sequence[Unsettled]
    ) -> tuple[list[NewFile], list[tuple[Unsettled, FileRow]]]:
        """Rows for files never seen, and the old rows of files that are back at their old place."""
        context = self._context
        written = await identities.written_ids(context.state, "asset", root.id, [item.path for item in fresh])
        uuids = {
            item.path: written.get(item.path) or identity.derive(context.id_secret, root.uid, item.path, what=b"asset")
            for item in fresh
        }
        known = await files.by_uuid(context.index, list(uuids.values())) if fresh else {}
        new_rows: list[NewFile] = []
        back: list[tuple[Unsettled, FileRow]] = []
        taken: list[tuple[int, bytes, bytes]] = []
        for item in fresh:
            uuid = uuids[item.path]
            row = known.get(uuid)
            if (
                row is not None
                and row.gone_us is not None
                and (row.folder_id, row.name)
                == (
                    item.folder_id,
                    item.entry.name,
                )
            ):
                back.append((item, row))
                continue
            if row is not None:
                uuid = identity.random_id()
                taken.append((root.id, item.path, uuid))
            new_rows.append(self._new_row(item, uuid))
        if taken:
            async with context.state.transaction() as tx:
                await identities.write_ids(tx, "asset", taken)
        return new_rows, back

    def _new_row(self, item: Unsettled, uuid: bytes) -> NewFile:
        """A row for a file never seen before; until its header is read, it sorts by file time."""
        entry, asset_id = item.entry, self._next_id
        self._next_id += 1
        mtime_us = entry.mtime_ns // 1_000
        return NewFile(
            id=asset_id,
            uuid=uuid,
            root_id=item.root_id,
            folder_id=item.folder_id,
            name=entry.name,
            sort_name=display_name(entry.name).casefold(),
            kind=entry.kind.value,
            shown=SHOWN[entry.kind],
            size_bytes=entry.size_bytes,
            mtime_ns=entry.mtime_ns,
            device=entry.device,
            inode=entry.inode,
            date_key=date_key(mtime_us, asset_id),
            local_day=local_day(mtime_us, self._context.zone),
            created_us=now_us(),
        )

    async def _with_free_keys(self, tx: Transaction, rows: list[NewFile]) -> list[NewFile]:
        """The rows with date keys that nothing else has."""
        taken = await files.taken_date_keys(tx, [row.date_key for row in rows])
        result = []
        for row in rows:
            key = row.date_key
            while key in taken:
                key += 1
            taken.add(key)
            result.append(row._replace(date_key=key))
        return result

    async def _write_moved_ids(self, moved: Sequence[Unsettled]) -> None:
        """Write down which ids moved files have at their new places, before the index forgets the old ones."""
        rows = [(item.root_id, item.path, item.match.uuid) for item in moved if item.match is not None]
        if rows:
            async with self._context.state.transaction() as tx:
                await identities.write_ids(tx, "asset", rows)

    async def _write_moves(
        self, tx: Transaction, moved: Sequence[Unsettled], pushed_out: Sequence[FileRow]
    ) -> set[int]:
        """Put moved assets where their files are; the folders that lost or gained one."""
        if not moved:
            return set()
        await files.set_gone(tx, [row.id for row in pushed_out], now_us())
        rows, touched = [], set()
        for item in moved:
            entry, match = item.entry, item.match
            if match is None:
                continue
            sort_name = display_name(entry.name).casefold()
            facts = (entry.size_bytes, entry.mtime_ns, entry.device, entry.inode)
            rows.append((item.root_id, item.folder_id, entry.name, sort_name, *facts, match.id))
            touched |= {match.folder_id, item.folder_id}
        ids = [row[-1] for row in rows]
        left = await places_of(tx, ids)
        await files.move(tx, rows)
        await files.restore_shown(tx, ids)
        await self._wording.rewrite(tx, ids)
        await repair(tx, self._wording, ids, also=left)
        return touched

    async def _write_changes(
        self, tx: Transaction, changed: Sequence[Unsettled], back: Sequence[tuple[Unsettled, FileRow]]
    ) -> None:
        """Files with another size or time, and files that are back: to be read again."""
        pairs = [(item, item.at_place) for item in changed if item.at_place is not None] + list(back)
        rows = [
            (
                item.entry.size_bytes,
                item.entry.mtime_ns,
                item.entry.device,
                item.entry.inode,
                item.entry.kind.value,
                SHOWN[item.entry.kind],
                now_us(),
                row.id,
            )
            for item, row in pairs
        ]
        await files.set_changed(tx, rows)


def _folders_down_to(root: Root, path: bytes) -> list[Listing]:
    """A root and the folders below it down to `path`, without what is in them. Raises NotFound."""
    parts = path.split(b"/") if path else []
    result = []
    for count in range(len(parts) + 1):
        folder = b"/".join(parts[:count])
        try:
            status = (root.path / os.fsdecode(folder)).lstat()
        except OSError as error:
            raise NotFound("The folder is not there any more.") from error
        result.append(Listing(folder, status.st_dev, inode_of(status), b"", None, []))
    return result
