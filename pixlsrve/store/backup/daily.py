"""The backup that the daemon makes by itself: one a day, kept on the shelf, with a copy on a second disk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from pixlsrve.config import BackupConfig
from pixlsrve.errors import PixlsrveError
from pixlsrve.store.backup import restoring
from pixlsrve.store.backup.making import Source, make
from pixlsrve.store.backup.shelf import FOLDER, Kept, name_of, newest, on_shelf, to_drop
from pixlsrve.store.backup.writing import refusals
from pixlsrve.store.durable import sync, write_whole
from pixlsrve.store.upgrade import read_failure

log = structlog.get_logger(__name__)

EVERY = timedelta(days=1)
LOOKS_EVERY_S = 900.0
OVERDUE = timedelta(days=3)
SECOND_RECORD = "second-disk.json"
"""In the shelf's folder: which folders were seen on another disk than the data directory."""


class DailyBackups:
    """Makes a backup when the newest is a day old, and brings the second disk up to date when it is there.

    What goes wrong is told in `notices` and tried again; it never disturbs the daemon.
    """

    def __init__(self, data_dir: Path, config: BackupConfig, *, program: str, now_us: Callable[[], int]) -> None:
        self._data_dir = data_dir
        self._shelf = data_dir / FOLDER
        self._config = config
        self._second = Path(config.directory).expanduser() if config.directory else None
        self._program = program
        self._now_us = now_us
        self._problems: list[tuple[str, str]] = []

    async def run(self) -> None:
        """Look every quarter of an hour whether there is something to do, until cancelled."""
        while True:
            await asyncio.to_thread(self.attend)
            await asyncio.sleep(LOOKS_EVERY_S)

    def attend(self) -> None:
        """Make what is due. Blocks; raises nothing that is the disks' fault."""
        if not self._config.enabled:
            return
        problems: list[tuple[str, str]] = []
        for step in (self._make_due, self._copy_to_second):
            try:
                step()
            except PixlsrveError as error:
                problems.append((error.message, "Free some space, or mend what it says; it is tried again by itself."))
            except OSError as error:
                problems.append(
                    (f"{error.filename}: {error.strerror}.", "Mend the folder's rights; it is tried again.")
                )
            except _SecondDisk as error:
                problems.append((str(error), "Connect that disk, or correct backup.directory in the settings."))
        for message, _ in problems:
            if message not in dict(self._problems):
                log.warning("a backup was not made", cause=message)
        self._problems = problems

    def status(self) -> dict[str, Any]:
        """What `pixlsrve status --json` prints of it."""
        now = self._now()
        last = newest(self._shelf, now)
        second = newest(self._second, now) if self._second is not None else None
        return {
            "enabled": self._config.enabled,
            "last_at": _text(last),
            "age_seconds": int((now - last.made_at).total_seconds()) if last else None,
            "kept": len(on_shelf(self._shelf)),
            "directory": str(self._second) if self._second is not None else None,
            "directory_last_at": _text(second),
        }

    def notices(self) -> list[dict[str, str]]:
        """What is wrong with backups, restores and upgrades, with the remedy."""
        told = [{"message": f"Backup: {message}", "remedy": remedy} for message, remedy in self._problems]
        return [*told, *self._restored(), *self._failed_upgrade()]

    def _make_due(self) -> None:
        """One more backup on the shelf when the newest is old enough, and the old ones away."""
        now = self._now()
        last = newest(self._shelf, now)
        if last is None or now - last.made_at >= EVERY:
            self._shelf.mkdir(mode=0o700, exist_ok=True)
            _clear_unfinished(self._shelf)
            target = self._shelf / name_of(now)
            source = Source(data_dir=self._data_dir, program=self._program, has_index=False)
            made = make(source, target, now_us=self._now_us())
            log.info("backup made", file=str(target), size_bytes=made.size_bytes)
        self._drop(self._shelf)

    def _copy_to_second(self) -> None:
        """The newest backup on the second disk too."""
        if self._second is None:
            return
        last = newest(self._shelf, self._now())
        self._check_second(self._second)
        if last is not None and not (self._second / last.path.name).exists():
            _clear_unfinished(self._second)
            with refusals(self._second):
                _copy(last.path, self._second / last.path.name)
        self._drop(self._second)

    def _check_second(self, second: Path) -> None:
        """Refuse a folder that is not there, or is no longer on the disk that it was on: an empty mount point."""
        if not second.is_dir():
            raise _SecondDisk(f"The folder {second} for backups is not there.")
        is_apart = second.stat().st_dev != self._data_dir.stat().st_dev
        record = self._shelf / SECOND_RECORD
        seen: list[str] = []
        with contextlib.suppress(OSError, ValueError):
            seen = [str(path) for path in json.loads(record.read_text("ascii"))]
        if is_apart and str(second) not in seen:
            write_whole(record, json.dumps([*seen, str(second)]).encode("ascii"))
        elif not is_apart and str(second) in seen:
            raise _SecondDisk(f"The disk for backups is not mounted at {second}.")

    def _drop(self, folder: Path) -> None:
        """Delete the backups that need not be kept."""
        shelf, now = on_shelf(folder), self._now()
        for old in to_drop(shelf, now, keep_daily=self._config.keep_daily, keep_weekly=self._config.keep_weekly):
            with contextlib.suppress(FileNotFoundError):
                old.path.unlink()

    def _restored(self) -> list[dict[str, str]]:
        """For some days after a restore: what it may have brought back."""
        try:
            note = json.loads((self._data_dir / restoring.RESTORED).read_text("ascii"))
            is_told = bool(note["knows_revocations"]) or time.time() - note["at_s"] > restoring.REMIND_S
            made_at = datetime.fromtimestamp(note["created_us"] / 1_000_000, UTC)
        except (OSError, ValueError, KeyError, TypeError):
            return []
        if is_told:
            return []
        when = made_at.strftime("%Y-%m-%d %H:%M UTC")
        return [
            {
                "message": f"This host was restored from a backup of {when}: what was revoked later works again.",
                "remedy": "Look through `pixlsrve devices` and `pixlsrve user list`, and revoke those once more.",
            }
        ]

    def _failed_upgrade(self) -> list[dict[str, str]]:
        """That a newer program gave up."""
        failure = read_failure(self._data_dir)
        if failure is None or failure.program == self._program:
            return []
        return [
            {
                "message": f"The upgrade to pixlsrve {failure.program} was taken back: {failure.cause}.",
                "remedy": "Stay with this version, or look into the log and try the upgrade again.",
            }
        ]

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._now_us() / 1_000_000, UTC)


