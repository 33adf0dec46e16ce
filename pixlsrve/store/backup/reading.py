"""Reading a backup archive, member by member, trusting nothing that it says (THREATS T19).

Only regular files with names that a backup has are taken, everything is hashed, and reading ends as soon as the archive
expands to more than a backup can.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from pixlsrve.store.backup.layout import (
    FORMAT,
    HEADER,
    MANIFEST,
    MANIFEST_BYTES,
    MOST_EXPANSION,
    SLACK_BYTES,
    SMALL_BYTES,
    BackupRefused,
    Header,
    Member,
    kind_of,
)
from pixlsrve.store.migrate import statements_of
from pixlsrve.store.recovery import STATE, schema_of

CHUNK_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_LARGEST_READ_BYTES = 4 << 20


class Sink(Protocol):
    """Where a member's bytes go."""

    def write(self, content: bytes, /) -> object:
        """Take the next bytes."""


Open = Callable[[str, int], Sink | None]
"""Given a member's name and size: where its bytes go, None to only hash them."""
Progress = Callable[[int], None]


@dataclass
class Contents:
    """What a sound backup holds."""

    header: Header
    members: list[Member] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        """All members together."""
        return sum(member.size_bytes for member in self.members)


class _Forward(io.RawIOBase):
    """An archive's bytes in order, as far as `limit`; `tarfile` goes back by one byte at most."""

    def __init__(self, file: BinaryIO | gzip.GzipFile, limit: int, path: Path) -> None:
        self._file = file
        self._limit = limit
        self._path = path
        self._position = 0
        self._last = b""
        self._is_back = False

    def read(self, size: int = -1) -> bytes:
        """The next bytes, fewer only at the end."""
        if not 0 <= size <= _LARGEST_READ_BYTES:
            raise BackupRefused(f"{self._path} has an entry that no backup of pixlsrve has.")
        if not size:
            return b""
        head = self._last if self._is_back else b""
        self._is_back = False
        content = head + self._file.read(size - len(head))
        self._position += len(content)
        self._last = content[-1:] or self._last
        if self._position > self._limit:
            raise BackupRefused(f"{self._path} expands to far more than a backup does; it is not used.")
        return content

    def tell(self) -> int:
        """How many bytes were read."""
        return self._position

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        """Go on to a later place, or back by one byte."""
        if whence != io.SEEK_SET or position < self._position - 1:
            raise BackupRefused(f"{self._path} can't be read in order.")
        if position == self._position - 1 and self._last and not self._is_back:
            self._is_back = True
            self._position -= 1
        while self._position < position and self.read(min(CHUNK_BYTES, position - self._position)):
            pass
        return self._position


