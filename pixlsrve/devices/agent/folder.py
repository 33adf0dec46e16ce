"""The folder that the agent shows: which media files are in it, their hashes and the ids that the host gave them."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import structlog

from pixlsrve.devices.agent.state import write_private
from pixlsrve.errors import NotFound, PathTraversal, StartError, Unavailable
from pixlsrve.media.originals import OpenRoot, parse_relative, visible_text

log = structlog.get_logger(__name__)

FILE = "files.msgpack"
DEPTH_MAX = 64
_STEP_BYTES = 1024 * 1024


class Entry(msgspec.Struct, array_like=True):
    """A file as it was seen last. `path` is raw bytes below the root, `song_id` what the host calls it."""

    path: bytes
    size_bytes: int
    mtime_ns: int
    inode: int
    sha256: bytes | None = None
    song_id: str | None = None

    @property
    def version(self) -> tuple[int, int, int]:
        """What changes when the file does."""
        return (self.size_bytes, self.mtime_ns, self.inode)


class Folder:
    """Lists media files below `root`: no links, nothing hidden, nothing empty. All methods block.

    Several threads may use it. What it knows of files is kept in `data_dir`; losing that costs time, nothing else.
    """

    def __init__(self, root: Path, data_dir: Path, extensions: frozenset[str]) -> None:
        self._root = root
        self._cache = data_dir / FILE
        self._extensions = extensions
        self._lock = threading.Lock()
        self._entries: dict[bytes, Entry] = {}
        self._names: dict[str, bytes] = {}
        self._by_version: dict[tuple[int, int, int], bytes] = {}
        self._is_dirty = False

    def load(self) -> None:
        """Take up what the last run knew."""
        try:
            kept = msgspec.msgpack.decode(self._cache.read_bytes(), type=list[Entry])
        except (OSError, msgspec.MsgspecError):
            return
        with self._lock:
            for entry in kept:
                self._put(entry)

    def save(self) -> None:
        """Keep what is known, if it has changed."""
        with self._lock:
            if not self._is_dirty:
                return
            content, self._is_dirty = msgspec.msgpack.encode(list(self._entries.values())), False
        try:
            write_private(self._cache, content)
        except StartError as error:
            log.warning("what is known of the files could not be kept", cause=error.message)

    def check(self) -> None:
        """Raises StartError where the root is no folder that can be read."""
        try:
            next(self._root.iterdir(), None)
        except OSError as error:
            raise StartError(f"The folder {self._root} can't be read ({error.strerror}).") from error

    def walk(self) -> Iterator[Entry]:
        """Every media file as it is now, in the order of names; what is gone is forgotten at the end."""
        seen: set[bytes] = set()
        for entry in self._walk(os.fsencode(self._root), b"", 0):
            seen.add(entry.path)
            yield entry
        with self._lock:
            for path in self._entries.keys() - seen:
                entry = self._entries.pop(path)
                self._names.pop(name_of(path), None)
                self._forget_version(entry)
                self._is_dirty = True

    def find(self, text: str) -> bytes:
        """The raw path that `text` (percent-decoded once) means. Raises PathTraversal (THREATS T19)."""
        with self._lock:
            known = self._names.get(text)
        return parse_relative(text) if known is None else known

    def open(self, path: bytes) -> int:
        """A read-only descriptor, the caller's to close. Raises NotFound, PathTraversal, Unavailable."""
        if not self._is_shown(path.rpartition(b"/")[2]) or any(part.startswith(b".") for part in path.split(b"/")):
            raise NotFound("There is no such file.")
        with OpenRoot(self._root) as root:
            return root.open_file(path)

    def entry(self, path: bytes) -> Entry | None:
        """What is known of a file."""
        with self._lock:
            return self._entries.get(path)

    def note_hash(self, path: bytes, version: tuple[int, int, int], sha256: bytes) -> None:
        """The content of a file in this version."""
        with self._lock:
            entry = self._entries.get(path)
            if entry is not None and entry.version == version and entry.sha256 != sha256:
                entry.sha256, self._is_dirty = sha256, True

    def note_ids(self, ids: dict[bytes, str]) -> None:
        """What the host calls files."""
        with self._lock:
            for path, song_id in ids.items():
                entry = self._entries.get(path)
                if entry is not None and entry.song_id != song_id:
                    entry.song_id, self._is_dirty = song_id, True

    def hash_file(self, entry: Entry) -> bytes | None:
        """SHA-256 of the file if it can be read and still is this version; None otherwise."""
        try:
            fd = self.open(entry.path)
        except (NotFound, PathTraversal, Unavailable):
            return None
        try:
            digest = hashlib.sha256()
            while block := os.read(fd, _STEP_BYTES):
                digest.update(block)
            if version_of(fd) != entry.version:
                return None
        except OSError:
            return None
        finally:
            os.close(fd)
        self.note_hash(entry.path, entry.version, digest.digest())
        return digest.digest()

    def _walk(self, folder: bytes, relative: bytes, depth: int) -> Iterator[Entry]:
        try:
            with os.scandir(folder) as found:
                items = sorted(found, key=lambda item: item.name)
        except OSError as error:
            log.warning("a folder can't be read", folder=visible_text(os.fsdecode(relative)), error=error.strerror)
            return
        for item in items:
            if item.name.startswith(b"."):
                continue
            path = relative + b"/" + item.name if relative else item.name
            try:
                if item.is_dir(follow_symlinks=False):
                    if depth < DEPTH_MAX:
                        yield from self._walk(item.path, path, depth + 1)
                elif self._is_shown(item.name) and item.is_file(follow_symlinks=False):
                    facts = item.stat(follow_symlinks=False)
                    if stat.S_ISREG(facts.st_mode) and facts.st_size:
                        yield self._refresh(path, facts)
            except OSError:
                continue  # gone since it was listed

    def _is_shown(self, name: bytes) -> bool:
        stem, _, extension = name.rpartition(b".")
        return bool(stem) and extension.lower().decode("latin-1") in self._extensions

    def _refresh(self, path: bytes, facts: os.stat_result) -> Entry:
        version = (facts.st_size, facts.st_mtime_ns, facts.st_ino)
        with self._lock:
            entry = self._entries.get(path)
            if entry is None or entry.version != version:
                before = self._entries.get(self._by_version.get(version, b""))
                sha256 = before.sha256 if before is not None and before.version == version else None
                song_id = None if entry is None else entry.song_id
                if entry is not None:
                    self._forget_version(entry)
                entry = Entry(path, *version, sha256, song_id)
                self._put(entry)
                self._is_dirty = True
            return entry

    def _forget_version(self, entry: Entry) -> None:
        if self._by_version.get(entry.version) == entry.path:
            del self._by_version[entry.version]

    def _put(self, entry: Entry) -> None:
        self._entries[entry.path] = entry
        self._names[name_of(entry.path)] = entry.path
        self._by_version[entry.version] = entry.path


def version_of(fd: int) -> tuple[int, int, int]:
    """The version of an open file."""
    facts = os.fstat(fd)
    return (facts.st_size, facts.st_mtime_ns, facts.st_ino)


_AWKWARD = re.compile(r"\\|^[A-Za-z]:|/[A-Za-z]:(?=/|$)")


def name_of(path: bytes) -> str:
    """How a file is called in the manifest: its path, or, where that would be refused in a URL, one made from it."""
    text = path.decode("utf-8", "replace")
    shown = visible_text(text)
    if text.encode() == path and shown == text and not _AWKWARD.search(text):
        return text
    folder, slash, name = shown.replace("\\", "_").replace(":", "_").rpartition("/")
    stem, dot, extension = name.rpartition(".")
    return f"{folder}{slash}{stem} [{hashlib.sha256(path).hexdigest()[:8]}]{dot}{extension}"
