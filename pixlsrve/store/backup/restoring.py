"""Putting a backup in place of a data directory's contents, which are kept aside. All of it blocks.

Everything is read and checked into `.restoring/` first. From the moment that `restoring.json` is there the restore will
be finished, by this run or by the next start; before, nothing has happened.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BufferedWriter
from pathlib import Path
from typing import Any, BinaryIO

from pixlsrve.errors import StorageError, StorageFull
from pixlsrve.instance import LOCK_FILE
from pixlsrve.store.backup.carrying import carry_over, skip_event_numbers
from pixlsrve.store.backup.layout import CONFIG_FILE, SETTINGS, STORAGE, BackupRefused, kind_of
from pixlsrve.store.backup.making import host_id
from pixlsrve.store.backup.reading import Contents, read_archive
from pixlsrve.store.backup.same import same_content
from pixlsrve.store.backup.writing import refusals
from pixlsrve.store.database import DatabaseDamaged
from pixlsrve.store.durable import sync, write_whole
from pixlsrve.store.keyfiles import FOLDER as KEY_FOLDER
from pixlsrve.store.migrate import check, check_schema, migrate, snapshot
from pixlsrve.store.recovery import CLEAN_MARK, COPY_FOLDER, INDEX, STATE, schema_of
from pixlsrve.store.upgrade import COMPANIONS
from pixlsrve.store.upgrade import MARK as UPGRADE_MARK

STAGE, MARK = ".restoring", "restoring.json"
ASIDE = "before-restore-"
RESTORED = "restored.json"
"""Says until when, and of what, the owner is to be reminded: devices that may have been revoked since the backup."""
REMIND_S = 7 * 86_400
GIVEN_CONFIG = "pixlsrve.toml.from-backup"
_RESERVE_BYTES = 16 << 20
_DATABASE_FILES = tuple(f"{name}{suffix}" for name in (STATE, INDEX) for suffix in (*COMPANIONS, ""))
_REPLACED = (
    *_DATABASE_FILES,
    COPY_FOLDER,
    CLEAN_MARK,
    UPGRADE_MARK,
    KEY_FOLDER,
    SETTINGS,
    RESTORED,
    GIVEN_CONFIG,
)
_PLACED = (STATE, INDEX, KEY_FOLDER, SETTINGS, RESTORED, GIVEN_CONFIG)
Progress = Callable[[int], None]


@dataclass
class Plan:
    """What a restore does. `present_host` is the host that is put aside, empty where there is none."""

    contents: Contents
    present_host: str = ""
    uploads: int = 0
    uploads_there: int = 0
    still_revoked: list[str] = field(default_factory=list)
    knows_revocations: bool = False
    aside: Path | None = None

    @property
    def is_other_host(self) -> bool:
        """Whether what is put aside is another installation than the backup's."""
        return self.present_host not in ("", self.contents.header.host_id)


def examine(archive: Path, data_dir: Path, progress: Progress = lambda _: None, opened: BinaryIO | None = None) -> Plan:
    """Read the whole backup and say what a restore would do; nothing is written. Raises BackupRefused."""
    contents = read_archive(archive, progress=progress, opened=opened)
    uploads = sum(member.name.startswith(STORAGE) for member in contents.members)
    plan = Plan(contents, _present_host(data_dir), uploads)
    plan.knows_revocations = plan.present_host == contents.header.host_id
    return plan


