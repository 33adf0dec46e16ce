"""Walking a root: every folder's media files with size and time, and nothing else. Reads only."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import structlog

from pixlsrve.index.ignore import IGNORE_FILE, IGNORE_FILE_MAX_BYTES, NOMEDIA, IgnoreRules, is_hidden
from pixlsrve.index.metadata import EXTENSIONS
from pixlsrve.media.beneath import open_beneath
from pixlsrve.media.originals import display_name
from pixlsrve.model import Kind
from pixlsrve.store.file_numbers import inode_of, mtime_ns_of

log = structlog.get_logger(__name__)

_RULE_FILES = (NOMEDIA, IGNORE_FILE)
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Entry(NamedTuple):
    """One media file as the walk saw it. `name` is raw bytes; `kind` is guessed from the extension."""

    name: bytes
    kind: Kind
    size_bytes: int
    mtime_ns: int
    device: int
    inode: int


class Listing(NamedTuple):
    """One folder as the walk saw it. `entries` is None when the signature is the one already known."""

    path: bytes
    """Relative to the root; empty for the root itself."""
    device: int
    inode: int
    signature: bytes
    entries: list[Entry] | None
    folders: list[bytes]
    """Names of the sub-folders that belong to the library."""
    is_readable: bool = True
    """False: the folder is there but can't be listed; nothing is known of its contents."""


class RootGone(Exception):
    """The root itself can't be opened or listed."""


def walk(
    root: Path, known: Mapping[bytes, bytes | None], *, start: bytes = b"", excluded: frozenset[str] = frozenset()
) -> Generator[Listing]:
    """List `start` (relative to `root`) and every folder below, parents first.

    `known` maps folder paths to their last signatures; a folder whose signature is unchanged comes without entries.
    Raises RootGone when `root` can't be opened or listed.
    """
    try:
        root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise RootGone(str(error)) from error
    try:
        yield from _walk_below(root_fd, known, start, excluded)
    finally:
        os.close(root_fd)


def _walk_below(
    root_fd: int, known: Mapping[bytes, bytes | None], start: bytes, excluded: frozenset[str]
) -> Iterator[Listing]:
    """Depth first without recursion: folders can be nested deeper than Python's stack."""
    rules = _rules_above(root_fd, start, excluded)
    pending: list[tuple[bytes, IgnoreRules]] = [] if rules is None else [(start, rules)]
    while pending:
        path, rules = pending.pop()
        found = _list_folder(root_fd, path, rules, known)
        if found is None:
            continue
        listing, rules = found
        yield listing
        for name in reversed(listing.folders):
            pending.append((path + b"/" + name if path else name, rules))


def list_one(
    root: Path, path: bytes, known: Mapping[bytes, bytes | None], *, excluded: frozenset[str] = frozenset()
) -> Listing | None:
    """List one folder without those below; None when it is not part of the library (any more). Raises RootGone."""
    with closing(walk(root, known, start=path, excluded=excluded)) as listings:
        return next(listings, None)


def _rules_above(root_fd: int, path: bytes, excluded: frozenset[str]) -> IgnoreRules | None:
    """The ignore rules in force at `path`; None when a folder above (or the path itself) is passed over."""
    rules = IgnoreRules(excluded=excluded)
    above = b""
    for part in filter(None, path.split(b"/")):
        local = _read_rules(root_fd, above, rules)
        if local is None:
            return None
        rules = local
        below = above + b"/" + part if above else part
        if is_hidden(os.fsdecode(part)) or rules.ignores(os.fsdecode(below), is_folder=True):
            return None
        above = below
    return rules


def _read_rules(root_fd: int, path: bytes, rules: IgnoreRules) -> IgnoreRules | None:
    """`rules` with those of the folder at `path`; None when the folder asks not to be listed."""
    with suppress(OSError), _open_folder(root_fd, path) as fd:
        return _with_local_rules(fd, os.fsdecode(path), {name for name in _RULE_FILES if _is_in(fd, name)}, rules)
    return rules


def _is_in(fd: int, name: str) -> bool:
    """Whether an open folder has an entry of this name."""
    try:
        os.stat(name, dir_fd=fd, follow_symlinks=False)
    except OSError:
        return False
    return True


