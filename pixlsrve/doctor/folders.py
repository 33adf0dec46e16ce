"""Rights, room and watches: the folders that the daemon writes, and those that it only reads."""

from __future__ import annotations

import getpass
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pixlsrve.doctor.finding import Finding

RESERVE_BYTES = 1024**3
RESERVE_SHARE = 0.05
SAMPLED_FOLDERS = 200_000
NAMED_FOLDERS = 3
_WATCH_LIMIT = Path("/proc/sys/fs/inotify/max_user_watches")


def check_data_dir(path: Path) -> Iterator[Finding]:
    """The data directory: private, writable, with room, nothing left of a damage."""
    yield from _check_writable(path, "data_dir", "--data-dir")
    if path.is_dir() and path.stat().st_mode & 0o077:
        yield Finding(
            check="data_dir_mode",
            severity="warning",
            message=f"Other users of this computer can look into the data directory {path}.",
            remedy=f"Run: chmod 700 {path}",
        )
    for damaged in sorted(path.glob("state.db.damaged-*[Z]")) if os.access(path, os.R_OK | os.X_OK) else ():
        yield Finding(
            check="state_restored",
            severity="warning",
            message=f"The state database was damaged once and restored from its copy; the damaged file is {damaged}.",
            remedy="Check the disk's health, and delete that file when nothing is missed.",
        )


def check_storage_dir(path: Path) -> Iterator[Finding]:
    """The storage directory: writable, with room."""
    yield from _check_writable(path, "storage_dir", "--storage-dir")


def _check_writable(path: Path, name: str, option: str) -> Iterator[Finding]:
    """A folder of ours, or the nearest one above it that exists."""
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(
            check=name,
            message=f"{_user()} may not write to {existing}.",
            remedy=f"Mend its rights, or name another folder with {option}.",
        )
        return
    try:
        usage = shutil.disk_usage(existing)
    except OSError:
        return
    if usage.free < min(RESERVE_BYTES, usage.total * RESERVE_SHARE):
        yield Finding(
            check="disk_space",
            message=f"The disk that holds {existing} has {usage.free / 1e6:.0f} MB left.",
            remedy=f"Free some space, or move the folder with {option}.",
        )


@dataclass
class _Walk:
    """What a walk through the photo folders found."""

    folders: int = 0
    unreadable: list[Path] = field(default_factory=list)
    unreadable_count: int = 0


def check_photos(roots: Iterable[Path]) -> Iterator[Finding]:
    """The photo folders: there, readable all the way down, and not more than can be watched."""
    found = _Walk()
    for root in roots:
        if not root.is_dir():
            yield Finding(
                check="root_missing",
                message=f"The photo folder {root} is not there.",
                remedy="Connect its disk, or correct the folder's name in the settings.",
            )
            continue
        _walk(root, found)
    if found.unreadable_count:
        named = ", ".join(str(path) for path in found.unreadable[:NAMED_FOLDERS])
        more = found.unreadable_count - NAMED_FOLDERS
        rest = f" and {more} more" if more > 0 else ""
        yield Finding(
            check="unreadable",
            message=f"{_user()} may not read {found.unreadable_count} of the photo folders: {named}{rest}.",
            remedy="Let that user read them, or run pixlsrve as the photos' owner; it never changes rights itself.",
        )
    yield from _check_watches(found.folders)


def _walk(root: Path, found: _Walk) -> None:
    """Count folders and those that can't be read; very large trees are only sampled."""

    def refused(error: OSError) -> None:
        found.unreadable_count += 1
        if len(found.unreadable) < NAMED_FOLDERS:
            found.unreadable.append(Path(error.filename or root))

    for _, names, _ in os.walk(root, onerror=refused):
        names[:] = [name for name in names if not name.startswith(".")]
        found.folders += 1
        if found.folders >= SAMPLED_FOLDERS:
            return


def _check_watches(folders: int) -> Iterator[Finding]:
    """Linux watches each folder on its own, and only so many."""
    try:
        limit = int(_WATCH_LIMIT.read_text("ascii"))
    except (OSError, ValueError):
        return
    if folders > limit * 0.9:
        wanted = max(524_288, 2 * folders)
        yield Finding(
            check="watches",
            severity="warning",
            message=f"The system watches at most {limit} folders, and the library has {folders}; "
            "changes in the others are seen only by the periodic rescan.",
            remedy=f"Put fs.inotify.max_user_watches={wanted} into /etc/sysctl.d/60-pixlsrve.conf, "
            "and run as root: sysctl --system",
        )


def _user() -> str:
    """The name of the user that this runs as."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.geteuid()}"
