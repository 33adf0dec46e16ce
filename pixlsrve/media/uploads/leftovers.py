"""Files that a crash caught between their place and their record: whole and durable, known to nobody (THREATS T21)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from concurrent.futures import Executor

import structlog

from pixlsrve.errors import PixlsrveError
from pixlsrve.media.roots import Root
from pixlsrve.media.uploads.shelf import Shelf
from pixlsrve.store import uploads as rows
from pixlsrve.store.database import Database

log = structlog.get_logger(__name__)

MARGIN_NS = 15 * 60 * 1_000_000_000
"""A file may wait so long for its record while later ones get theirs."""
FILES_MAX = 10_000
_AT_ONCE = 500


class Leftovers:
    """Finds them once, when the program starts; whoever sends one of them again is told that it is there.

    The index comes across them by itself, but maybe later than their sender.
    """

    def __init__(self, shelf: Shelf, state: Database, root: Root, executor: Executor) -> None:
        self._shelf = shelf
        self._state = state
        self._root = root
        self._executor = executor
        self._search: asyncio.Task[dict[int, list[bytes]]] | None = None

    def begin(self) -> None:
        """Look for them in the background."""
        self._search = asyncio.create_task(self._find(), name="uploads without a record")

    async def close(self) -> None:
        """Stop looking."""
        if self._search is not None:
            self._search.cancel()
            await asyncio.gather(self._search, return_exceptions=True)

    async def of_size(self, size_bytes: int) -> list[tuple[int, bytes]]:
        """The places of those with so many bytes; waits while they are looked for."""
        if self._search is None:
            return []
        found = await asyncio.shield(self._search)
        return [(self._root.id, path) for path in found.get(size_bytes, ())]

    async def _find(self) -> dict[int, list[bytes]]:
        """By their sizes; of what can't be read there are none, and what is sent again is stored once more."""
        loop, found = asyncio.get_running_loop(), defaultdict[int, list[bytes]](list)
        try:
            since_ns = await rows.last_stored_us(self._state) * 1_000 - MARGIN_NS
            recent = await loop.run_in_executor(self._executor, self._shelf.changed_since, since_ns, FILES_MAX)
            for start in range(0, len(recent), _AT_ONCE):
                part = recent[start : start + _AT_ONCE]
                recorded = await rows.recorded(self._state, self._root.id, [path for path, _ in part])
                for path, size_bytes in part:
                    if path not in recorded:
                        found[size_bytes].append(path)
        except (OSError, PixlsrveError) as error:
            log.warning("the newest uploads could not be looked through", error=str(error))
        return found
