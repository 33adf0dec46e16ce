"""Rights, room and watches: the folders that the daemon writes, and those that it only reads."""

from __future__ import annotations

import getpass
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pixlsrve.doctor.finding import Finding
from pixlsrve.doctor.rights import run_as
from pixlsrve.doctor.storage import LEAST_FREE_BYTES, nearest

RESERVE_BYTES = 1024**3
RESERVE_SHARE = 0.05
SAMPLED_FOLDERS = 200_000
SAMPLED_FILES = 10
"""Of each folder: files whose rights differ from their neighbours' are rare."""
NAMED_FOLDERS = 3
_FSTAB = Path("/etc/fstab")
_MOUNT_POINTS = (Path("/media"), Path("/mnt"), Path("/run/media"))
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
    existing = nearest(path)
    if os.statvfs(existing).f_flag & os.ST_RDONLY:
        return  # said by `storage`
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
    if LEAST_FREE_BYTES < usage.free < min(RESERVE_BYTES, usage.total * RESERVE_SHARE):
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
        if not _is_there(root):
            yield Finding(
                check="root_missing",
                message=f"The photo folder {root} is not there.",
                remedy="Connect its disk, or correct the folder's name in the settings.",
            )
            continue
        yield from _check_mounted(root)
        _walk(root, found)
    if found.unreadable_count:
        named = ", ".join(str(path) for path in found.unreadable[:NAMED_FOLDERS])
        more = found.unreadable_count - NAMED_FOLDERS
        rest = f" and {more} more" if more > 0 else ""
        yield Finding(
            check="unreadable",
            message=f"{_user()} may not read {found.unreadable_count} of the photo folders and files: {named}{rest}.",
            remedy=f"Let it run as the photos' owner, since it never changes rights: {run_as(found.unreadable[0])}",
        )
    yield from _check_watches(found.folders)


def _is_there(root: Path) -> bool:
    """Whether the root is a folder; one behind a closed door counts as there, and as unreadable."""
    try:
        return root.is_dir()
    except PermissionError:
        return True


def _check_mounted(root: Path) -> Iterator[Finding]:
    """A disk that is not mounted leaves an empty folder."""
    try:
        with os.scandir(root) as entries:
            if next(entries, None) is not None:
                return
    except OSError:
        return
    wanted = [path for path in (root, *root.parents) if path in _fstab() and not path.is_mount()]
    if wanted or any(root.is_relative_to(place) for place in _MOUNT_POINTS):
        yield Finding(
            check="root_unmounted",
            message=f"The photo folder {root} is empty; its disk is probably not mounted.",
            remedy=f"Connect it, and run: sudo mount {wanted[0] if wanted else root}",
        )


def _fstab() -> set[Path]:
    """Where the system mounts disks by itself."""
    try:
        lines = _FSTAB.read_text("utf-8", "replace").splitlines()
    except OSError:
        return set()
    entries = (line.split() for line in lines if not line.lstrip().startswith("#"))
    return {Path(entry[1]) for entry in entries if len(entry) > 1 and entry[1] not in ("/", "none", "swap")}


def _walk(root: Path, found: _Walk) -> None:
    """Count folders and those that can't be read; very large trees are only sampled."""

    def note(path: Path) -> None:
        found.unreadable_count += 1
        if len(found.unreadable) < NAMED_FOLDERS:
            found.unreadable.append(path)

    for folder, names, files in os.walk(root, onerror=lambda error: note(Path(error.filename or root))):
        names[:] = [name for name in names if not name.startswith(".")]
        for name in files[:SAMPLED_FILES]:
            path = Path(folder, name)
            if not os.access(path, os.R_OK) and path.is_file():
                note(path)
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
