"""The indexer as the rest of the program sees it: scan requests in, a true index and events out."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass

import structlog

from pixlsrve.errors import PixlsrveError
from pixlsrve.events import EventType
from pixlsrve.index.arrivals import Arrivals
from pixlsrve.index.context import IndexContext, now_us
from pixlsrve.index.disk_trouble import CANT_WRITE, DiskTrouble
from pixlsrve.index.matching import Matcher
from pixlsrve.index.pipeline import Pipeline, Readers
from pixlsrve.index.progress import IndexStatus, Progress
from pixlsrve.index.results import Results
from pixlsrve.index.scanner import Scanner
from pixlsrve.index.session import ScanSession
from pixlsrve.index.watcher import Watcher
from pixlsrve.index.wording import Wording
from pixlsrve.media.roots import Root
from pixlsrve.model import Refusal
from pixlsrve.store import files, folders, stages

log = structlog.get_logger(__name__)

RELIST_AFTER_S = 0.5
KEEP_GONE_US = 30 * 86_400_000_000
PROGRESS_EVERY_S = 1.0
FIRST_GUESS_FILES_S = 20_000
PROMPT_FILES = 64


@dataclass(frozen=True)
class ScanTicket:
    """A scan that was asked for."""

    scan_id: str
    estimated_duration_s: int


@dataclass
class _Request:
    """What the next scan is to do."""

    session: ScanSession
    full: bool


class Indexer:
    """Keeps the index true: walks at start, on request and periodically, follows changes, reads what is new."""

    def __init__(self, context: IndexContext, readers: Readers, *, parallel: int, rescan_interval_s: int) -> None:
        self._context = context
        self._readers = readers
        self._rescan_interval_s = rescan_interval_s
        self.progress = Progress()
        wording = Wording(context.places)
        matcher = Matcher(context.index, context.roots, self._hash)
        self._wording = wording
        self._scanner = Scanner(context, matcher, wording)
        results = Results(context, wording)
        self._trouble = DiskTrouble()
        self._pipeline = Pipeline(
            context, readers, results, self.progress, self._relist, self._trouble, parallel=parallel
        )
        self.arrivals = Arrivals(context, readers, self._scanner.placer, results, self._read_soon)
        """How uploads come into the index."""
        self._wanted: _Request | None = None
        self._folders: dict[int, set[bytes]] = {}
        self._work = asyncio.Event()
        self._ensuring: dict[int, asyncio.Task[None]] = {}

    def status(self) -> IndexStatus:
        """How far indexing has come."""
        return self.progress.status()

    async def request_scan(self, *, full: bool = False, accept_removals: bool = False) -> ScanTicket:
        """Ask for a walk of all roots; one that is already waiting is joined."""
        request = self._request(full=full, accept_removals=accept_removals)
        remaining = self.progress.status().eta_seconds or 0
        guess_s = 1 + self.progress.photos_indexed // FIRST_GUESS_FILES_S + remaining
        return ScanTicket(request.session.scan_id, guess_s)

    async def ensure_content(self, asset_id: int) -> None:
        """Read one asset before all others; returns when it has been read or can't be. Raises nothing for bad files."""
        task = self._ensuring.get(asset_id)
        if task is None:
            task = asyncio.create_task(self._pipeline.ensure(asset_id))
            self._ensuring[asset_id] = task
            task.add_done_callback(lambda _: self._ensuring.pop(asset_id, None))
        await asyncio.shield(task)

    async def run(self) -> None:
        """Scan, watch and read until cancelled."""
        self._request(full=False, accept_removals=False)
        self.progress.has_unnamed = bool(await stages.unnamed(self._context.index, 0, 1))
        await self._pipeline.reopen_all_lost()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pipeline.run(), name="pipeline")
            tasks.create_task(self._tell_progress(), name="progress")
            if self._rescan_interval_s:
                tasks.create_task(self._ask_periodically(), name="rescan")
            for root in self._context.roots:
                tasks.create_task(Watcher(root, self._changed).run(), name=f"watch {root.name}")
            while True:
                await self._work.wait()
                self._work.clear()
                try:
                    await self._scan_once()
                except CANT_WRITE as error:
                    self.progress.is_listing = True
                    await self._trouble.wait(error)
                    self._work.set()

    def _request(self, *, full: bool, accept_removals: bool) -> _Request:
        """The waiting scan request, made if there is none, and at least as thorough as asked."""
        if self._wanted is None:
            self._wanted = _Request(ScanSession(now_us()), full=full)
        self._wanted.full |= full
        self._wanted.session.accept_removals |= accept_removals
        self.progress.is_listing = True
        self._work.set()
        return self._wanted

    def _changed(self, root: Root, paths: set[bytes] | None) -> None:
        """The watcher saw something."""
        if paths is None:
            self._request(full=False, accept_removals=False)
            return
        self._folders.setdefault(root.id, set()).update(paths)
        self._work.set()

    def _relist(self, root_id: int, path: bytes) -> None:
        """The pipeline found a file other than listed: look again in a moment, when it may be at rest."""

        def ask() -> None:
            self._folders.setdefault(root_id, set()).add(path)
            self._work.set()

        asyncio.get_running_loop().call_later(RELIST_AFTER_S, ask)

    async def _ask_periodically(self) -> None:
        """The net below the watcher."""
        while True:
            await asyncio.sleep(self._rescan_interval_s)
            self._request(full=False, accept_removals=False)

    async def _scan_once(self) -> None:
        """Do what is asked for: the waiting walk, or the folders that changed."""
        if self._wanted is not None:
            request, self._wanted = self._wanted, None
            self._folders.clear()
            try:
                await self._walk(request)
            except CANT_WRITE:
                self._ask_again(request)
                raise
            self._trouble.is_over()
        elif self._folders:
            targets, self._folders = self._folders, {}
            session = ScanSession(now_us())
            try:
                if await self._scanner.scan_folders(session, targets):
                    self._request(full=False, accept_removals=False)
                await self._freshen_words()
            except CANT_WRITE:
                self._request(full=False, accept_removals=False)
                raise
            self._pipeline.wake()
            if 0 < session.files_new + session.files_changed <= PROMPT_FILES:
                await self._read_promptly()

    def _ask_again(self, failed: _Request) -> None:
        """A walk that could not be written down is made again under its number, with what was asked for since."""
        later = self._wanted
        session = ScanSession(now_us(), failed.session.accept_removals, failed.session.scan_id)
        self._wanted = _Request(session, full=failed.full)
        if later is not None:
            self._wanted.full |= later.full
            self._wanted.session.accept_removals |= later.session.accept_removals

    async def _walk(self, request: _Request) -> None:
        """Walk all roots, and say what came of it."""
        session, index = request.session, self._context.index
        self.progress.is_listing = True
        try:
            async with index.transaction() as tx:
                await files.retry_unreadable(tx)
                if request.full:
                    await files.reread_all(tx)
                    await folders.forget_all_signatures(tx)
            await self._scanner.scan_roots(session, self._context.roots)
            await self._freshen_words()
            await self._forget_old()
        finally:
            self.progress.is_listing = self._wanted is not None
            self.progress.unread, self.progress.undecoded = await stages.remaining(index)
            self._pipeline.wake()
        self._tell_finished(session)

    def _tell_finished(self, session: ScanSession) -> None:
        """The event, and a line in the log when something was found."""
        found = {
            "scan_id": session.scan_id,
            "seen": session.files_seen,
            "added": session.files_new,
            "changed": session.files_changed,
            "moved": session.files_moved,
            "removed": session.files_removed,
        }
        self._context.bus.publish(EventType.SCAN_FINISHED, found)
        if session.files_new or session.files_changed or session.files_moved or session.files_removed:
            log.info("scan finished", **found)

    async def _read_promptly(self) -> None:
        """A handful of files just saved don't wait behind a long first indexing."""
        for asset_id in await stages.newest_unread(self._context.index, PROMPT_FILES):
            self._read_soon(asset_id)

    def _read_soon(self, asset_id: int) -> None:
        """Read one asset's content before those of a long first indexing, where there are not many such already."""
        if asset_id not in self._ensuring and len(self._ensuring) < PROMPT_FILES:
            task = self._ensuring[asset_id] = asyncio.create_task(self._quietly(asset_id))
            task.add_done_callback(lambda _: self._ensuring.pop(asset_id, None))
        self._pipeline.wake()

    async def _quietly(self, asset_id: int) -> None:
        """Read one asset; what can't be written now is read again by the ordinary passes."""
        with contextlib.suppress(PixlsrveError):
            await self._pipeline.ensure(asset_id)

    async def name_places(self) -> None:
        """Name the positions that were read before the names were there (the first start builds them).

        Nothing counts as done until then, where `progress.are_names_coming` says that they are expected.
        """
        try:
            await self._name_places()
        finally:
            self.progress.are_names_coming = False

    def expect_no_names(self) -> None:
        """The names of places could not be made: nothing waits for them."""
        self.progress.are_names_coming = False

    async def _name_places(self) -> None:
        index, after_id = self._context.index, 0
        while rows := await stages.unnamed(index, after_id, 500):
            after_id = rows[-1][0]
            found = [(self._context.places.lookup(lat, lon), i) for i, lat, lon in rows]
            named = [(place.label, i) for place, i in found if place is not None]
            async with index.transaction() as tx:
                await stages.set_places(tx, named)
                await self._wording.rewrite(tx, [i for _, i in named])
            self._context.version.bump()

    async def _freshen_words(self) -> None:
        """Write the words of assets in renamed folders again."""
        index = self._context.index
        while stale := await folders.stale_words(index, 50):
            for folder_id in stale:
                after_id = 0
                while ids := await stages.folders_with_stale_words(index, folder_id, after_id, 500):
                    after_id = ids[-1]
                    async with index.transaction() as tx:
                        await self._wording.rewrite(tx, ids)
                async with index.transaction() as tx:
                    await folders.words_are_fresh(tx, [folder_id])

    async def _forget_old(self) -> None:
        """Drop what was removed weeks ago."""
        while True:
            async with self._context.index.transaction() as tx:
                if not await files.forget_old(tx, now_us() - KEEP_GONE_US, 500):
                    return

    async def _tell_progress(self) -> None:
        """An event a second while there is something to do, and one at the end."""
        was_busy = False
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            status = self.status()
            if status.in_progress or was_busy:
                data = {"stage": status.stage.value, "done": status.done, "total": status.total}
                self._context.bus.publish(EventType.SCAN_PROGRESS, {**data, "eta_seconds": status.eta_seconds})
            was_busy = status.in_progress

    async def _hash(self, root_id: int, path: bytes) -> bytes | None:
        """SHA-256 of a file, or None when it can't be read."""
        try:
            fd = await self._context.roots.open_original(root_id, path)
        except PixlsrveError:
            return None
        try:
            hashed = await self._readers.hash_only(fd, interactive=True)
        finally:
            os.close(fd)
        return None if isinstance(hashed, Refusal) else hashed.sha256