def restore(
    archive: Path,
    data_dir: Path,
    storage: Path,
    progress: Progress = lambda _: None,
    opened: BinaryIO | None = None,
) -> Plan:
    """Put a backup in place; what was there is in `plan.aside`. The caller holds the data directory's lock.

    `opened` is the archive for a caller who may not open it any more.

    Raises BackupRefused, StorageFull, StorageError; nothing has changed then.
    """
    finish(data_dir)
    stage, arriving = data_dir / STAGE, storage / STAGE
    _clear(stage, arriving)
    try:
        with refusals(data_dir):
            stage.mkdir(mode=0o700)
            (stage / KEY_FOLDER).mkdir(mode=0o700)
            with contextlib.closing(_Shelves(stage, arriving)) as shelves:
                contents = read_archive(archive, shelves.open, progress, opened)
            plan = Plan(contents, _present_host(data_dir))
            _check_databases(stage, contents)
            _carry(plan, data_dir, stage)
            _settle_uploads(plan, storage, arriving)
            _note(plan, stage)
            plan.aside = _free_name(data_dir)
            _own(stage, data_dir)
            _own(arriving, storage)
            _sync_tree(stage)
            _sync_tree(arriving)
            mark = {"phase": 1, "aside": plan.aside.name, "storage": os.fsencode(storage).hex()}
            write_whole(data_dir / MARK, json.dumps(mark).encode())
            _own(data_dir / MARK, data_dir)
    except BaseException:
        _clear(stage, arriving)
        raise
    finish(data_dir)
    _own(data_dir / LOCK_FILE, data_dir)
    return plan


def make_storage(storage: Path, data_dir: Path) -> None:
    """The storage directory for a restore, belonging to whom the data directory does. Raises OSError."""
    if not storage.is_dir():
        storage.mkdir(mode=0o750, parents=True)
        _own(storage, data_dir)


