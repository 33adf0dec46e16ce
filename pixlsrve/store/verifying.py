"""Which files are to be read again, and what they must be: from the index and the records of uploads. All of it blocks.

Rows are read in pieces, so that no transaction lasts as long as reading the files does.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pixlsrve.errors import StorageError
from pixlsrve.store.migrate import reading
from pixlsrve.store.recovery import INDEX, STATE

_PIECE = 500
_CLOCK_SLACK_NS = 60 * 10**9


@dataclass(frozen=True, kw_only=True)
class Expected:
    """One file. `known_us` is when its content was last known to be this; `root` the folder that must be there.

    For an original `mtime_ns` is the time that the file had then: with another one it is another content. An upload
    that was changed after `latest_mtime_ns` was changed by somebody, not by the disk.
    """

    path: Path
    root: Path
    size_bytes: int
    sha256: bytes
    known_us: int
    mtime_ns: int | None = None
    latest_mtime_ns: int | None = None


def uploads(state: Path) -> Iterator[Expected]:
    """What was uploaded, in the order of its arrival. Raises sqlite3.Error."""
    sql = """
        SELECT u.id, r.path, u.path, u.size_bytes, u.sha256, u.stored_us FROM upload u
        JOIN library_root r ON r.id = u.root_id WHERE u.id > ? ORDER BY u.id LIMIT ?
    """
    last = 0
    while True:
        with reading(state) as connection:
            rows = connection.execute(sql, (last, _PIECE)).fetchall()
        for _, root, path, size_bytes, sha256, stored_us in rows:
            yield Expected(
                path=Path(os.fsdecode(root), os.fsdecode(path)),
                root=Path(os.fsdecode(root)),
                size_bytes=size_bytes,
                sha256=sha256,
                known_us=stored_us,
                latest_mtime_ns=stored_us * 1000 + _CLOCK_SLACK_NS,
            )
        if len(rows) < _PIECE:
            return
        last = rows[-1][0]


def originals(index: Path, state: Path) -> Iterator[Expected]:
    """What the index knows the content of, but for uploads. Raises sqlite3.Error."""
    sql = """
        SELECT a.id, a.root_id, f.path, a.name, a.size_bytes, a.mtime_ns, a.sha256, a.changed_us
        FROM asset a JOIN folder f ON f.id = a.folder_id
        WHERE a.id > ? AND a.sha256 IS NOT NULL AND a.gone_us IS NULL ORDER BY a.id LIMIT ?
    """
    with reading(state) as connection:
        roots = dict(connection.execute("SELECT id, path FROM library_root WHERE is_configured = 1").fetchall())
    last = 0
    while True:
        with reading(index) as connection:
            rows = connection.execute(sql, (last, _PIECE)).fetchall()
        places = [(row[1], row[2] + b"/" + row[3] if row[2] else row[3]) for row in rows]
        uploaded = _uploaded(state, places)
        for row, place in zip(rows, places, strict=True):
            if place[0] not in roots or place in uploaded:
                continue
            root = Path(os.fsdecode(roots[place[0]]))
            yield Expected(
                path=root / os.fsdecode(place[1]),
                root=root,
                size_bytes=row[4],
                mtime_ns=row[5],
                sha256=row[6],
                known_us=row[7],
            )
        if len(rows) < _PIECE:
            return
        last = rows[-1][0]


def _uploaded(state: Path, places: list[tuple[int, bytes]]) -> set[tuple[int, bytes]]:
    """Which of these places (root and path) have uploads."""
    sql = "SELECT 1 FROM upload WHERE root_id = ? AND path = ?"
    with reading(state) as connection:
        return {place for place in places if connection.execute(sql, place).fetchone()}


def everything(data_dir: Path) -> Iterator[Expected]:
    """Uploads, then originals. Raises StorageError."""
    with _refusing():
        yield from uploads(data_dir / STATE)
        yield from originals(data_dir / INDEX, data_dir / STATE)


def totals(data_dir: Path) -> tuple[int, int]:
    """Bytes of all that would be read, and the number of files whose content is not known yet. Raises StorageError."""
    with _refusing(), reading(data_dir / INDEX) as connection:
        known, unread = connection.execute(
            "SELECT total(size_bytes) FILTER (WHERE sha256 IS NOT NULL), count(*) FILTER (WHERE sha256 IS NULL) "
            "FROM asset WHERE gone_us IS NULL"
        ).fetchone()
    return int(known), int(unread)


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """What SQLite says, in a sentence."""
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(f"The databases can't be read ({error}); start pixlsrve, which mends them.") from error
