"""Making a backup of a data directory, whether its daemon runs or not. All of it blocks."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pixlsrve.errors import Conflict, StorageError
from pixlsrve.store.backup.layout import (
    CONFIG_FILE,
    FORMAT,
    KEYS,
    OURS_IN_STORAGE,
    SETTINGS,
    SMALL_BYTES,
    STORAGE,
    Header,
    Member,
    kind_of,
)
from pixlsrve.store.backup.writing import ArchiveWriter, Progress, refusals
from pixlsrve.store.database import DatabaseDamaged
from pixlsrve.store.keyfiles import FOLDER as KEY_FOLDER
from pixlsrve.store.migrate import reading, snapshot
from pixlsrve.store.recovery import INDEX, STATE

SCRATCH = ".backup-"
_SCRATCH_LIFE_S = 86_400.0
Acting = Callable[[], AbstractContextManager[object]]
"""Within whose block the rights are those of the source's owner, where the caller's go further (THREATS T38)."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is saved. `storage` is the storage directory where uploads are wanted too."""

    data_dir: Path
    program: str
    storage: Path | None = None
    config_file: Path | None = None
    has_index: bool = True


@dataclass(frozen=True)
class Made:
    """A new backup; `left_out` says in sentences what it lacks."""

    path: Path
    header: Header
    members: list[Member]
    size_bytes: int
    left_out: list[str]


def check_target(target: Path, forbidden: list[tuple[str, Path]]) -> None:
    """Refuse a place where a backup must not be. `forbidden` are folders with what they are called.

    Raises Conflict when there is a file already, StorageError.
    """
    if os.path.lexists(target):
        raise Conflict(f"{target} exists already; name another file, or move that one away.", reason="exists")
    if not target.parent.is_dir():
        raise StorageError(f"There is no folder {target.parent}; make it, or connect its disk.")
    real = target.parent.resolve()
    for name, folder in forbidden:
        if real.is_relative_to(folder.resolve()):
            raise StorageError(f"A backup does not belong into the {name} {folder}; name a place on another disk.")


def library_roots(data_dir: Path) -> list[Path]:
    """The photo folders that the daemon had last; none where there is no state that can be read."""
    if not (data_dir / STATE).exists():
        return []
    with contextlib.suppress(sqlite3.Error), reading(data_dir / STATE) as connection:
        rows = connection.execute("SELECT path FROM library_root WHERE is_configured = 1 AND is_uploads = 0")
        return [Path(os.fsdecode(path)) for (path,) in rows]
    return []


def make(
    source: Source,
    target: Path,
    progress: Progress = lambda _: None,
    *,
    now_us: int | None = None,
    acting: Acting = contextlib.nullcontext,
) -> Made:
    """Write a backup to `target`, whole or not at all. What belongs to the source is touched only while `acting`.

    Raises Conflict, StorageFull, StorageError, DatabaseDamaged when the state is not sound.
    """
    if not (source.data_dir / STATE).exists():
        raise StorageError(f"There is no pixlsrve in {source.data_dir}: nothing to save.")
    created_us = time.time_ns() // 1000 if now_us is None else now_us
    left_out: list[str] = []
    with _scratch(source.data_dir, acting) as scratch, refusals(source.data_dir):
        with acting():
            # The index first: what the state knows of a photo's identity must never be older than what the index has.
            databases = {INDEX: _index(source, scratch, left_out)} if source.has_index else {}
            databases[STATE] = scratch / STATE
            snapshot(source.data_dir / STATE, scratch / STATE)
            header = Header(
                format=FORMAT,
                program=source.program,
                created_us=created_us,
                host_id=host_id(scratch / STATE),
                schemas={name: version(path) for name, path in databases.items() if path is not None},
                has_uploads=source.storage is not None,
            )
        with ArchiveWriter(target, header, progress) as archive:
            with acting():
                for name, path in databases.items():
                    if path is not None:
                        archive.add(name, path)
                _add_small(archive, source)
            config = source.config_file
            if config is not None and config.is_file() and config.stat().st_size <= SMALL_BYTES:
                archive.add(CONFIG_FILE, config)
            with acting():
                if source.storage is not None:
                    _add_uploads(archive, source.storage, left_out)
    return Made(target, header, archive.members, target.stat().st_size, left_out)


def expected_bytes(source: Source) -> int:
    """About how many bytes a backup reads, for a progress bar."""
    files = [source.data_dir / STATE, *([source.data_dir / INDEX] if source.has_index else [])]
    if source.storage is not None:
        files += [path for _, path in _uploads(source.storage)]
    total = 0
    for file in files:
        with contextlib.suppress(OSError):
            total += file.stat().st_size
    return total


def host_id(state: Path) -> str:
    """The host that a state database belongs to; empty when it has never served. Raises sqlite3.Error."""
    with reading(state) as connection:
        row = connection.execute("SELECT value FROM meta WHERE key = 'host_id'").fetchone()
    return "" if row is None else bytes(row[0]).decode()


def version(path: Path) -> int:
    """The schema version of a database."""
    with reading(path) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _index(source: Source, scratch: Path, left_out: list[str]) -> Path | None:
    """A copy of the index, or None: it can be made again, and keeps no backup from being made."""
    path = source.data_dir / INDEX
    if not path.exists():
        return None
    try:
        snapshot(path, scratch / INDEX)
    except DatabaseDamaged:
        left_out.append("The index is damaged and was left out; after a restore it is made again from the photos.")
        return None
    return scratch / INDEX


def _add_small(archive: ArchiveWriter, source: Source) -> None:
    """Keys and settings."""
    for path in sorted((source.data_dir / KEY_FOLDER).glob("[!.]*")):
        if path.is_file() and not path.is_symlink():
            kind_of(f"{KEYS}{path.name}")
            archive.add(f"{KEYS}{path.name}", path)
    if (source.data_dir / SETTINGS).is_file():
        archive.add(SETTINGS, source.data_dir / SETTINGS)


def _add_uploads(archive: ArchiveWriter, storage: Path, left_out: list[str]) -> None:
    """What was uploaded; a file that goes away meanwhile is told."""
    for name, path in _uploads(storage):
        try:
            archive.add(name, path)
        except StorageError as error:
            if path.exists():
                raise
            left_out.append(error.message)


def _uploads(storage: Path) -> Iterator[tuple[str, Path]]:
    """Member name and path of each uploaded file; hidden ones are unfinished."""
    for first in OURS_IN_STORAGE:
        for folder, folders, files in os.walk(storage / first):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(file for file in files if not file.startswith(".")):
                path = Path(folder, name)
                if stat.S_ISREG(path.lstat().st_mode):
                    yield f"{STORAGE}{path.relative_to(storage).as_posix()}", path


@contextlib.contextmanager
def _scratch(data_dir: Path, acting: Acting) -> Iterator[Path]:
    """A private folder for copies of databases; those that a kill left behind are removed after a day."""
    with acting():
        for old in data_dir.glob(f"{SCRATCH}*"):
            with contextlib.suppress(OSError):
                if re.fullmatch(r"\.backup-\w+", old.name) and time.time() - old.stat().st_mtime > _SCRATCH_LIFE_S:
                    shutil.rmtree(old)
        with refusals(data_dir):
            folder = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=data_dir))
    try:
        yield folder
    finally:
        with acting():
            shutil.rmtree(folder, ignore_errors=True)
