"""Where all uploads end: checked, durable, recorded and indexed before anybody is told so (THREATS T21, T22)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog

from pixlsrve.config import UploadsConfig
from pixlsrve.errors import InvalidInput, TooLarge, Unavailable
from pixlsrve.events import EventBus, EventType
from pixlsrve.media.roots import Root, Roots
from pixlsrve.media.uploads import names
from pixlsrve.media.uploads.arrivals import Arrivals, Examined
from pixlsrve.media.uploads.known import Known
from pixlsrve.media.uploads.ledger import Ledger
from pixlsrve.media.uploads.leftovers import Leftovers
from pixlsrve.media.uploads.room import Claim, Room
from pixlsrve.media.uploads.shelf import TEMPORARY, Shelf
from pixlsrve.media.uploads.spool import Spool
from pixlsrve.media.uploads.stored import ANY_MEDIA, Allowed, Stored, stored_at
from pixlsrve.media.uploads.trouble import translated
from pixlsrve.model import Kind, Refusal, RootState
from pixlsrve.store import uploads as rows
from pixlsrve.store.assets import Viewer
from pixlsrve.store.database import Database, Transaction

log = structlog.get_logger(__name__)

T = TypeVar("T")
WRITERS = 6
READERS = 2
"""Threads that read known content again; it must not keep those waiting whose bytes arrive."""
_WORD = re.compile(r"[a-z][a-z0-9]{0,4}")
_NO_MEDIA = frozenset({"unrecognised", "unsupported"})


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of one upload."""

    owner: str
    """UUID of the device or account that sends it."""
    name: str
    """As its sender calls it."""
    viewer: Viewer
    allowed: Allowed = ANY_MEDIA
    folder: str | None = None
    """Relative to the storage directory; None for today's below `uploads/`."""


Also = Callable[[Transaction, Stored], Awaitable[None]]
"""What else is written down in the very transaction that records an upload."""


