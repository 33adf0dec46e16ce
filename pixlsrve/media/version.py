"""The library's version: a number that grows with every committed change, and answers remembered until it does."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
CHEAP_S = 0.05
PATIENCE = 10


class LibraryVersion:
    """Counts committed changes of the index. Belongs to one event loop."""

    def __init__(self) -> None:
        self.value = 0

    def bump(self) -> None:
        """The index has changed: what was remembered about it may be wrong now."""
        self.value += 1


class VersionedCache(Generic[T]):
    """At most `size` answers, each good until the library changes, the least recently used given up first.

    Equal questions asked at once are answered once. While the library keeps changing, an answer that took long (over
    `CHEAP_S`) is given again for `PATIENCE` times as long as it took, so that indexing a big library and looking at it
    at the same time don't slow each other down.
    """

    def __init__(self, version: LibraryVersion, size: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._version = version
        self._size = size
        self._clock = clock
        self._answers: OrderedDict[Hashable, tuple[T, int, float, float]] = OrderedDict()
        self._locks: dict[Hashable, tuple[asyncio.Lock, list[None]]] = {}

    async def get(self, key: Hashable, compute: Callable[[], Awaitable[T]]) -> T:
        """The remembered answer to `key`, or the one `compute` gives now."""
        known = self._known(key)
        if known is not None:
            return known[0]
        lock, waiting = self._locks.setdefault(key, (asyncio.Lock(), []))
        waiting.append(None)
        try:
            async with lock:
                known = self._known(key)
                return known[0] if known is not None else await self._compute(key, compute)
        finally:
            waiting.pop()
            if not waiting:
                self._locks.pop(key, None)

    def _known(self, key: Hashable) -> tuple[T] | None:
        entry = self._answers.get(key)
        if entry is None:
            return None
        answer, version, at_s, took_s = entry
        if version != self._version.value and (took_s < CHEAP_S or self._clock() - at_s > PATIENCE * took_s):
            return None
        self._answers.move_to_end(key)
        return (answer,)

    async def _compute(self, key: Hashable, compute: Callable[[], Awaitable[T]]) -> T:
        version, started = self._version.value, self._clock()
        answer = await compute()
        now = self._clock()
        self._answers[key] = (answer, version, now, now - started)
        self._answers.move_to_end(key)
        while len(self._answers) > self._size:
            self._answers.popitem(last=False)
        return answer
