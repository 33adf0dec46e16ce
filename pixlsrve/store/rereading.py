"""Reading files again to find what a disk has lost: never written, politely, and past the system's memory of them.

`verified.json` in the data directory has when everything was last read, and which files were bad then.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pixlsrve.instance import as_owner
from pixlsrve.store.durable import write_whole
from pixlsrve.store.file_numbers import mtime_ns_of
from pixlsrve.store.verifying import Expected

RECORD = "verified.json"
_CHUNK_BYTES = 1 << 20
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "armv7l": 314}
_IOPRIO_IDLE = 3 << 13
_IOPRIO_WHO_PROCESS = 1


class Verdict(enum.StrEnum):
    """What reading a file again has shown."""

    GOOD = "good"
    BIT_ROT = "bit_rot"
    UNREADABLE = "unreadable"
    CHANGED = "changed"
    MISSING = "missing"
    OFFLINE = "offline"


@dataclass(frozen=True)
class Bad:
    """A file that is not what it was, or can't be read any more; when it was last known to be good."""

    path: Path
    verdict: Verdict
    last_good_us: int


@dataclass
class Reread:
    """What a pass has found. `counts` has every verdict."""

    counts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    bad: list[Bad] = field(default_factory=list)
    size_bytes: int = 0
    is_complete: bool = False


def be_polite() -> None:
    """Let everybody else have the processor and the disk first, as far as the system can."""
    with contextlib.suppress(OSError):
        os.nice(19)
    number = _IOPRIO_SET.get(platform.machine())
    if sys.platform == "linux" and number is not None:
        ctypes.CDLL(None).syscall(number, _IOPRIO_WHO_PROCESS, 0, _IOPRIO_IDLE)


def read_again(files: Iterable[Expected], data_dir: Path, progress: Callable[[int], None] = lambda _: None) -> Reread:
    """Read each file; the record is written when all were read. KeyboardInterrupt ends it early, with what was found.

    Raises what `files` raises, and OSError when the record can't be written.
    """
    began_us = time.time_ns() // 1000
    last_pass_us, known_bad = _load(data_dir)
    result = Reread()
    with contextlib.suppress(KeyboardInterrupt):
        for file in files:
            verdict = examine(file, progress)
            result.counts[verdict] += 1
            if verdict in (Verdict.BIT_ROT, Verdict.UNREADABLE):
                last_us = known_bad.get(str(file.path), max(file.known_us, last_pass_us))
                result.bad.append(Bad(file.path, verdict, last_us))
            if verdict is Verdict.GOOD:
                result.size_bytes += file.size_bytes
        result.is_complete = True
    if result.is_complete:
        _save(data_dir, began_us, result.bad)
    return result


def examine(file: Expected, progress: Callable[[int], None]) -> Verdict:
    """Read one file."""
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return Verdict.MISSING if _is_there(file.root) else Verdict.OFFLINE
    except OSError:
        return Verdict.UNREADABLE
    with os.fdopen(descriptor, "rb", buffering=0) as handle:
        before = os.fstat(handle.fileno())
        if file.mtime_ns is not None and (before.st_size, mtime_ns_of(before)) != (file.size_bytes, file.mtime_ns):
            return Verdict.CHANGED
        try:
            digest = _digest(handle.fileno(), progress)
        except OSError:
            return Verdict.UNREADABLE
        after = os.fstat(handle.fileno())
    if digest == file.sha256:
        return Verdict.GOOD
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        return Verdict.CHANGED
    if file.latest_mtime_ns is not None and after.st_mtime_ns > file.latest_mtime_ns:
        return Verdict.CHANGED
    return Verdict.BIT_ROT


def _is_there(root: Path) -> bool:
    """Whether a photo folder can be listed and holds something: else its disk is taken for away."""
    try:
        return any(root.iterdir())
    except OSError:
        return False


def _digest(descriptor: int, progress: Callable[[int], None]) -> bytes:
    """SHA-256 of what the disk has, not of what the system remembers of it. Raises OSError."""
    _forget(descriptor)
    digest = hashlib.sha256()
    while content := os.read(descriptor, _CHUNK_BYTES):
        digest.update(content)
        progress(len(content))
    _forget(descriptor)
    return digest.digest()


def _forget(descriptor: int) -> None:
    """Ask the system to drop what it holds of a file in memory: others need that room more."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _load(data_dir: Path) -> tuple[int, dict[str, int]]:
    """When the last whole pass began, and since when each file that it found bad was."""
    try:
        noted = json.loads((data_dir / RECORD).read_text("ascii"))
        return int(noted["began_us"]), {str(path): int(at_us) for path, at_us in noted["bad"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0, {}


def _save(data_dir: Path, began_us: int, bad: list[Bad]) -> None:
    """Note a whole pass."""
    noted = {"began_us": began_us, "bad": {str(entry.path): entry.last_good_us for entry in bad}}
    with as_owner(data_dir):
        write_whole(data_dir / RECORD, json.dumps(noted).encode("ascii"))
