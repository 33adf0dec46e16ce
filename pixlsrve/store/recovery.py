"""Bringing the three databases of a data directory to life: checked, migrated, rebuilt or restored. All of it blocks.

The state is irreplaceable: it is checked at each start and restored from its verified copy. Index and thumbnails can be
made again: a damaged one is removed. The index is checked after an unclean stop only, for it may be a gigabyte.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from pixlsrve import __version__
from pixlsrve.errors import StartError
from pixlsrve.store.database import DatabaseDamaged
from pixlsrve.store.durable import sync
from pixlsrve.store.migrate import Schema, check, migrate
from pixlsrve.store.upgrade import COMPANIONS, Upgrade

STATE, INDEX, THUMBNAILS = "state.db", "index.db", "thumbnails.db"
COPY_FOLDER = "backup"
CLEAN_MARK = "stopped-clean.json"
CHECKED_BEFORE_START_BYTES = 64 * 1024 * 1024
_SCHEMAS: dict[str, Schema] = {STATE: "state", INDEX: "index", THUMBNAILS: "thumbnails"}


def schema_of(name: str) -> Schema:
    """Which schema a database has, by its file's name."""
    return _SCHEMAS[name]


@dataclass
class Prepared:
    """What preparing did. `repairs` are sentences for a person; `unchecked` is what is to be checked while running."""

    upgrade: Upgrade
    repairs: list[str] = field(default_factory=list)
    unchecked: list[Path] = field(default_factory=list)

    def take_back(self, cause: str = "the start failed") -> None:
        """The start failed: undo the migrations. No connection may be open. Raises OSError."""
        self.upgrade.take_back(cause)

    def keep(self) -> None:
        """The start came up."""
        self.upgrade.came_up()


def prepare(data_dir: Path) -> Prepared:
    """Make all three databases ready to be opened. Raises StartError."""
    prepared = Prepared(Upgrade(data_dir, __version__))
    went_back = prepared.upgrade.begin()
    if went_back is not None:
        raise StartError(went_back)
    was_clean = _take_clean_mark(data_dir)
    try:
        if not _prepare_state(data_dir, prepared):
            remove(data_dir / INDEX)
        for name in (INDEX, THUMBNAILS):
            _prepare_rebuildable(data_dir / name, prepared, was_clean=was_clean)
    except BaseException as error:
        prepared.take_back(str(error))
        raise
    return prepared


def _prepare_state(data_dir: Path, prepared: Prepared) -> bool:
    """Check and migrate the state, restoring it first where it must be; whether it is the one of the last run."""
    path, copy = data_dir / STATE, data_dir / COPY_FOLDER / STATE
    # A database that was ever opened is not empty: a power cut, or a full disk while it was put back, left that.
    is_same = path.exists() and path.stat().st_size > 0
    if not is_same and copy.exists():
        prepared.repairs.append(restore_state(data_dir, "it is missing"))
    try:
        if path.exists():
            check(path)
        migrate(path, "state", prepared.upgrade.note)
    except DatabaseDamaged as error:
        if not copy.exists():
            raise StartError(
                f"The state database {path} is damaged and there is no copy of it; put back a backup of it, "
                "or move it away to begin anew."
            ) from error
        prepared.repairs.append(restore_state(data_dir, "it was damaged"))
        migrate(path, "state", prepared.upgrade.note)
        return False
    return is_same


def restore_state(data_dir: Path, cause: str) -> str:
    """Put the verified copy in the state's place, keeping the damaged files; what was done, in one sentence.

    Raises StartError when the copy is damaged too.
    """
    path, copy = data_dir / STATE, data_dir / COPY_FOLDER / STATE
    try:
        check(copy)
    except DatabaseDamaged as error:
        raise StartError(
            f"The state database {path} and its copy {copy} are both damaged; put back a backup."
        ) from error
    fresh = path.with_name(f"{STATE}.restored")
    shutil.copyfile(copy, fresh)
    fresh.chmod(0o600)
    sync(fresh)
    aside = f".damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    for suffix in ("", *COMPANIONS):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").replace(f"{path}{aside}{suffix}")
    copied_at = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(copy.stat().st_mtime))
    fresh.replace(path)
    sync(data_dir)
    return f"The state database was restored from its copy of {copied_at}, for {cause}; later changes to it are lost."


def _prepare_rebuildable(path: Path, prepared: Prepared, *, was_clean: bool) -> None:
    """Check where it is cheap, migrate, and begin anew where it is damaged."""
    try:
        if path.exists() and not was_clean:
            if path.stat().st_size <= CHECKED_BEFORE_START_BYTES:
                check(path)
            elif path.name == INDEX:
                prepared.unchecked.append(path)
        migrate(path, _SCHEMAS[path.name], prepared.upgrade.note)
    except DatabaseDamaged as error:
        prepared.repairs.append(f"{error.message} It is made again from the photos.")
        remove(path)
        migrate(path, _SCHEMAS[path.name], prepared.upgrade.note)


def remove(path: Path) -> None:
    """Delete a database and what belongs to it."""
    for suffix in (*COMPANIONS, ""):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def mark_clean(data_dir: Path) -> None:
    """Note that the databases were closed in order; the last thing a stopping daemon does."""
    mark = data_dir / CLEAN_MARK
    fresh = mark.with_suffix(".new")
    fresh.write_text(json.dumps(_fingerprint(data_dir)), "utf-8")
    fresh.replace(mark)


def _take_clean_mark(data_dir: Path) -> bool:
    """Whether the last stop was clean and nobody has touched the files since; the mark is gone then."""
    mark = data_dir / CLEAN_MARK
    try:
        noted = json.loads(mark.read_text("utf-8"))
        mark.unlink()
    except (OSError, ValueError):
        return False
    return bool(noted == _fingerprint(data_dir))


def _fingerprint(data_dir: Path) -> dict[str, list[int]]:
    """Size and time of each file that can be made again; a write-ahead log that was left behind counts as a change."""
    result = {}
    for name in (INDEX, THUMBNAILS):
        path = data_dir / name
        if path.exists():
            facts, log = path.stat(), Path(f"{path}-wal")
            result[name] = [facts.st_size, facts.st_mtime_ns, log.stat().st_size if log.exists() else 0]
    return result
