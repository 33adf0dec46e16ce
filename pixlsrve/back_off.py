"""A service that fails again and again waits longer before each try; systemd's RestartSteps= is too new for Debian 12.

How often is kept in the unit's runtime directory, which a stop removes and a restart does not.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pixlsrve.notify import notify

FILE = "starts"
FREE_STARTS = 3
"""Starts in a row without a pause."""
FORGET_S = 900.0
"""After so long without a start all is forgotten."""
LONGEST_S = 300.0
_MARGIN_S = 60


@contextlib.contextmanager
def paced(sleep: Callable[[float], object] = time.sleep) -> Iterator[None]:
    """Wait if the last starts failed; a block that ends in order makes all forgotten. Nothing outside of a service."""
    folder = os.environ.get("RUNTIME_DIRECTORY", "")
    if not folder:
        yield
        return
    file = Path(folder) / FILE
    _wait(file, sleep)
    yield
    file.unlink(missing_ok=True)


def pause_s(failures: int) -> float:
    """How long to wait after so many starts that led to nothing, seconds."""
    return 0.0 if failures < FREE_STARTS else min(2.0 ** (failures - FREE_STARTS + 2), LONGEST_S)


def _wait(file: Path, sleep: Callable[[float], object]) -> None:
    failures = _failures(file)
    with contextlib.suppress(OSError):  # a full /run: without the number in it there is no pause
        file.write_text(f"{failures + 1}\n")
    pause = pause_s(failures)
    if not pause:
        return
    extension = int((pause + _MARGIN_S) * 1_000_000)
    notify(f"EXTEND_TIMEOUT_USEC={extension}", f"{failures} starts failed; the next is in {pause:.0f} s")
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        sleep(pause)
    except SystemExit:  # whoever stops it has looked at it
        file.unlink(missing_ok=True)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _failures(file: Path) -> int:
    """How many starts in a row have not ended in order."""
    try:
        is_old = time.time() - file.stat().st_mtime > FORGET_S
        return 0 if is_old else max(0, int(file.read_text()))
    except (OSError, ValueError):
        return 0