def read_archive(
    path: Path,
    open_member: Open = lambda *_: None,
    progress: Progress = lambda _: None,
    opened: BinaryIO | None = None,
) -> Contents:
    """Read a whole backup, handing each member's bytes on. `opened` is the file at `path` where it is open already.

    What was handed on counts only when this returns. Raises BackupRefused, and OSError of the sinks.
    """
    with _refusing(path), nullcontext(opened) if opened is not None else path.open("rb") as file:
        file.seek(0)
        is_packed = file.read(2) == _GZIP_MAGIC
        size_bytes = file.seek(0, io.SEEK_END)
        file.seek(0)
        if not size_bytes:
            raise BackupRefused(f"{path} is empty.")
        limit = SLACK_BYTES + (MOST_EXPANSION * size_bytes if is_packed else size_bytes)
        source = gzip.GzipFile(fileobj=file) if is_packed else file
        forward = _Forward(source, limit, path)
        with tarfile.open(fileobj=forward, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
            contents = _Reading(path, archive, open_member, progress).run()
        while forward.read(CHUNK_BYTES):
            pass  # the packed form has its checksum at the very end, and what is between members has no other
        return contents


class _Reading:
    """One pass over an archive."""

    def __init__(self, path: Path, archive: tarfile.TarFile, open_member: Open, progress: Progress) -> None:
        self._path = path
        self._archive = archive
        self._open = open_member
        self._progress = progress
        self._found: dict[str, tuple[int, str]] = {}
        self._head_sha256 = ""

    def run(self) -> Contents:
        """The contents. Raises BackupRefused."""
        entries = self._entries()
        first = next(entries, None)
        if first is None or first.name != HEADER:
            raise BackupRefused(f"{self._path} is no backup of pixlsrve.")
        header = self._header(first)
        for entry in entries:
            if entry.name == MANIFEST:
                members = self._manifest(entry)
                if next(entries, None) is not None:
                    raise BackupRefused(f"{self._path} goes on after its end; somebody has added to it.")
                return Contents(header, members)
            self._take(entry)
        raise BackupRefused(f"{self._path} was cut off; its end is missing.")

    def _entries(self) -> Iterator[tarfile.TarInfo]:
        """The entries, regular files all of them."""
        while (entry := self._archive.next()) is not None:
            self._archive.members = []  # type: ignore[attr-defined]  # it keeps them all otherwise
            is_file = entry.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not entry.issparse()
            if not is_file or entry.size < 0:
                raise BackupRefused(f"{self._path} holds {entry.name!r}, which is no ordinary file; it is not used.")
            yield entry

    def _header(self, entry: tarfile.TarInfo) -> Header:
        """The header, of a format and of schemas that this program knows."""
        content = self._content(entry, SMALL_BYTES)
        self._head_sha256 = hashlib.sha256(content).hexdigest()
        try:
            given = json.loads(content)
            number = given["format"] if isinstance(given, dict) else None
            if isinstance(number, int) and number > FORMAT:
                raise BackupRefused(f"{self._path} was made by a newer pixlsrve; install that version or newer.")
            header = msgspec.convert(given, Header)
        except (ValueError, KeyError, msgspec.ValidationError) as error:
            raise BackupRefused(f"{self._path} is no backup of pixlsrve, or damaged.") from error
        for name, version in header.schemas.items():
            if name in (STATE, "index.db") and version > len(statements_of(schema_of(name))):
                raise BackupRefused(
                    f"{self._path} was made by a newer pixlsrve ({header.program}); install that version or newer."
                )
        return header

    def _take(self, entry: tarfile.TarInfo) -> None:
        """Hash one member, and hand it on."""
        kind = kind_of(entry.name)
        if entry.name in self._found:
            raise BackupRefused(f"{self._path} holds {entry.name!r} twice; it is not used.")
        if kind == "small" and entry.size > SMALL_BYTES:
            raise BackupRefused(f"{self._path} holds {entry.name!r}, which is far too large; it is not used.")
        sink = self._open(entry.name, entry.size)
        digest = hashlib.sha256()
        for content in self._chunks(entry):
            digest.update(content)
            if sink is not None:
                sink.write(content)
        self._found[entry.name] = (entry.size, digest.hexdigest())

    def _chunks(self, entry: tarfile.TarInfo) -> Iterator[bytes]:
        """A member's bytes, all of them."""
        file = self._archive.extractfile(entry)
        left = entry.size
        while file is not None and left:
            content = file.read(min(CHUNK_BYTES, left))
            if not content:
                raise BackupRefused(f"{self._path} was cut off within {entry.name!r}.")
            left -= len(content)
            self._progress(len(content))
            yield content

    def _content(self, entry: tarfile.TarInfo, limit: int) -> bytes:
        """A small member's bytes."""
        if entry.size > limit:
            raise BackupRefused(f"{self._path} is damaged: {entry.name} is too large.")
        return b"".join(self._chunks(entry))

    def _manifest(self, entry: tarfile.TarInfo) -> list[Member]:
        """The manifest, which must say what was found. Raises BackupRefused naming what is damaged."""
        try:
            given = json.loads(self._content(entry, MANIFEST_BYTES))
            members = msgspec.convert(given["members"], list[Member])
        except (ValueError, KeyError, TypeError, msgspec.ValidationError) as error:
            raise BackupRefused(f"{self._path} is damaged: its manifest can't be read.") from error
        if given.get("header_sha256") != self._head_sha256:
            raise BackupRefused(f"{self._path} is damaged: its header is not what was saved.")
        promised = {member.name: (member.size_bytes, member.sha256) for member in members}
        if len(promised) != len(members) or promised.keys() != self._found.keys():
            raise BackupRefused(f"{self._path} does not hold what its manifest says.")
        for name, facts in promised.items():
            if facts != self._found[name]:
                raise BackupRefused(f"{self._path} is damaged: {name!r} is not what was saved.")
        if STATE not in promised:
            raise BackupRefused(f"{self._path} holds no state database; it is no backup.")
        return members


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """What readers say of a damaged archive, in a sentence."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, RecursionError) as error:
        raise BackupRefused(f"{path} is damaged, cut off, or no backup of pixlsrve.") from error
    except IsADirectoryError as error:
        raise BackupRefused(f"{path} is a folder, not a backup.") from error
    except FileNotFoundError as error:
        if error.filename == str(path):
            raise BackupRefused(f"There is no file {path}.") from error
        raise
