"""A wall clock that never goes back, so that what has expired stays expired (THREATS T11)."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Seconds since the Unix epoch: the wall clock, but at least what has been seen before plus what has passed since.

    `floor_us` is how far an earlier run had come; whoever owns the clock stores `now_us()` for the next one.
    """

    def __init__(
        self,
        *,
        floor_us: int = 0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._base_s = max(wall(), floor_us / 1e6)
        self._base_monotonic_s = monotonic()

    def now_s(self) -> float:
        """Seconds since the epoch."""
        passed_s = self._base_s + self._monotonic() - self._base_monotonic_s
        wall_s = self._wall()
        if wall_s > passed_s:
            self._base_s, self._base_monotonic_s = wall_s, self._monotonic()
            return wall_s
        return passed_s

    def now_us(self) -> int:
        """Microseconds since the epoch."""
        return int(self.now_s() * 1e6)
