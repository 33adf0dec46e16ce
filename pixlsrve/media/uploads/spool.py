"""The file that an upload's bytes go to as they arrive, hashed on their way, written by threads."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from pixlsrve.media.uploads.renaming import sync
from pixlsrve.media.uploads.trouble import translated

P = ParamSpec("P")
T = TypeVar("T")
BLOCK_BYTES = 256 * 1024
"""What is gathered before a thread writes it: a thread for each network packet would cost more than the writing."""
FILE_MODE = 0o640
"""So that a household's file server can share it (DESIGN section 8)."""
_PRIVATE_MODE = 0o600


class Hash(Protocol):
    """What is used of hashlib's objects."""

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""

    def digest(self) -> bytes:
        """Of all bytes so far."""

    def copy(self) -> Any:
        """One that goes on from here."""


class Spool:
    """One temporary file. Writing goes on in a thread while the next bytes arrive; at most two blocks are in memory.

    Any method may be cancelled: what a thread has begun it ends before the next one touches the file. `hash` is None
    where the file was taken up again after a restart; its content is then hashed as a whole in the end.
    """

    def __init__(self, path: Path, executor: Executor, fd: int, size_bytes: int, hash_: Hash | None) -> None:
        self.path = path
        self.size_bytes = size_bytes
        """What was given to `write`, and is or will be in the file."""
        self.hash = hash_
        self.extra_hash: Hash | None = None
        """Takes in the same bytes, for whoever sets it."""
        self._executor = executor
        self._fd = fd
        self._order = threading.Lock()
        self._written_bytes = size_bytes
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._job: asyncio.Future[None] | None = None

    @classmethod
    async def create(cls, path: Path, executor: Executor) -> Spool:
        """A new, empty file. Raises StorageFull, StorageError."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = await _open(executor, path, flags)
        return cls(path, executor, fd, 0, hashlib.sha256())

    @classmethod
    async def reopen(cls, path: Path, executor: Executor, size_bytes: int, hash_: Hash | None) -> Spool:
        """A file that was begun before, cut to `size_bytes`; `hash_` is of those. Raises StorageError."""
        fd = await _open(executor, path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        spool = cls(path, executor, fd, size_bytes, hash_)
        try:
            await spool._call(_cut, fd, size_bytes)
        except BaseException:
            await spool.close()
            raise
        return spool

    @property
    def is_closed(self) -> bool:
        """Whether the file was let go of."""
        return self._fd < 0

    @property
    def fd(self) -> int:
        """The open file; use it only while nothing is being written."""
        return self._fd

    async def write(self, chunk: bytes) -> None:
        """Take more bytes; waits when the disk is slower than the sender. Raises StorageFull, StorageError."""
        self._pending.append(chunk)
        self._pending_bytes += len(chunk)
        self.size_bytes += len(chunk)
        if self._pending_bytes >= BLOCK_BYTES:
            await self._finish_job()
            self._begin_job()

    async def flush(self) -> None:
        """Have everything written, durable or not. Raises StorageFull, StorageError."""
        await self._finish_job()
        if self._pending:
            self._begin_job()
            await self._finish_job()

    async def sync(self) -> None:
        """Have everything on the disk. Raises StorageFull, StorageError; the file is then not to be trusted."""
        await self.flush()
        await self._call(sync, self._fd)

    async def sync_behind(self) -> int:
        """Have what threads have written by now on the disk, while they write on; how many bytes that is.

        Raises StorageFull, StorageError; the file is then not to be trusted. It must not be closed meanwhile.
        """
        written, loop = self._written_bytes, asyncio.get_running_loop()
        with translated():
            await asyncio.shield(loop.run_in_executor(self._executor, sync, self._fd))
        return written

    async def cut(self, size_bytes: int, hash_: Hash | None) -> None:
        """Forget what came after `size_bytes`; `hash_` is of what stays. Raises StorageError."""
        await self._finish_job()
        self._pending, self._pending_bytes = [], 0
        await self._call(_cut, self._fd, size_bytes)
        self.size_bytes, self._written_bytes, self.hash = size_bytes, size_bytes, hash_

    async def digest(self) -> bytes:
        """SHA-256 of everything; reads the file where the hash was lost by a restart. Raises StorageError."""
        await self.flush()
        if self.hash is None:
            self.hash = await self._call(_hash_of, self._fd, self.size_bytes)
        return self.hash.digest()

    async def share(self) -> None:
        """Give it the rights of a finished upload. Raises StorageError."""
        await self._call(os.fchmod, self._fd, FILE_MODE)

    async def close(self) -> None:
        """Let go of the file; what was not flushed is lost. Closing twice is fine."""
        fd, self._fd = self._fd, -1
        self._pending = []
        job, self._job = self._job, None
        if job is not None:
            await asyncio.wait({job})
            job.exception()
        if fd >= 0:
            with contextlib.suppress(Exception):  # what matters was synced
                await self._call(os.close, fd)

    async def remove(self) -> None:
        """Close and delete the file; nothing is raised, for the next start deletes it too."""
        await self.close()
        with contextlib.suppress(Exception):
            await self._call(self.path.unlink, missing_ok=True)

    def _begin_job(self) -> None:
        """Have a thread write what is pending."""
        blocks, self._pending, self._pending_bytes = self._pending, [], 0
        loop = asyncio.get_running_loop()
        self._job = loop.run_in_executor(self._executor, self._in_order, self._append, self._fd, blocks)

    async def _finish_job(self) -> None:
        """Wait for the thread that writes, if there is one."""
        job = self._job
        if job is not None:
            with translated():
                await asyncio.shield(job)
            if self._job is job:
                self._job = None

    def _append(self, fd: int, blocks: list[bytes]) -> None:
        # As one: each call lets go of the interpreter and then has to wait for it.
        block = b"".join(blocks)
        view = memoryview(block)
        while view:
            view = view[os.write(fd, view) :]
        self._written_bytes += len(block)
        if self.hash is not None:
            self.hash.update(block)
        if self.extra_hash is not None:
            self.extra_hash.update(block)

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking function in a thread, after what other threads do with the file."""
        loop = asyncio.get_running_loop()
        with translated():
            return await asyncio.shield(
                loop.run_in_executor(self._executor, lambda: self._in_order(function, *args, **kwargs))
            )

    def _in_order(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._order:
            return function(*args, **kwargs)


async def _open(executor: Executor, path: Path, flags: int) -> int:
    with translated():
        return await asyncio.get_running_loop().run_in_executor(executor, os.open, path, flags, _PRIVATE_MODE)


def _cut(fd: int, size_bytes: int) -> None:
    """Cut an open file and go to its end. Raises OSError where it is shorter."""
    if os.fstat(fd).st_size < size_bytes:
        raise OSError("the file is shorter than what was acknowledged")
    os.ftruncate(fd, size_bytes)
    os.lseek(fd, size_bytes, os.SEEK_SET)


def _hash_of(fd: int, size_bytes: int) -> Hash:
    """SHA-256 of the first `size_bytes` of an open file. Raises OSError where there are fewer."""
    hash_, done = hashlib.sha256(), 0
    while done < size_bytes:
        block = os.pread(fd, min(BLOCK_BYTES, size_bytes - done), done)
        if not block:
            raise OSError("the file is shorter than it was")
        hash_.update(block)
        done += len(block)
    return hash_


def hash_open_file(fd: int, size_bytes: int) -> bytes | None:
    """SHA-256 of a whole open file by what it holds right now; None when it can't be read or has another size."""
    try:
        if os.fstat(fd).st_size != size_bytes:
            return None
        return _hash_of(fd, size_bytes).digest()
    except OSError:
        return None