def _with_local_rules(fd: int, folder: str, names: set[str], rules: IgnoreRules) -> IgnoreRules | None:
    """`rules` with those of an open folder; None for `.nomedia` or an empty ignore file."""
    if NOMEDIA in names:
        return None
    if IGNORE_FILE not in names:
        return rules
    data = _read_ignore_file(fd)
    if data is None:
        return rules
    text = data.decode("utf-8", "replace")
    return rules.with_file(folder, text) if text.strip() else None


def _read_ignore_file(fd: int) -> bytes | None:
    """The ignore file of an open folder; None for one that is no regular file or can't be read."""
    try:
        file_fd = _open_untouched(fd, IGNORE_FILE)
    except OSError:
        return None
    try:
        return os.read(file_fd, IGNORE_FILE_MAX_BYTES) if stat.S_ISREG(os.fstat(file_fd).st_mode) else None
    except OSError:
        return None
    finally:
        os.close(file_fd)


def _open_untouched(folder_fd: int, name: str) -> int:
    """A descriptor for reading that leaves the access time as it is, where the system allows that (T20)."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(name, flags | getattr(os, "O_NOATIME", 0), dir_fd=folder_fd)
    except PermissionError:
        return os.open(name, flags, dir_fd=folder_fd)


@contextmanager
def _open_folder(root_fd: int, path: bytes) -> Iterator[int]:
    """A descriptor of the folder at `path`, links not followed anywhere on the way."""
    fd = open_beneath(root_fd, path, _FOLDER_FLAGS) if path else os.open(b".", _FOLDER_FLAGS, dir_fd=root_fd)
    try:
        yield fd
    finally:
        os.close(fd)


def _list_folder(
    root_fd: int, path: bytes, rules: IgnoreRules, known: Mapping[bytes, bytes | None]
) -> tuple[Listing, IgnoreRules] | None:
    """One folder and the rules for those below; None when it is gone or passed over."""
    try:
        with _open_folder(root_fd, path) as fd:
            status = os.fstat(fd)
            with os.scandir(fd) as scan:
                found = list(scan)
            local = _with_local_rules(fd, os.fsdecode(path), {entry.name for entry in found}, rules)
            if local is None:
                return None
            entries, folders = _sort_out(found, os.fsdecode(path), local, status.st_dev)
    except OSError as error:
        if not path:
            raise RootGone(str(error)) from error
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        log.warning("folder can't be read", folder=display_name(path), error=error.strerror)
        return Listing(path, 0, 0, b"", None, [], is_readable=False), rules
    signature = _signature(entries, folders, local.digest)
    fresh = None if known.get(path) == signature else entries
    return Listing(path, status.st_dev, inode_of(status), signature, fresh, folders), local


def _sort_out(
    found: list[os.DirEntry[str]], folder: str, rules: IgnoreRules, device: int
) -> tuple[list[Entry], list[bytes]]:
    """The media files and the sub-folders among a folder's entries. Raises PermissionError."""
    entries: list[Entry] = []
    folders: list[bytes] = []
    has_rules = bool(rules.specs or rules.excluded)
    for item in found:
        name = item.name
        if is_hidden(name):
            continue
        try:
            if item.is_dir(follow_symlinks=False):
                if not has_rules or not rules.ignores(f"{folder}/{name}" if folder else name, is_folder=True):
                    folders.append(os.fsencode(name))
                continue
            kind = EXTENSIONS.get(name[name.rfind(".") + 1 :].lower()) if "." in name else None
            if kind is None or not item.is_file(follow_symlinks=False):
                continue
            if has_rules and rules.ignores(f"{folder}/{name}" if folder else name, is_folder=False):
                continue
            status = item.stat(follow_symlinks=False)
        except PermissionError:  # a folder that may be listed and not entered: nothing is known of its files
            raise
        except OSError:
            continue
        mtime_ns, inode = mtime_ns_of(status), inode_of(status)
        entries.append(Entry(os.fsencode(name), kind, status.st_size, mtime_ns, device, inode))
    return entries, folders


def _signature(entries: list[Entry], folders: list[bytes], rules: bytes) -> bytes:
    """A digest that changes when a name, size or time in the folder does. Inodes stay out: FAT makes them up anew."""
    rows = sorted(b"%b\0%d\0%d" % (entry.name, entry.size_bytes, entry.mtime_ns) for entry in entries)
    text = b"\0\0".join((rules, b"\0".join(rows), b"\0".join(sorted(folders))))
    return hashlib.blake2b(text, digest_size=8).digest()
