"""What the disk below the data directory is like: writable, near, with names and room left, and fast enough."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from pixlsrve.doctor.finding import Finding

LEAST_FREE_BYTES = 16 << 20
"""With less than this left, databases can't even be opened for changes."""
LEAST_INODES_SHARE = 0.01
SLOW_S = 0.25
"""A durable write of a page takes 1 to 30 ms on an ordinary card or disk."""
TRIES = 5
PAGE_BYTES = 4096
_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "afs", "ceph", "glusterfs", "fuse.glusterfs"})


def one_each(folders: Iterable[Path]) -> list[Path]:
    """The folders, or what exists above them, without those on a disk that an earlier one is on."""
    existing = [nearest(folder) for folder in folders]
    return list({path.stat().st_dev: path for path in reversed(existing)}.values())[::-1]


def nearest(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def check_disk(folder: Path) -> Iterator[Finding]:
    """The disk of the data directory, or of the nearest folder above it that exists."""
    existing = nearest(folder)
    facts = os.statvfs(existing)
    if facts.f_flag & os.ST_RDONLY:
        yield Finding(
            check="read_only",
            message=f"The disk that holds {existing} is read-only.",
            remedy="A failing disk turns read-only by itself: look into `dmesg`, save what is on it, and check it with "
            "fsck. If it was mounted so, mount it with rw.",
        )
        return
    if facts.f_bavail * facts.f_frsize < LEAST_FREE_BYTES:
        yield Finding(
            check="disk_full",
            message=f"The disk that holds {existing} is full; nothing new can be indexed or uploaded.",
            remedy="Delete something else there, or move the folder to a larger disk with --data-dir.",
        )
    elif facts.f_files and facts.f_favail < facts.f_files * LEAST_INODES_SHARE:
        yield Finding(
            check="inodes",
            message=f"The disk that holds {existing} can take {facts.f_favail} more files, however small.",
            remedy=f"Delete folders with very many small files; `du --inodes -d 2 -x {existing.anchor}` shows them.",
        )
    else:
        yield from _check_speed(existing)
    yield from _check_kind(existing)


def _check_speed(folder: Path) -> Iterator[Finding]:
    """Measure how long a page takes to be on the disk for good."""
    try:
        taken_s = sync_time_s(folder)
    except OSError:
        return  # its rights are another finding
    if taken_s > SLOW_S:
        yield Finding(
            check="slow_disk",
            severity="warning",
            message=f"The disk that holds {folder} takes {taken_s * 1000:.0f} ms for one durable write.",
            remedy="A hint, not a fault: take a card of class A1 or A2, or keep --data-dir on an SSD.",
        )


def sync_time_s(folder: Path) -> float:
    """The median time of a page's durable write, seconds. Raises OSError."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(TRIES):
            began_s = time.monotonic()
            file.write(b"\0" * PAGE_BYTES)
            file.flush()
            os.fsync(file.fileno())
            times.append(time.monotonic() - began_s)
    return statistics.median(times)


def _check_kind(folder: Path) -> Iterator[Finding]:
    """SQLite's write-ahead log works within one computer only (sqlite.org/wal.html)."""
    kind = kind_of(folder)
    if kind in _NETWORK:
        yield Finding(
            check="network_disk",
            message=f"{folder} is on a network share ({kind}), where databases get damaged.",
            remedy="Keep --data-dir on a disk of this computer; photos and --storage-dir may stay on the share.",
        )


def kind_of(folder: Path) -> str:
    """The type of the file system of a folder; empty where the system does not tell."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = _MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        before, _, after = line.partition(" - ")
        if before.split(" ")[2] == number:
            return after.split(" ")[0]
    return ""