class _SecondDisk(Exception):
    """The second disk is not there."""


def _copy(path: Path, target: Path) -> None:
    """A durable copy, visible when it is whole. Raises OSError."""
    fresh = target.with_name(f".{target.name}-copy.part")
    try:
        descriptor = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        with path.open("rb") as source, os.fdopen(descriptor, "wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)
    sync(target.parent)


def _clear_unfinished(folder: Path) -> None:
    """What a kill left of a backup."""
    for path in folder.glob(".pixlsrve-*.part"):
        with contextlib.suppress(OSError):
            path.unlink()


def _text(kept: Kept | None) -> str | None:
    return None if kept is None else kept.made_at.isoformat().replace("+00:00", "Z")


def overdue(data_dir: Path, now: datetime) -> timedelta | None:
    """How old the newest backup is when that is too old, or the installation itself where there is none; else None."""
    last = newest(data_dir / FOLDER, now)
    try:
        since = last.made_at if last else datetime.fromtimestamp(min(_born_s(data_dir)), UTC)
    except ValueError:
        return None
    age = now - since
    return age if age > OVERDUE else None


def _born_s(data_dir: Path) -> list[float]:
    """When the installation's keys were made."""
    return [path.stat().st_mtime for path in (data_dir / "keys").glob("*.key")]