class Uploads:
    """Takes uploads in. `close` it when the daemon stops."""

    def __init__(
        self,
        *,
        state: Database,
        index: Database,
        roots: Roots,
        arrivals: Arrivals,
        bus: EventBus,
        config: UploadsConfig,
        now_us: Callable[[], int],
    ) -> None:
        self._state = state
        self._roots = roots
        self._arrivals = arrivals
        self._bus = bus
        self._now_us = now_us
        self.writers = ThreadPoolExecutor(WRITERS, "uploads")
        self._readers = ThreadPoolExecutor(READERS, "uploads-known")
        self._root = next(root for root in roots if root.is_uploads)
        self.shelf = Shelf(self._root.path)
        self.room = Room(state, self._root.path, config, self.writers)
        self._leftovers = Leftovers(self.shelf, state, self._root, self._readers)
        self._ledger = Ledger(state)
        self._known = Known(state, index, roots, arrivals, self._leftovers, self._readers)
        self._at_work: dict[bytes, tuple[asyncio.Lock, int]] = {}
        self._tasks: set[asyncio.Task[Stored]] = set()

    @property
    def root(self) -> Root:
        """The root that uploads are in."""
        return self._root

    async def close(self) -> None:
        """Let those finish that are being stored."""
        await self._leftovers.close()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self.writers.shutdown(wait=False)
        self._readers.shutdown(wait=False)

    async def take_up(self, kept: set[str]) -> set[str]:
        """After a crash: look for what stands in its place unrecorded, and delete what was half received.

        But for the temporary files named in `kept`; those of them that are gone.
        """
        self._leftovers.begin()
        try:
            count, missing = await asyncio.get_running_loop().run_in_executor(self.writers, self.shelf.clear, kept)
        except FileNotFoundError:
            return set()  # there were no uploads yet, or their disk is not there
        except OSError as error:
            log.warning("half-received uploads could not be cleared away", error=error.strerror)
            return set()
        if count:
            log.info("half-received uploads of an earlier run were cleared away", count=count)
        return missing

    async def begin(
        self,
        owner: str,
        *,
        name: str,
        size: int | None,
        viewer: Viewer,
        allowed: Allowed = ANY_MEDIA,
        folder: str | None = None,
        at_most: int | None = None,
    ) -> Receiving:
        """Begin to receive a file of `size` bytes (None: unknown, but `at_most` so many) that its sender calls `name`.

        `owner` is the UUID of the device or account, `viewer` the roots that they may see; `folder` is relative to the
        storage directory. The caller ends it with `finish` or `abandon`. Raises InvalidInput (empty), StorageFull,
        StorageError, Unavailable (reason offline).
        """
        wanted = Wanted(owner=owner, name=name, viewer=viewer, allowed=allowed, folder=folder)
        if size == 0:
            raise _empty()
        self.check_online()
        claim = await self.room.claim(owner, at_most if size is None else size)
        try:
            spool = await self.create_spool(str(uuid.uuid4()))
        except BaseException:
            claim.end()
            raise
        return Receiving(self, wanted, spool, claim, size)

    def check_online(self) -> None:
        """Raises Unavailable while the storage directory's own disk is not there."""
        if self._root.state is not RootState.ONLINE:
            raise Unavailable("The disk for uploads is not there just now.", reason="offline", retry_after_s=60)

    def spool_path(self, number: str) -> Path:
        """Where the temporary file of this number is."""
        return self.shelf.incoming / f"{number}{TEMPORARY}"

    async def create_spool(self, number: str) -> Spool:
        """A new temporary file. Raises StorageFull, StorageError."""
        with translated():
            await asyncio.get_running_loop().run_in_executor(self.writers, self.shelf.prepare)
        return await Spool.create(self.spool_path(number), self.writers)

    async def conclude(self, spool: Spool, wanted: Wanted, also: Also | None = None, *, keeps: bool = False) -> Stored:
        """Check what was received, and store it; the temporary file is gone then.

        Where this fails it is gone too, unless `keeps`. Once begun it goes on to its end, even if the caller is
        cancelled. Raises InvalidInput for content that is not accepted, StorageFull, StorageError, Unavailable.
        """

        async def work() -> Stored:
            try:
                return await self._conclude(spool, wanted, also)
            except BaseException:
                if not keeps:
                    await spool.remove()
                raise

        return await self._to_the_end(work())

    async def _to_the_end(self, work: Coroutine[Any, Any, Stored]) -> Stored:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _conclude(self, spool: Spool, wanted: Wanted, also: Also | None) -> Stored:
        if spool.size_bytes == 0:
            raise _empty()
        sha256 = await spool.digest()
        name = names.rebuild(wanted.name)
        examined = await self._arrivals.examine(spool.fd, name)
        name = self._accepted_name(name, examined, wanted.allowed)
        async with self._alone(sha256):
            stored = await self._known.find(sha256, spool.size_bytes, owner=wanted.owner, viewer=wanted.viewer)
            if stored is None:
                return await self._store(spool, wanted, name, sha256, examined, also)
        is_unrecorded = stored.root_id == self._root.id and not await rows.recorded(
            self._state, stored.root_id, [stored.raw_path]
        )
        if also is not None or is_unrecorded:
            await self._note(stored, also, self._record_of(stored, wanted) if is_unrecorded else None)
        await spool.remove()
        return stored

    def _accepted_name(self, name: str, examined: Examined, allowed: Allowed) -> str:
        """The name under which the file is kept. Raises InvalidInput where its content or its name won't do."""
        verdict, kind, format_ = examined.verdict, examined.kind, examined.format
        if isinstance(verdict, Refusal) and verdict.reason == "empty":
            raise _empty()
        is_media = kind is not None and format_ is not None
        if not is_media or (isinstance(verdict, Refusal) and verdict.reason in _NO_MEDIA):
            raise InvalidInput("The content is no photo, video or audio that is known here.", reason="not_media")
        if kind not in allowed.kinds or (allowed.formats is not None and format_ not in allowed.formats):
            raise InvalidInput(
                f"The content is {_article(format_)}, which is not accepted here.", reason="type_not_allowed"
            )
        extension = names.extension_of(name)
        usual = self._arrivals.kind_of_extension(extension)
        if usual is None:
            if _WORD.fullmatch(extension):
                raise _mismatch(extension, format_)
            return names.with_extension(name, self._arrivals.extension_for(format_ or ""))
        # Sound and pictures that move share their containers; a picture that stands still shares none with them.
        if usual is not kind and Kind.PHOTO in (usual, kind):
            raise _mismatch(extension, format_)
        return name

    async def _store(
        self, spool: Spool, wanted: Wanted, name: str, sha256: bytes, examined: Examined, also: Also | None
    ) -> Stored:
        """Durable, in its place, indexed, recorded: in this order. Whatever fails, nothing is left in its place."""
        await spool.share()
        await spool.sync()
        folder = wanted.folder or self.shelf.today()
        loop, size_bytes = asyncio.get_running_loop(), spool.size_bytes
        with translated():
            placed = await loop.run_in_executor(self.writers, self.shelf.place, spool.path, folder, name)
        relative = f"{folder}/{placed}"
        path = os.fsencode(relative)
        try:
            admitted = await self._arrivals.admit(self._root.id, path, sha256, examined)
            stored = stored_at(self._root.id, path, admitted, sha256=sha256, size_bytes=size_bytes, is_duplicate=False)
            await self._note(stored, also, self._record_of(stored, wanted))
        except BaseException:
            await self._take_back(relative, spool.path)
            raise
        await spool.close()
        self._announce(stored)
        return stored

    async def _take_back(self, relative: str, source: Path) -> None:
        """What could not be recorded must not stand there as if it had been."""
        try:
            await asyncio.get_running_loop().run_in_executor(self.writers, self.shelf.take_back, relative, source)
        except OSError as error:
            log.warning("an upload that failed could not be taken back", file=relative, error=error.strerror)

    async def _note(self, stored: Stored, also: Also | None, record: rows.Record | None) -> None:
        """Have it written down for good."""

        async def entry(tx: Transaction) -> None:
            if record is not None:
                await rows.insert(tx, record)
            if also is not None:
                await also(tx, stored)

        await self._ledger.write(entry)

    def _record_of(self, stored: Stored, wanted: Wanted) -> rows.Record:
        name = names.shown(wanted.name) or stored.name
        return rows.Record(
            self._root.id, stored.raw_path, stored.sha256, stored.size_bytes, wanted.owner, name, self._now_us()
        )

    def _announce(self, stored: Stored) -> None:
        data = {"id": stored.asset_id, "filename": stored.name, "kind": stored.kind.value}
        self._bus.publish(EventType.MEDIA_UPLOADED, data, root_id=stored.root_id)

    @contextlib.asynccontextmanager
    async def _alone(self, sha256: bytes) -> AsyncIterator[None]:
        """Nobody else stores this content meanwhile: equal bytes sent in parallel are stored once."""
        lock, waiting = self._at_work.get(sha256) or (asyncio.Lock(), 0)
        self._at_work[sha256] = lock, waiting + 1
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._at_work.pop(sha256)
            if waiting > 1:
                self._at_work[sha256] = lock, waiting - 1


