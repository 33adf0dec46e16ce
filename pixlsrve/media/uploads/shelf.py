"""The storage directory as uploads see it: where bytes arrive, and where finished files stand."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pixlsrve.media.uploads.names import collision_key, numbered
from pixlsrve.media.uploads.renaming import rename_without_replacing, sync

UPLOADS = "uploads"
INCOMING = ".incoming"
"""Below `uploads/`, hidden, so that no walk ever lists it, and on the same file system, so that a rename suffices."""
TEMPORARY = ".part"
_OTHERS = ("store",)
"""Further folders that doors have files put into."""
_FOLDER_MODE = 0o750
_FOLDERS_KEPT = 16
_TRIES = 100_000
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(slots=True)
class _Taken:
    """The names in one folder, good while the folder's own time is `mtime_ns`."""

    mtime_ns: int
    keys: set[str]


class Shelf:
    """Blocking; for threads. Folders that are missing are made, each of them durable before anything is in it."""

    def __init__(self, storage: Path) -> None:
        self._storage = storage
        self._lock = threading.Lock()
        self._taken: OrderedDict[str, _Taken] = OrderedDict()

    @property
    def storage(self) -> Path:
        """The storage directory."""
        return self._storage

    @property
    def incoming(self) -> Path:
        """Where temporary files are."""
        return self._storage / UPLOADS / INCOMING

    def prepare(self) -> None:
        """Make the place for temporary files. Raises OSError."""
        with self._folder(f"{UPLOADS}/{INCOMING}"):
            pass

    def clear(self, kept: set[str]) -> tuple[int, set[str]]:
        """Delete the temporary files of an earlier life, but for those named in `kept`. Raises OSError.

        How many those were, and which of `kept` are not there.
        """
        count, missing = 0, set(kept)
        for path in self.incoming.iterdir():
            if path.name in missing:
                missing.remove(path.name)
            elif path.name.endswith(TEMPORARY):
                path.unlink(missing_ok=True)
                count += 1
        return count, missing

    def changed_since(self, since_ns: int, at_most: int) -> list[tuple[bytes, int]]:
        """Stored files that were given their place (or were changed) since then, and their sizes. Raises OSError.

        Only so many; paths are relative to the storage directory.
        """
        found: list[tuple[bytes, int]] = []
        for folder in (*self._days(), *_OTHERS):
            path = self._storage / folder
            if not path.is_dir() or path.stat().st_mtime_ns < since_ns:
                continue
            with os.scandir(os.fsencode(path)) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode) and status.st_ctime_ns >= since_ns:
                        found.append((os.fsencode(folder) + b"/" + entry.name, status.st_size))
                    if len(found) == at_most:
                        return found
        return found

    def _days(self) -> list[str]:
        """The folders below `uploads/`, the newest first."""
        top = self._storage / UPLOADS
        names = [path.name for path in top.iterdir() if not path.name.startswith(".")] if top.is_dir() else []
        return [f"{UPLOADS}/{name}" for name in sorted(names, reverse=True)]

    def today(self) -> str:
        """Today's folder, relative to the storage directory: by the host's own calendar, as its people see it."""
        return f"{UPLOADS}/{datetime.now().astimezone():%Y%m%d}"

    def place(self, source: Path, folder: str, name: str) -> str:
        """Rename a finished temporary file to `name` in `folder`, or the next free name; the name. Raises OSError.

        The rename is durable when this returns. Names that differ in case alone count as the same.
        """
        with self._folder(f"{UPLOADS}/{INCOMING}") as source_fd, self._folder(folder) as target_fd:
            with self._lock:
                taken = self._names_in(folder, target_fd)
                stored = self._rename(source_fd, source.name, target_fd, name, taken)
                taken.keys.add(collision_key(stored))
                taken.mtime_ns = os.fstat(target_fd).st_mtime_ns
            try:
                sync(target_fd)
            except OSError:
                with contextlib.suppress(OSError):
                    os.rename(stored, source.name, src_dir_fd=target_fd, dst_dir_fd=source_fd)
                raise
        return stored

    def take_back(self, relative: str, source: Path) -> None:
        """Make a file that was placed and not acknowledged a temporary one again. Raises OSError."""
        folder, _, name = relative.rpartition("/")
        with self._folder(f"{UPLOADS}/{INCOMING}") as source_fd, self._folder(folder) as fd:
            os.rename(name, source.name, src_dir_fd=fd, dst_dir_fd=source_fd)
            sync(fd)

    def _rename(self, source_fd: int, source: str, target_fd: int, name: str, taken: _Taken) -> str:
        for number in range(_TRIES):
            candidate = numbered(name, number)
            if collision_key(candidate) in taken.keys:
                continue
            try:
                rename_without_replacing(source_fd, source, target_fd, candidate)
            except FileExistsError:
                taken.keys.add(collision_key(candidate))
                continue
            return candidate
        raise FileExistsError("every name like this is taken")

    def _names_in(self, folder: str, fd: int) -> _Taken:
        """The names in a folder; it is listed again when somebody else has changed it."""
        mtime_ns = os.fstat(fd).st_mtime_ns
        known = self._taken.get(folder)
        if known is None or known.mtime_ns != mtime_ns:
            known = self._taken[folder] = _Taken(mtime_ns, {collision_key(name) for name in os.listdir(fd)})
        self._taken.move_to_end(folder)
        while len(self._taken) > _FOLDERS_KEPT:
            self._taken.popitem(last=False)
        return known

    @contextlib.contextmanager
    def _folder(self, relative: str) -> Iterator[int]:
        """An open folder below the storage directory; links below it are not followed. Raises OSError."""
        fd = os.open(self._storage, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in relative.split("/"):
                below = _open_or_make(fd, part)
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)


def _open_or_make(fd: int, name: str) -> int:
    """An open folder in an open one. Raises OSError."""
    try:
        return os.open(name, _FLAGS, dir_fd=fd)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, _FOLDER_MODE, dir_fd=fd)
    made = os.open(name, _FLAGS, dir_fd=fd)
    try:
        os.fchmod(made, _FOLDER_MODE)
        sync(fd)
    except BaseException:
        os.close(made)
        raise
    return made
