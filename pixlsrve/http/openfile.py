"""An open file that is being sent: read in an executor, watched for changes, closed exactly once (THREATS T26)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, NamedTuple, TypeVar

from pixlsrve.store.file_numbers import inode_of, mtime_ns_of

T = TypeVar("T")


class FileChanged(Exception):
    """The file isn't the version any more whose sending began."""


class FileVersion(NamedTuple):
    """What changes when a file does."""

    size_bytes: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, fd: int) -> FileVersion:
        """The version of the file behind an open descriptor, as it is now."""
        facts = os.fstat(fd)
        return cls(facts.st_size, mtime_ns_of(facts), inode_of(facts))

    def etag(self) -> str:
        """A strong opaque tag for this version, without quotes."""
        return f"{self.inode:x}-{self.size_bytes:x}-{self.mtime_ns:x}"


class OpenFile:
    """Takes a descriptor over; reads of it run in `executor` (None: the loop's), one at a time."""

    def __init__(self, fd: int, executor: Executor | None) -> None:
        self._fd = fd
        self._executor = executor
        self._pending: asyncio.Future[Any] | None = None

    async def version(self) -> FileVersion:
        """The file's version now. Raises OSError."""
        return await self._run(lambda: FileVersion.of(self._fd))

    async def read(self, start: int, end: int, expected: FileVersion) -> bytes:
        """Exactly the bytes from `start` to before `end`.

        Raises FileChanged where the file ends before that or is another version than `expected` after reading, OSError
        where the disk fails.
        """
        return await self._run(lambda: _read(self._fd, start, end, expected))

    async def _run(self, job: Callable[[], T]) -> T:
        pending = asyncio.get_running_loop().run_in_executor(self._executor, job)
        self._pending = pending
        return await asyncio.shield(pending)

    def close(self) -> None:
        """Close the descriptor, after a read that a cancellation left running: its number must not be reused before."""
        if self._pending is None or self._pending.done():
            os.close(self._fd)
        else:
            self._pending.add_done_callback(self._close_after)

    def _close_after(self, pending: asyncio.Future[Any]) -> None:
        os.close(self._fd)
        if not pending.cancelled():
            pending.exception()  # nobody waits for it any more; asking keeps the loop from reporting it


def _read(fd: int, start: int, end: int, expected: FileVersion) -> bytes:
    data = os.pread(fd, end - start, start)
    while len(data) < end - start:
        more = os.pread(fd, end - start - len(data), start + len(data))
        if not more:
            raise FileChanged("the file is shorter than when its sending began")
        data += more
    if FileVersion.of(fd) != expected:
        raise FileChanged("the file was written to while it was sent")
    return data
