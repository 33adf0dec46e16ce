"""The daemon's signs of life for systemd, sent by the event loop itself: one that hangs sends none, and is ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pixlsrve.notify import is_asked, notify, watchdog_s

STATUS_S = 5.0
"""How often the status line may change."""
START_PATIENCE_S = 60
"""While starting or stopping, each beat asks for this much more time: a migration takes what it takes."""
_BEATS = 4
"""Signs of life within the watchdog's time; half of it is what sd_watchdog_enabled(3) asks for."""


class Heartbeat:
    """Beats until cancelled. `describe` is the status line while the daemon is up; None while it isn't."""

    def __init__(self) -> None:
        self.describe: Callable[[], str] | None = None
        self._said = ""
        self._said_s = float("-inf")

    async def run(self) -> None:
        """Beat; returns at once where nobody listens."""
        if not is_asked():
            return
        limit_s = watchdog_s()
        pause_s = min(STATUS_S, STATUS_S if limit_s is None else limit_s / _BEATS)
        while True:
            self._beat(is_watched=limit_s is not None)
            await asyncio.sleep(pause_s)

    def _beat(self, *, is_watched: bool) -> None:
        lines = ["WATCHDOG=1"] if is_watched else []
        if self.describe is None:
            lines.append(f"EXTEND_TIMEOUT_USEC={START_PATIENCE_S * 1_000_000}")
        notify("\n".join(lines), self._news())

    def _news(self) -> str:
        """The status line where it has changed, and not too often."""
        now_s = time.monotonic()
        if self.describe is None or now_s - self._said_s < STATUS_S * 0.9:
            return ""
        text = self.describe()
        if text == self._said:
            return ""
        self._said, self._said_s = text, now_s
        return text