def finish(data_dir: Path) -> bool:
    """Do what is left of a restore that was decided; whether there was any. Raises StorageError."""
    try:
        mark: dict[str, Any] = json.loads((data_dir / MARK).read_text("ascii"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise StorageError(f"{data_dir / MARK} can't be read; restore the backup again.") from error
    stage, aside, storage = (
        data_dir / STAGE,
        data_dir / mark["aside"],
        Path(os.fsdecode(bytes.fromhex(mark["storage"]))),
    )
    with refusals(data_dir):
        if mark["phase"] == 1:
            aside.mkdir(mode=0o700, exist_ok=True)
            for name in _REPLACED:
                _move(data_dir / name, aside / name)
            _own(aside, data_dir)
            sync(aside)
            sync(data_dir)
            write_whole(data_dir / MARK, json.dumps({**mark, "phase": 2}).encode())
            _own(data_dir / MARK, data_dir)
        for name in _PLACED:
            if (stage / name).exists():
                _move(stage / name, data_dir / name)
        _place_uploads(storage / STAGE, storage, aside)
        sync(data_dir)
        _clear(stage, storage / STAGE)
        (data_dir / MARK).unlink()
        sync(data_dir)
    return True


class _Shelves:
    """Where members go while they are not yet known to be sound."""

    def __init__(self, stage: Path, arriving: Path) -> None:
        self._stage = stage
        self._arriving = arriving
        self._file: BufferedWriter | None = None

    def open(self, name: str, size_bytes: int) -> BufferedWriter:
        """A new file for a member; the one before is closed by then. Raises StorageFull, OSError."""
        self.close()
        is_upload = kind_of(name) == "upload"
        base = self._arriving if is_upload else self._stage
        path = base / (name.removeprefix(STORAGE) if is_upload else GIVEN_CONFIG if name == CONFIG_FILE else name)
        _make_folders(path.parent)
        if shutil.disk_usage(path.parent).free < size_bytes + _RESERVE_BYTES:
            raise StorageFull(
                f"The disk that holds {base.parent} has no room for {name} ({size_bytes:,} bytes); free some space."
            )
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW
        self._file = os.fdopen(os.open(path, flags, 0o640 if is_upload else 0o600), "wb")
        return self._file

    def close(self) -> None:
        """Nothing more comes for the file that was opened last. Raises OSError."""
        if self._file is not None:
            self._file.close()


def _make_folders(path: Path, like: Path | None = None) -> None:
    """Folders of ours, belonging to whom `like` does."""
    if not path.is_dir():
        _make_folders(path.parent, like)
        path.mkdir(mode=0o750)
        if like is not None:
            _own(path, like)


def _check_databases(stage: Path, contents: Contents) -> None:
    """Sound, with exactly the tables that pixlsrve makes, and brought to this program's schema."""
    for name in (STATE, INDEX):
        path = stage / name
        if not path.exists():
            continue
        try:
            check(path)
            check_schema(path, schema_of(name))
            if name == STATE and host_id(path) != contents.header.host_id:
                raise BackupRefused("The backup's state belongs to another host than the backup says; it is not used.")
        except BackupRefused:
            raise
        except (DatabaseDamaged, StorageError, sqlite3.Error) as error:
            raise BackupRefused(
                f"The {name} in the backup is no sound database of pixlsrve; it is not used."
            ) from error
    migrate(stage / STATE, "state", lambda _, copy: copy.unlink())
    _close_log(stage / STATE)


def _carry(plan: Plan, data_dir: Path, stage: Path) -> None:
    """Have what was revoked since the backup stay revoked, as far as the present state tells."""
    if plan.present_host == plan.contents.header.host_id and plan.present_host:
        now = stage / "present.db"
        with contextlib.suppress(sqlite3.Error, StorageError, DatabaseDamaged):
            snapshot(data_dir / STATE, now)
            migrate(now, "state", lambda _, copy: copy.unlink())
            plan.still_revoked = carry_over(stage / STATE, now)
            plan.knows_revocations = True
        for path in stage.glob("present.db*"):
            path.unlink()
    skip_event_numbers(stage / STATE)
    _close_log(stage / STATE)


def _close_log(path: Path) -> None:
    """Have the database in one file."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def _settle_uploads(plan: Plan, storage: Path, arriving: Path) -> None:
    """Give uploads their times; those that are there already with the same content need not be placed."""
    for member in plan.contents.members:
        if not member.name.startswith(STORAGE):
            continue
        plan.uploads += 1
        name = member.name.removeprefix(STORAGE)
        if same_content(storage / name, member):
            plan.uploads_there += 1
            (arriving / name).unlink()
        else:
            os.utime(arriving / name, ns=(member.mtime_ns, member.mtime_ns))


def _note(plan: Plan, stage: Path) -> None:
    """What the restored daemon is to remind its owner of."""
    note = {
        "at_s": int(time.time()),
        "created_us": plan.contents.header.created_us,
        "knows_revocations": plan.knows_revocations,
    }
    write_whole(stage / RESTORED, json.dumps(note).encode())


def _place_uploads(arriving: Path, storage: Path, aside: Path) -> None:
    """Move uploads to their places; a different file there is put aside."""
    for folder, _, files in os.walk(arriving):
        for file in files:
            path = Path(folder, file)
            name = path.relative_to(arriving)
            target = storage / name
            _make_folders(target.parent, like=storage)
            if target.exists() or target.is_symlink():
                kept = aside / "storage" / name
                _make_folders(kept.parent)
                shutil.move(target, kept)
            path.rename(target)
            sync(target.parent)


def _move(path: Path, target: Path) -> None:
    """Rename what is there, unless an earlier try has done it."""
    if os.path.lexists(path) and not os.path.lexists(target):
        path.rename(target)


def _present_host(data_dir: Path) -> str:
    """The host of the state that is there, empty where there is none that can be read."""
    if not (data_dir / STATE).exists():
        return ""
    try:
        return host_id(data_dir / STATE)
    except (sqlite3.Error, ValueError):
        return ""


def _free_name(data_dir: Path) -> Path:
    """A folder's name for what is put aside."""
    base = data_dir / f"{ASIDE}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    names = (base, *(base.with_name(f"{base.name}-{number}") for number in range(2, 1000)))
    return next(name for name in names if not name.exists())


def _own(tree: Path, like: Path) -> None:
    """Give what root has made to whom the folder belongs: the daemon may run as another user."""
    if os.geteuid() != 0 or not tree.exists():
        return
    owner = like.stat()
    os.chown(tree, owner.st_uid, owner.st_gid, follow_symlinks=False)
    for folder, folders, files in os.walk(tree):
        for name in (*folders, *files):
            os.chown(Path(folder, name), owner.st_uid, owner.st_gid, follow_symlinks=False)


def _sync_tree(tree: Path) -> None:
    """Make a tree durable."""
    for folder, _, files in os.walk(tree):
        for file in files:
            sync(Path(folder, file))
        sync(Path(folder))


def _clear(*folders: Path) -> None:
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)
