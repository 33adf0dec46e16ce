"""Reading a file's bytes once: the SHA-256 of all of them, and the bytes themselves where they are few."""

from __future__ import annotations

import hashlib
import io
import os
from typing import BinaryIO

from pixlsrve.media.decode.limits import MIB

IN_MEMORY_BYTES = 32 * MIB
"""Files up to this size are held while they are decoded. Never mapped: a file that shrinks would kill the reader."""

CHUNK_BYTES = MIB


def hash_and_hold(file: BinaryIO) -> tuple[bytes, int, BinaryIO]:
    """The SHA-256, the size in bytes, and a seekable source of the same bytes at position 0.

    The source is `file` itself when it is larger than IN_MEMORY_BYTES. Raises OSError where reading fails.
    """
    file.seek(0)
    head = _read_up_to(file, IN_MEMORY_BYTES + 1)
    digest = hashlib.sha256(head)
    if len(head) <= IN_MEMORY_BYTES:
        return digest.digest(), len(head), io.BytesIO(head)
    size = len(head)
    del head
    size += _update(digest, file)
    file.seek(0)
    return digest.digest(), size, file


def hash_only(file: BinaryIO) -> tuple[bytes, int]:
    """The SHA-256 of the whole file and its size in bytes, in constant memory. Raises OSError."""
    file.seek(0)
    digest = hashlib.sha256()
    size = _update(digest, file)
    return digest.digest(), size


def _read_up_to(file: BinaryIO, limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit
    # Asked for as much as there seems to be, a buffer of that size is used again; one of the limit's size never is.
    likely = min(limit, _size_of(file))
    while left and (part := file.read(min(left, likely) or CHUNK_BYTES)):
        parts.append(part)
        left -= len(part)
        likely = CHUNK_BYTES
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _size_of(file: BinaryIO) -> int:
    """How large an open file seems to be, without moving the position that other holders of the descriptor share."""
    return file.getbuffer().nbytes if isinstance(file, io.BytesIO) else os.fstat(file.fileno()).st_size


def _update(digest: hashlib._Hash, file: BinaryIO) -> int:
    buffer = bytearray(CHUNK_BYTES)
    view = memoryview(buffer)
    total = 0
    while count := file.readinto(view):  # type: ignore[attr-defined]  # every binary file the worker opens has it
        digest.update(view[:count])
        total += count
    return total
