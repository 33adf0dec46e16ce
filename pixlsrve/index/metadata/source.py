"""Bounded reading of one open file: every byte that the metadata stage looks at passes through here."""

from __future__ import annotations

import io
import os
from typing import BinaryIO

HEAD_BYTES = 64 * 1024
"""Read in one go from the start; holds all that is wanted of an ordinary camera JPEG."""

WINDOW_BYTES = 16 * 1024
"""Read around a place further in, so that walking small structures does not cost a system call each."""

BUDGET_BYTES = 48 * 1024 * 1024
"""What one file may cost altogether, whatever its own offsets and lengths say."""


class Damaged(ValueError):
    """The bytes contradict their own format, or ask for more than a header may."""


class Source:
    """Random access to a file that may be hostile, truncated, or shrinking while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        file.seek(0)
        self.head = file.read(HEAD_BYTES)
        self.size = max(file.seek(0, os.SEEK_END), len(self.head)) if len(self.head) == HEAD_BYTES else len(self.head)
        self._start = 0
        self._window = self.head
        self._left = BUDGET_BYTES

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`, fewer at the end of the file. Raises Damaged beyond the budget."""
        if offset < 0 or length <= 0 or offset >= self.size:
            return b""
        end = offset + length
        if end <= len(self.head):
            return self.head[offset:end]
        start = offset - self._start
        if start >= 0 and start + length <= len(self._window):
            return self._window[start : start + length]
        wanted = min(max(length, WINDOW_BYTES), self.size - offset)
        self._left -= wanted
        if self._left < 0:
            raise Damaged("the header asks for too many bytes")
        self.file.seek(offset)
        data = self.file.read(wanted)
        self._start, self._window = offset, data
        return data[:length]


class BoundedFile(io.RawIOBase):
    """A read-only view of a file for libraries, which stops them from reading it without end.

    `read()` with no size, one huge read, or more than the budget in all raises Damaged.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        super().__init__()
        self._file = file
        self._size = size
        self._left = BUDGET_BYTES
        self._file.seek(0)

    def readable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always true."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As for any file. Raises OSError before the start."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position in bytes."""
        return self._file.tell()

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes (all that remain when negative). Raises Damaged beyond the budget."""
        remaining = max(0, self._size - self._file.tell())
        wanted = remaining if size is None or size < 0 else min(size, remaining)
        self._left -= wanted
        if self._left < 0:
            raise Damaged("the header asks for too many bytes")
        return self._file.read(wanted)