class Receiving:
    """One upload while its bytes arrive; made by `Uploads.begin`."""

    def __init__(self, uploads: Uploads, wanted: Wanted, spool: Spool, claim: Claim, size_bytes: int | None) -> None:
        self._uploads = uploads
        self._wanted = wanted
        self._spool = spool
        self._claim = claim
        self._size_bytes = size_bytes
        self._is_ending = False

    @property
    def received_bytes(self) -> int:
        """How many bytes have come so far."""
        return self._spool.size_bytes

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes; waits where the disk is slower than the sender.

        Raises TooLarge for more than were announced, StorageFull, StorageError; then call `abandon`.
        """
        if self._size_bytes is not None and self.received_bytes + len(chunk) > self._size_bytes:
            raise TooLarge("The file is larger than was announced.")
        await self._claim.note_written(len(chunk))
        await self._spool.write(chunk)

    def duplicate(self) -> int:
        """Another descriptor of the temporary file, for whoever reads what has been written; the caller closes it."""
        return os.dup(self._spool.fd)

    async def finish(self, also: Also | None = None) -> Stored:
        """Store what was received; durable, recorded and indexed when this returns. Nothing is left where it fails.

        Raises InvalidInput for what is incomplete, empty, no media or not what its name says, StorageFull,
        StorageError, Unavailable.
        """
        if self._size_bytes is not None and self.received_bytes != self._size_bytes:
            await self.abandon()
            raise InvalidInput("The file is shorter than was announced.", reason="incomplete")
        self._is_ending = True
        try:
            return await self._uploads.conclude(self._spool, self._wanted, also)
        finally:
            self._claim.end()

    async def abandon(self) -> None:
        """Forget what was received; after `finish` this does nothing."""
        if self._is_ending:
            return
        self._claim.end()
        await self._spool.remove()


def _empty() -> InvalidInput:
    return InvalidInput("The file is empty.", reason="empty")


def _mismatch(extension: str, format_: str | None) -> InvalidInput:
    return InvalidInput(
        f"The name ends in .{extension}, and the content is {_article(format_)}; send it under its right name.",
        reason="type_mismatch",
    )


def _article(format_: str | None) -> str:
    return f"of the type {format_ or 'unknown'}"
