"""Reading files in stages: headers first, so that everything can be found, then contents, newest first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from pixlsrve.index.context import IndexContext, now_us
from pixlsrve.index.disk_trouble import CANT_WRITE, DiskTrouble
from pixlsrve.index.opening import Gone, Offline, Opened, is_as_listed, opened
from pixlsrve.index.progress import Progress
from pixlsrve.index.results import Results
from pixlsrve.model import THUMBNAIL_SIZES_PX, Content, Facts, Refusal
from pixlsrve.store import stages, thumbnails
from pixlsrve.store.stages import WorkRow

log = structlog.get_logger(__name__)

HEADERS_AT_ONCE = 96
CONTENTS_AT_ONCE = 64
GATHER_S = 0.1
"""How long a read content waits for others to be committed with it: a commit costs as much for many as for one."""
NEWEST = (1 << 63) - 1
COUNT_EVERY_S = 2.0
ENSURE_ROUNDS = 6


class Readers(Protocol):
    """The worker processes, as the pipeline uses them."""

    async def read_facts(self, items: Sequence[tuple[int, str]], *, interactive: bool = False) -> list[Facts | Refusal]:
        """What the headers of open files say: descriptors and base names."""

    async def read_content(self, fd: int, name: str, *, interactive: bool = False) -> Content | Refusal:
        """Hash and thumbnails of an open file."""

    async def hash_only(self, fd: int, *, interactive: bool = False) -> Content | Refusal:
        """SHA-256 of an open file, nothing decoded."""


Relist = Callable[[int, bytes], None]
"""Ask for a folder (root id, path) to be listed again."""


class Pipeline:
    """Reads what the scanner listed. Contents wait until no header is left, except those that somebody asks for."""

    def __init__(
        self,
        context: IndexContext,
        readers: Readers,
        results: Results,
        progress: Progress,
        relist: Relist,
        trouble: DiskTrouble,
        *,
        parallel: int,
    ) -> None:
        self._context = context
        self._readers = readers
        self._results = results
        self._progress = progress
        self._relist = relist
        self._parallel = parallel
        self._wake = asyncio.Event()
        self._busy: dict[int, asyncio.Future[None]] = {}
        self._finished: asyncio.Queue[tuple[WorkRow, Content | None]] = asyncio.Queue(CONTENTS_AT_ONCE * 2)
        self._is_dirty = False
        self._trouble = trouble

    def wake(self) -> None:
        """There may be something to read."""
        self._wake.set()

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._commit_contents(), name="commit contents")
            tasks.create_task(self._keep_count(), name="count work")
            while True:
                self._wake.clear()
                await self._count()
                await self._read_all_headers()
                await self._read_all_contents()
                await self._count()
                if not self._wake.is_set():
                    self._rest()
                    await self._wake.wait()

    async def ensure(self, asset_id: int) -> None:
        """Read header and content of one asset now; returns when both are committed, or can't be."""
        # Another reader may take the file between two looks; a file that keeps changing is left to the ordinary passes.
        for _ in range(ENSURE_ROUNDS):
            while asset_id in self._busy:
                await asyncio.shield(self._busy[asset_id])
            rows = await stages.work_rows(self._context.index, [asset_id])
            if not rows or (rows[0].stage == 2 and not await self._reopen_lost(rows[0])):
                return
            rows = [row._replace(stage=1, has_thumbnail=0) if row.stage == 2 else row for row in rows]
            if rows[0].stage == 0:
                await self._read_headers(rows, interactive=True)
            elif (found := await self._read_content(rows[0], interactive=True)) is not None:
                await self._results.put_contents([found])
                self._is_dirty = True

    async def reopen_all_lost(self) -> None:
        """After the thumbnails were lost as a whole, have them made again."""
        if await thumbnails.is_empty(self._context.thumbnails):
            async with self._context.index.transaction() as tx:
                await stages.reopen_all(tx)

    async def _reopen_lost(self, row: WorkRow) -> bool:
        """Whether an asset that should have thumbnails has none, and is to be read again."""
        if not row.has_thumbnail or row.sha256 is None:
            return False
        if await thumbnails.find(self._context.thumbnails, row.sha256, max(THUMBNAIL_SIZES_PX)) is not None:
            return False
        async with self._context.index.transaction() as tx:
            await stages.reopen(tx, row.id)
        return True

    # Headers

    async def _read_all_headers(self) -> None:
        """One pass over everything listed, two batches at a time so that the workers never wait for a commit."""
        after_id = 0
        slots = asyncio.Semaphore(max(2, self._parallel))
        async with asyncio.TaskGroup() as tasks:
            while rows := await stages.unread(self._context.index, after_id, HEADERS_AT_ONCE):
                after_id = rows[-1].id
                await slots.acquire()
                task = tasks.create_task(self._read_headers(rows, interactive=False))
                task.add_done_callback(lambda _: slots.release())

    async def _read_headers(self, rows: list[WorkRow], *, interactive: bool) -> None:
        """Read and commit one batch."""
        rows = [row for row in rows if row.id not in self._busy]
        if not rows:
            return
        done = self._occupy([row.id for row in rows])
        try:
            async with opened(self._context.roots, rows) as files:
                found = await self._facts_of(rows, files, interactive=interactive)
            if found:
                if any(isinstance(facts, Facts) and facts.latitude is not None for _, facts in found):
                    self._progress.has_unnamed = True
                await self._patiently(lambda: self._results.put_headers(found))
        finally:
            done()
        self._progress.note_read(len(rows))
        self._is_dirty = True

    async def _facts_of(
        self, rows: Sequence[WorkRow], files: Sequence[Opened], *, interactive: bool
    ) -> list[tuple[WorkRow, Facts | Refusal]]:
        """What the headers of those files say that could be opened and did not change meanwhile."""
        found: list[tuple[WorkRow, Facts | Refusal]] = []
        readable: list[tuple[WorkRow, int]] = []
        for row, file in zip(rows, files, strict=True):
            if isinstance(file, int):
                readable.append((row, file))
            elif isinstance(file, Refusal):
                found.append((row, file))
            elif isinstance(file, Gone):
                self._relist(row.root_id, row.folder_path)
        items = [(fd, _text(row.name)) for row, fd in readable]
        facts = await self._readers.read_facts(items, interactive=interactive) if items else []
        for (row, fd), item in zip(readable, facts, strict=True):
            if is_as_listed(fd, row):
                found.append((row, item))
            else:
                self._relist(row.root_id, row.folder_path)
        return found

    # Contents

    async def _read_all_contents(self) -> None:
        """One pass over everything whose header was read; ends early when new files were listed."""
        before = NEWEST
        slots = asyncio.Semaphore(self._parallel * 2)  # so that a worker that is done finds the next file opened
        async with asyncio.TaskGroup() as tasks:
            while rows := await stages.undecoded(self._context.index, before, CONTENTS_AT_ONCE):
                before = rows[-1].date_key
                for row in rows:
                    await slots.acquire()
                    task = tasks.create_task(self._read_and_queue(row))
                    task.add_done_callback(lambda _: slots.release())
                if self._wake.is_set() and (await stages.unread(self._context.index, 0, 1)):
                    break
        await self._finished.join()

    async def _read_and_queue(self, row: WorkRow) -> None:
        """Read one file and hand the result to the committer."""
        found = await self._read_content(row, interactive=False)
        if found is not None:
            await self._finished.put(found)

    async def _read_content(self, row: WorkRow, *, interactive: bool) -> tuple[WorkRow, Content | None] | None:
        """What one file's content gave, None for content that is the known one; nothing when it can't be read now."""
        if row.id in self._busy:
            return None
        done = self._occupy([row.id])
        try:
            async with opened(self._context.roots, [row]) as (file,):
                if isinstance(file, int):
                    content = await self._content_of(row, file, interactive=interactive)
                    if not is_as_listed(file, row):
                        self._relist(row.root_id, row.folder_path)
                    elif isinstance(content, Refusal):
                        await self._refuse(row, content)
                    else:
                        return row, content
                elif isinstance(file, Gone):
                    self._relist(row.root_id, row.folder_path)
                elif isinstance(file, Offline):
                    return None
                elif isinstance(file, Refusal):
                    await self._refuse(row, file)
        finally:
            done()
        return None

    async def _refuse(self, row: WorkRow, refusal: Refusal) -> None:
        """Note that a file could not be read."""
        await self._patiently(lambda: self._results.put_headers([(row, refusal)]))

    async def _content_of(self, row: WorkRow, fd: int, *, interactive: bool) -> Content | Refusal | None:
        """Hash first where that may be enough: a touched file is not decoded again, a refused one never."""
        if row.refusal_reason is not None:
            return await self._readers.hash_only(fd, interactive=interactive)
        if row.sha256 is not None and row.has_thumbnail:
            hashed = await self._readers.hash_only(fd, interactive=interactive)
            if isinstance(hashed, Refusal) or hashed.sha256 == row.sha256:
                return hashed if isinstance(hashed, Refusal) else None
        return await self._readers.read_content(fd, _text(row.name), interactive=interactive)

    async def _commit_contents(self) -> None:
        """Commit what has been read, as many at once as have gathered."""
        while True:
            found = [await self._finished.get()]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GATHER_S):
                    while len(found) < CONTENTS_AT_ONCE:
                        found.append(await self._finished.get())
            batch = found
            try:
                await self._patiently(lambda: self._results.put_contents(batch))  # noqa: B023  # awaited at once
            finally:
                for _ in found:
                    self._finished.task_done()
            self._progress.note_decoded(len(found))
            self._is_dirty = True

    # Upkeep

    def _occupy(self, ids: list[int]) -> Callable[[], None]:
        """Mark assets as being read; call the result when they are not any more."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._busy.update(dict.fromkeys(ids, future))

        def done() -> None:
            for asset_id in ids:
                self._busy.pop(asset_id, None)
            if not future.done():
                future.set_result(None)

        return done

    async def _patiently(self, commit: Callable[[], Awaitable[None]]) -> None:
        """Commit; on a full or read-only disk wait and try again: reading goes on meanwhile (THREATS T32)."""
        while True:
            try:
                await commit()
            except CANT_WRITE as error:
                await self._trouble.wait(error)
            else:
                self._trouble.is_over()
                return

    async def _keep_count(self) -> None:
        """Bring the progress up to date every few seconds while something is going on."""
        while True:
            await asyncio.sleep(COUNT_EVERY_S)
            if self._is_dirty:
                await self._count()

    async def _count(self) -> None:
        """Ask the index what is left."""
        self._is_dirty = False
        index, progress = self._context.index, self._progress
        progress.unread, progress.undecoded = await stages.remaining(index)
        progress.quarantined = await stages.quarantined(index)
        progress.photos_indexed = await stages.shown(index)

    def _rest(self) -> None:
        """Nothing is left to read (or nothing that can be read now)."""
        if not self._progress.is_listing:
            self._progress.finish(now_us())


def _text(name: bytes) -> str:
    """A file name for the readers, which look for dates and endings in it."""
    return name.decode("utf-8", "replace")
