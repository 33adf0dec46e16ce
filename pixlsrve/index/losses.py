"""Judging what a scan did not find: moved after all, removed, or on a disk that is not there (DESIGN section 7)."""

from __future__ import annotations

import structlog

from pixlsrve.events import EventType
from pixlsrve.index.context import IndexContext, now_us
from pixlsrve.index.identity import uuid_text
from pixlsrve.index.matching import Matcher
from pixlsrve.index.pairing import repair
from pixlsrve.index.session import ScanSession
from pixlsrve.index.wording import Wording
from pixlsrve.media.roots import Root
from pixlsrve.model import RootState
from pixlsrve.store import counts, files, folders, words
from pixlsrve.store import identity as identities
from pixlsrve.store import roots as root_rows
from pixlsrve.store.database import Transaction
from pixlsrve.store.files import FileRow

log = structlog.get_logger(__name__)

DAY_US = 86_400_000_000
SMALLEST_JUDGED = 10
SLOW_MOVE_US = 600_000_000
CHUNK = 500


class Judge:
    """Ends a scan: decides for each root whether missing files were removed or are offline."""

    def __init__(self, context: IndexContext, matcher: Matcher, wording: Wording) -> None:
        self._context = context
        self._matcher = matcher
        self._wording = wording

    async def judge(self, session: ScanSession, root: Root) -> None:
        """Settle what `session` did not find in `root`."""
        vanished = sorted(session.vanished.get(root.id, set()) - session.settled)
        if session.ignored:
            await self._remove(session, root, [i for i in vanished if i in session.ignored], are_losses=False)
            vanished = [i for i in vanished if i not in session.ignored]
        if vanished:
            vanished = await self._without_slow_moves(session, vanished)
        missing = await files.missing_in(self._context.index, root.id)
        if session.accept_removals:
            await self._remove(session, root, sorted({*vanished, *missing}))
            async with self._context.index.transaction() as tx:
                await root_rows.forget_losses(tx, root.id)
            await self.set_state(root, RootState.ONLINE)
        elif await self._is_too_much(root, vanished):
            await self._keep_as_missing(session, root, vanished)
        elif root.state is RootState.OFFLINE and root.id not in session.walked_roots:
            # One folder of a root that is partly there says nothing about the rest.
            if vanished:
                await self._keep_as_missing(session, root, vanished)
        else:
            # What was missing counts as removed only once the rest is back and a whole walk has not seen it.
            if root.state is RootState.OFFLINE and root.id in session.walked_roots:
                vanished = sorted({*vanished, *(set(missing) - await self._on_absent_mounts(root))})
            await self._remove(session, root, vanished)
            await self.set_state(root, RootState.ONLINE)
        await self._drop_folders(session, root)

    async def _on_absent_mounts(self, root: Root) -> set[int]:
        """Missing assets in folders whose own mount is not there."""
        rows = await folders.offline_in(self._context.index, root.id)
        return set(await files.live_in_folders(self._context.index, rows))

    async def _is_too_much(self, root: Root, vanished: list[int]) -> bool:
        """Whether more than half of ten or more files went, over the last 24 hours, absent mounts not counted."""
        if not vanished:
            return False
        index = self._context.index
        lost = await root_rows.losses_since(index, root.id, now_us() - DAY_US)
        live = await files.count_live(index, root.id)
        before = live + lost
        if before < SMALLEST_JUDGED:
            return live == len(vanished)
        return (len(vanished) + lost) * 2 > before

    async def _keep_as_missing(self, session: ScanSession, root: Root, vanished: list[int]) -> None:
        """Too much is gone at once: nothing is removed, and what was removed within the day comes back as missing."""
        context = self._context
        recent = await files.gone_since(context.index, root.id, now_us() - DAY_US)
        log.warning(
            "root is offline: more than half of its files are not there",
            root=str(root.path),
            missing=len(vanished) + len(recent),
            remedy="connect the disk, or run `pixlsrve scan --accept-removals` if this was meant",
        )
        for start in range(0, len(vanished), CHUNK):
            chunk = vanished[start : start + CHUNK]
            async with context.index.transaction() as tx:
                rows = await files.by_ids(tx, chunk)
                await files.set_missing(tx, chunk, now_us())
                await folders.forget_signatures(tx, {row.folder_id for row in rows})
        for start in range(0, len(recent), CHUNK):
            async with context.index.transaction() as tx:
                await self._revive(tx, recent[start : start + CHUNK])
        async with context.index.transaction() as tx:
            await root_rows.forget_losses(tx, root.id)
        session.vanished_folders.pop(root.id, None)
        await self.set_state(root, RootState.OFFLINE)
        context.version.bump()

    async def _revive(self, tx: Transaction, ids: list[int]) -> None:
        """Bring back removed assets as missing ones, with their folders; a place that is taken stays taken."""
        rows = await files.by_ids(tx, ids)
        free = [row for row in rows if not await files.is_place_taken(tx, row.folder_id, row.name)]
        await folders.revive_many(tx, {row.folder_id for row in free})
        free_ids = [row.id for row in free]
        await files.set_missing(tx, free_ids, now_us())
        await files.restore_shown(tx, free_ids)
        await self._wording.rewrite(tx, free_ids)
        await repair(tx, self._wording, free_ids)
        await counts.refresh(tx, {row.folder_id for row in free})

    async def _without_slow_moves(self, session: ScanSession, vanished: list[int]) -> list[int]:
        """`vanished` without those whose bytes turned up elsewhere first: copied to another disk, then deleted here."""
        rest: list[int] = []
        for start in range(0, len(vanished), CHUNK):
            for row in await files.by_ids(self._context.index, vanished[start : start + CHUNK]):
                copy = await self._copy_of(session, row)
                if copy is None:
                    rest.append(row.id)
                else:
                    await self._take_place(session, row, copy)
        return rest

    async def _copy_of(self, session: ScanSession, row: FileRow) -> FileRow | None:
        """The younger asset that has this one's bytes, if its file came lately."""
        since_us = session.started_us - SLOW_MOVE_US
        if row.sha256 is not None:
            copy = await files.younger_copy(self._context.index, row, since_us)
            if copy is not None:
                return copy
        for twin in await files.unhashed_with_size(self._context.index, row.size_bytes, row.mtime_ns, row.id):
            if not await self._matcher.is_displaced(twin) and await self._matcher.is_same_content(row, twin):
                return twin
        return None

    async def _take_place(self, session: ScanSession, row: FileRow, copy: FileRow) -> None:
        """The older asset goes on at the younger one's place; the younger id is withdrawn."""
        context = self._context
        async with context.state.transaction() as tx:
            await identities.write_ids(tx, "asset", [(copy.root_id, copy.path, row.uuid)])
        async with context.index.transaction() as tx:
            await words.remove(tx, await words.date_keys(tx, [copy.id]))
            sort_name = await files.sort_name(tx, copy.id)
            await files.delete(tx, [copy.id])
            facts = (copy.size_bytes, copy.mtime_ns, copy.device, copy.inode)
            await files.move(tx, [(copy.root_id, copy.folder_id, copy.name, sort_name, *facts, row.id)])
            await files.restore_shown(tx, [row.id])
            await self._wording.rewrite(tx, [row.id])
            await repair(tx, self._wording, [row.id])
            await counts.refresh(tx, {row.folder_id, copy.folder_id})
        session.files_moved += 1
        session.settle(row.id)
        context.version.bump()
        context.bus.publish(EventType.PHOTO_REMOVED, {"id": uuid_text(copy.uuid)}, root_id=copy.root_id)
        context.bus.publish(EventType.PHOTO_CHANGED, {"id": uuid_text(row.uuid)}, root_id=copy.root_id)

    async def _remove(self, session: ScanSession, root: Root, vanished: list[int], *, are_losses: bool = True) -> None:
        """Hide assets whose files were removed; they are kept for a while in case they come back."""
        context = self._context
        for start in range(0, len(vanished), CHUNK):
            chunk = vanished[start : start + CHUNK]
            async with context.index.transaction() as tx:
                rows = [row for row in await files.by_ids(tx, chunk) if row.gone_us is None]
                await words.remove(tx, await words.date_keys(tx, chunk))
                await files.set_gone(tx, [row.id for row in rows], now_us())
                touched = {row.folder_id for row in rows}
                await folders.forget_signatures(tx, touched)
                await repair(tx, self._wording, [row.id for row in rows])
                await counts.refresh(tx, touched)
                if are_losses and not session.accept_removals:
                    await root_rows.add_loss(tx, root.id, now_us(), len(rows))
            context.version.bump()
            session.files_removed += len(rows)
            for row in rows:
                context.bus.publish(EventType.PHOTO_REMOVED, {"id": uuid_text(row.uuid)}, root_id=row.root_id)

    async def _drop_folders(self, session: ScanSession, root: Root) -> None:
        """Forget folders that are not on the disk and hold nothing that is missing."""
        ids = session.vanished_folders.get(root.id, set())
        if not ids:
            return
        async with self._context.index.transaction() as tx:
            empty = [i for i in ids if not await files.live_in_folders(tx, [i])]
            await folders.set_gone(tx, empty, now_us())
            await counts.refresh(tx, empty)
        self._context.version.bump()

    async def set_state(self, root: Root, state: RootState) -> None:
        """Note a root's state, and tell those who listen when it changed."""
        if root.state is state:
            return
        root.state = state
        async with self._context.index.transaction() as tx:
            await root_rows.set_state(tx, root.id, state.value)
        self._context.version.bump()
        log.warning("root state changed", root=str(root.path), state=state.value)
        data = {"root": root.name, "state": state.value}
        self._context.bus.publish(EventType.ROOT_STATE, data, root_id=root.id)
