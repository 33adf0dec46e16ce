"""Writing a backup archive: member by member, and visible under its name only when it is whole and durable."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from pixlsrve.errors import Conflict, StorageError, StorageFull
from pixlsrve.store.backup.layout import HEADER, MANIFEST, Header, Member
from pixlsrve.store.durable import sync

Progress = Callable[[int], None]
"""Told how many more bytes were read."""
_GZIP_LEVEL = 2
"""Little more room than the default takes, in a third of its time: it is a small computer that packs."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES)


class _Hashed(io.RawIOBase):
    """A file that is hashed and counted while it is read."""

    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        self._file = file
        self._progress = progress
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        content = self._file.read(size)
        self.digest.update(content)
        self._progress(len(content))
        return content


class ArchiveWriter:
    """A new backup at `target`, mode 0600, once the block ends well; nothing is there otherwise.

    Raises Conflict when `target` exists by then, StorageFull, StorageError.
    """

    def __init__(self, target: Path, header: Header, progress: Progress = lambda _: None) -> None:
        self._target = target
        self._header = header
        self._head = msgspec.json.encode(header)
        self._progress = progress
        self._members: list[Member] = []
        self._temporary: Path | None = None

    @property
    def members(self) -> list[Member]:
        """What was added so far."""
        return self._members

    def __enter__(self) -> Self:
        with refusals(self._target.parent):
            descriptor, name = tempfile.mkstemp(
                dir=self._target.parent, prefix=f".{self._target.name}-", suffix=".part"
            )
            self._temporary = Path(name)
            self._file = os.fdopen(descriptor, "wb")
            if self._header.has_uploads:  # photos don't get smaller by being compressed once more
                self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.GNU_FORMAT)
            else:
                self._tar = tarfile.open(
                    fileobj=self._file, mode="w:gz", format=tarfile.GNU_FORMAT, compresslevel=_GZIP_LEVEL
                )
            self._add_bytes(HEADER, self._head, self._header.created_us * 1000)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with refusals(self._target.parent):
                    self._finish()
        finally:
            with contextlib.suppress(OSError, ValueError):
                self._file.close()
            if self._temporary is not None:
                self._temporary.unlink(missing_ok=True)

    def add(self, name: str, path: Path) -> Member:
        """Add a file as it is now. Raises StorageError when it can't be read or changes meanwhile."""
        try:
            file = path.open("rb")
        except OSError as error:
            raise StorageError(f"{path} can't be read ({error.strerror}); there is no backup without it.") from error
        with file:
            facts = os.fstat(file.fileno())
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = facts.st_size, facts.st_mtime_ns // 10**9, 0o600
            source = _Hashed(file, self._progress)
            with refusals(self._target.parent):
                self._tar.addfile(info, source)
            if os.fstat(file.fileno()).st_size != facts.st_size:
                raise StorageError(f"{path} changed while it was saved; try again.")
        member = Member(
            name=name, size_bytes=facts.st_size, sha256=source.digest.hexdigest(), mtime_ns=facts.st_mtime_ns
        )
        self._members.append(member)
        return member

    def _add_bytes(self, name: str, content: bytes, mtime_ns: int) -> None:
        """A member of our own."""
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = len(content), mtime_ns // 10**9, 0o600
        self._tar.addfile(info, io.BytesIO(content))

    def _finish(self) -> None:
        """Close the archive and give it its name."""
        manifest = {
            "header_sha256": hashlib.sha256(self._head).hexdigest(),
            "members": [msgspec.to_builtins(member) for member in self._members],
        }
        self._add_bytes(MANIFEST, json.dumps(manifest).encode("ascii"), self._header.created_us * 1000)
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if self._temporary is not None:
            _name(self._temporary, self._target)
        sync(self._target.parent)


def _name(temporary: Path, target: Path) -> None:
    """Give the file its name unless that is taken; disks without hard links are asked first."""
    taken = Conflict(f"{target} exists already; name another file, or move that one away.", reason="exists")
    try:
        os.link(temporary, target)
    except FileExistsError as error:
        raise taken from error
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if target.exists():
            raise taken from error
        temporary.rename(target)


@contextlib.contextmanager
def refusals(folder: Path) -> Iterator[None]:
    """The system's refusals below `folder` as StorageFull or StorageError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            raise StorageFull(_full(folder)) from error
        raise StorageError(f"{folder} can't be used: {error}.") from error
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull(_full(folder)) from error
        raise StorageError(f"{folder} can't be used ({error.strerror or error}).") from error


def _full(folder: Path) -> str:
    return f"The disk that holds {folder} is full; free some space, or name another place."
