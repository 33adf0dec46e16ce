"""One song on its way from a device, which listeners can read while the rest is still arriving."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Iterator
from typing import Protocol

from pixlsrve.media.uploads.stored import Stored
from pixlsrve.store.songs import Song

PIECE_BYTES = 256 * 1024
LAG_BYTES = 4 * 1024 * 1024
"""What has been received may be in the file only so much later: uploads write in blocks, one behind the other."""


class Receiving(Protocol):
    """An upload that is being received, as far as listeners need it."""

    def duplicate(self) -> int:
        """Another descriptor of the file that the bytes go to; the caller closes it."""


class TransferFailed(Exception):
    """The song did not come, or not to its end."""


class Transfer:
    """A song that was asked for. The newest upload of it counts; one that it replaces has failed for its listeners."""

    def __init__(self, song: Song, loop: asyncio.AbstractEventLoop) -> None:
        self.song = song
        self.done: asyncio.Future[None] = loop.create_future()
        """Ends with whatever came of it; failed with the reason where nothing did."""
        self.sender: str | None = None
        """The address that may send the song without a token; None where a token is needed."""
        self.stored: Stored | None = None
        self.refused: str | None = None
        """Why the host did not want the content."""
        self.size_bytes: int | None = None
        """As announced by the sender of the upload."""
        self.received_bytes = 0
        self.patience: tuple[asyncio.Timeout, float] | None = None
        """The time-out of the call that the transfer answers, and how many seconds each progress gives it."""
        self.upload = 0
        """Number of the upload that counts; 0 before the first."""
        self._loop = loop
        self._fd = -1
        self._is_whole = False
        self._listeners = 0
        self._tail: deque[bytes] = deque()
        self._tail_start = 0
        self._changed = asyncio.Event()

    def begin(self, receiving: Receiving, size_bytes: int | None) -> int:
        """An upload of the song begins; its number, which `add` and `end` want to hear again."""
        self._close()
        self._fd = receiving.duplicate()
        self.upload += 1
        self.size_bytes, self.received_bytes, self._is_whole = size_bytes, 0, False
        self._tail.clear()
        self._tail_start = 0
        self._tell()
        return self.upload

    def add(self, upload: int, chunk: bytes) -> None:
        """More of it has been received."""
        if upload != self.upload:
            return
        self.received_bytes += len(chunk)
        if self._listeners:
            self._tail.append(chunk)
            while self.received_bytes - self._tail_start - len(self._tail[0]) > LAG_BYTES:
                self._tail_start += len(self._tail.popleft())
        else:
            self._tail_start = self.received_bytes
        self._tell()

    def rest(self) -> None:
        """All of it has been received; what takes time now is the host's own disk, and no silence of the device."""
        if self.patience is not None and not self.patience[0].expired():
            self.patience[0].reschedule(None)

    def end(self, upload: int, stored: Stored | None, refused: str | None = None) -> None:
        """The upload is over: stored, refused for a reason, or broken off where there is neither."""
        if upload != self.upload:
            return
        self.stored, self.refused = stored or self.stored, refused
        self._is_whole = stored is not None
        if stored is None:
            self._close()
        self._tell()

    def finish(self, error: BaseException | None) -> None:
        """Nothing more is to come."""
        if not self.done.done():
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)
                self.done.exception()  # sync and listeners may both have gone
        if not self._listeners:
            self._close()
        self._tell()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Be a listener for the length of the block."""
        if not self._listeners:
            self._tail_start = self.received_bytes
        self._listeners += 1
        try:
            yield
        finally:
            self._listeners -= 1
            if not self._listeners:
                self._tail.clear()
                self._tail_start = self.received_bytes
                if self.done.done():
                    self._close()

    async def begun(self) -> int:
        """Wait for the first bytes of an upload; its number. Raises what `done` failed with, or TransferFailed."""
        while not self.received_bytes:
            if self.done.done():
                self.done.result()
                raise TransferFailed
            await self._wait()
        return self.upload

    async def read(self, upload: int, offset: int) -> bytes:
        """The next bytes of an upload from `offset`; empty at its end. Raises TransferFailed when it broke off."""
        while True:
            if upload != self.upload or self._fd < 0:
                raise TransferFailed
            if self._is_whole and offset >= self.received_bytes:
                return b""
            if self._tail_start <= offset < self.received_bytes and self._tail:
                return self._from_tail(offset)
            in_file = self.received_bytes if self._is_whole else self.received_bytes - LAG_BYTES
            if offset < in_file:
                return await self._from_file(offset, min(PIECE_BYTES, in_file - offset))
            if self.done.done() and not self._is_whole:
                raise TransferFailed
            await self._wait()

    def _from_tail(self, offset: int) -> bytes:
        start = self._tail_start
        for chunk in self._tail:
            if offset < start + len(chunk):
                return chunk[offset - start :]
            start += len(chunk)
        raise TransferFailed

    async def _from_file(self, offset: int, size: int) -> bytes:
        fd = os.dup(self._fd)  # its own, because the transfer may end while a thread reads
        try:
            data = await asyncio.shield(reading := self._loop.run_in_executor(None, os.pread, fd, size, offset))
        except asyncio.CancelledError:
            reading.add_done_callback(lambda _: os.close(fd))
            raise
        except OSError as error:
            os.close(fd)
            raise TransferFailed from error
        os.close(fd)
        if not data:
            raise TransferFailed
        return data

    async def _wait(self) -> None:
        await self._changed.wait()

    def _tell(self) -> None:
        if self.patience is not None and not self.patience[0].expired():
            self.patience[0].reschedule(self._loop.time() + self.patience[1])
        self._changed.set()
        self._changed = asyncio.Event()

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
