"""Opening the files that are to be read, and telling why one can't be."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence

from pixlsrve.errors import NotFound, PathTraversal, PixlsrveError
from pixlsrve.media.roots import Roots
from pixlsrve.model import Refusal
from pixlsrve.store.file_numbers import mtime_ns_of
from pixlsrve.store.stages import WorkRow


class Gone(Exception):
    """The file is not what or where the index says: its folder must be listed again."""


class Offline(Exception):
    """The root is not there: the file is read when it is back."""


Opened = int | Refusal | Gone | Offline


@contextlib.asynccontextmanager
async def opened(roots: Roots, rows: Sequence[WorkRow]) -> AsyncIterator[list[Opened]]:
    """Descriptors of the rows' files for the length of the block, or why there is none."""
    results = await asyncio.to_thread(_open_all, roots, rows)
    try:
        yield results
    finally:
        for result in results:
            if isinstance(result, int):
                os.close(result)


def _open_all(roots: Roots, rows: Sequence[WorkRow]) -> list[Opened]:
    return [_open(roots, row) for row in rows]


def _open(roots: Roots, row: WorkRow) -> Opened:
    """One file, checked to be the one that was listed."""
    try:
        fd = roots.open_original_blocking(row.root_id, row.path)
    except (NotFound, PathTraversal):
        return Gone()
    except PixlsrveError as error:
        if error.reason == "offline":
            return Offline()
        return Refusal(reason="unreadable", message="The file can't be read; check its rights and the disk.")
    if not is_as_listed(fd, row):
        os.close(fd)
        return Gone()
    return fd


def is_as_listed(fd: int, row: WorkRow) -> bool:
    """Whether an open file still has the size and time that the index knows."""
    status = os.fstat(fd)
    return (status.st_size, mtime_ns_of(status)) == (row.size_bytes, row.mtime_ns)
