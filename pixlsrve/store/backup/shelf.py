"""The backups that the daemon makes by itself: their names, which are kept, how old the newest is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

FOLDER = "backups"
_NAME = re.compile(r"pixlsrve-(\d{8}T\d{6}Z)\.tar\.gz")
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, order=True)
class Kept:
    """One backup on the shelf, ordered by when it was made."""

    made_at: datetime
    path: Path


def name_of(made_at: datetime) -> str:
    """The file name of a backup that was made then (UTC)."""
    return f"pixlsrve-{made_at.strftime(_TIME)}.tar.gz"


def on_shelf(folder: Path) -> list[Kept]:
    """The backups in a folder, oldest first; none when it can't be read."""
    found = []
    try:
        names = [(path, _NAME.fullmatch(path.name)) for path in folder.iterdir()]
    except OSError:
        return []
    for path, match in names:
        if match:
            try:
                found.append(Kept(datetime.strptime(match[1], _TIME).replace(tzinfo=UTC), path))
            except ValueError:
                continue
    return sorted(found)


def newest(folder: Path, now: datetime) -> Kept | None:
    """The newest backup that a clock gone wrong has not dated into the future."""
    return next((kept for kept in reversed(on_shelf(folder)) if kept.made_at <= now), None)


def to_drop(shelf: Iterable[Kept], now: datetime, *, keep_daily: int, keep_weekly: int) -> list[Kept]:
    """Those that are neither the newest of one of the last days with a backup, nor of one of the last such weeks.

    Days and weeks (from Monday) are those of UTC. What is dated into the future is left until its time has come; the
    newest of all is never dropped.
    """
    past = sorted((kept for kept in shelf if kept.made_at <= now), reverse=True)
    days: dict[object, Kept] = {}
    weeks: dict[object, Kept] = {}
    for kept in past:
        days.setdefault(kept.made_at.date(), kept)
        weeks.setdefault(kept.made_at.isocalendar()[:2], kept)
    wanted = {*past[:1], *list(days.values())[:keep_daily], *list(weeks.values())[:keep_weekly]}
    return [kept for kept in past if kept not in wanted]
