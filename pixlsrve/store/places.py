"""The places file: a small SQLite database of towns, read only once it is built.

A row's id holds its grid cell (a tenth of a degree each way), so that rows lie on disk by where they are and a look-up
reads a few neighbouring pages.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pixlsrve.errors import StorageError

CELLS_PER_DEGREE = 10
CELLS_AROUND = 360 * CELLS_PER_DEGREE
ROWS_PER_CELL = 4096
SCALE = 100_000
"""Coordinates are whole numbers of 1/100,000 degree (about a metre)."""

_CACHE_KIB = 512


class TownRow(NamedTuple):
    """One town. `names` is newline-separated; `parent` is the id of the city that it is a part of, `greater` of
    the one in whose surroundings it lies."""

    id: int
    latitude: int
    longitude: int
    inverse_size: float
    country: str
    region: str
    name: str
    names: str
    parent: int | None
    greater: int | None


class Hit(NamedTuple):
    """A town near a point: its distance squared, in degrees of latitude, and how far that is in sizes of the town."""

    score: float
    distance2: float
    id: int
    parent: int | None


class RegionRow(NamedTuple):
    """A country (`PT`) or region (`PT.14`) and its newline-separated names, the first one for display."""

    code: str
    names: str


def cell_id(latitude: float, longitude: float) -> int:
    """The first row id of the grid cell that holds this point."""
    row = min(int((latitude + 90) * CELLS_PER_DEGREE), 180 * CELLS_PER_DEGREE - 1)
    column = int((longitude + 180) * CELLS_PER_DEGREE) % CELLS_AROUND
    return (row * CELLS_AROUND + column) * ROWS_PER_CELL


class PlacesWriter:
    """Builds a places file; `finish` makes it complete."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        # The file counts only once it is renamed into place, so that nothing of an unfinished one has to last.
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE town (id INTEGER PRIMARY KEY, latitude INTEGER NOT NULL, longitude INTEGER NOT NULL,"
            " inverse_size REAL NOT NULL, country TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL,"
            " names TEXT NOT NULL, parent INTEGER, greater INTEGER) STRICT",
            "CREATE TABLE region (code TEXT PRIMARY KEY, names TEXT NOT NULL) STRICT, WITHOUT ROWID",
            "CREATE TABLE meta (edition TEXT NOT NULL) STRICT",
            "BEGIN",
        ):
            self._connection.execute(statement)

    def add_towns(self, rows: Iterable[TownRow]) -> None:
        """Store towns, in any order."""
        sql = (
            "INSERT INTO town (id, latitude, longitude, inverse_size, country, region, name, names, parent, greater)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        self._connection.executemany(sql, rows)

    def add_regions(self, rows: Iterable[RegionRow]) -> None:
        """Store countries and regions."""
        self._connection.executemany("INSERT INTO region (code, names) VALUES (?, ?)", rows)

    def finish(self, edition: str) -> None:
        """Commit, pack and close. `edition` says what the file was built from."""
        self._connection.execute("INSERT INTO meta (edition) VALUES (?)", (edition,))
        for statement in ("COMMIT", "VACUUM"):
            self._connection.execute(statement)
        self._connection.close()

    def close(self) -> None:
        """Give up; the file is of no use."""
        self._connection.close()


class PlacesReader:
    """Reads a places file. Safe to use from several threads; holds about half a megabyte of pages at most."""

    def __init__(self, path: Path) -> None:
        """Raises StorageError when `path` is missing or no places file."""
        self._lock = threading.Lock()
        try:
            uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
            self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
            self._connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self.edition = str(self._connection.execute("SELECT edition FROM meta").fetchone()[0])
        except (sqlite3.Error, TypeError) as error:
            raise StorageError(f"The places file {path.name} can't be read: {error}.") from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def near(self, latitude: float, longitude: float, reach: tuple[float, float], shrink: float) -> list[Hit]:
        """The towns around a point, best first: near ones before far ones, counted in sizes of the town; at most 12.

        `reach` is how far to look, in degrees of latitude and longitude; `shrink` the length of a degree of longitude
        there in degrees of latitude.
        """
        sql = """
            WITH RECURSIVE line (first, last, row) AS (
                SELECT ?1, ?2, 0
                UNION ALL SELECT first + ?3, last + ?3, row + 1 FROM line WHERE row < ?4
            ),
            found (id, parent, distance2, inverse_size) AS (
                SELECT town.id, parent,
                    (latitude - ?5) * (latitude - ?5) + (longitude - ?6) * (longitude - ?6) * ?7, inverse_size
                FROM line CROSS JOIN town WHERE town.id BETWEEN line.first AND line.last
            )
            SELECT distance2 * inverse_size AS score, distance2, id, parent FROM found ORDER BY score LIMIT 12
        """
        south = max(latitude - reach[0], -90.0)
        rows = int((min(latitude + reach[0], 90.0) + 90) * CELLS_PER_DEGREE) - int((south + 90) * CELLS_PER_DEGREE)
        hits: list[Hit] = []
        for west, east, turn in _spans(longitude, reach[1]):
            first = cell_id(south, west)
            last = cell_id(south, east) + ROWS_PER_CELL - 1
            here = (latitude * SCALE, (longitude + turn) * SCALE, shrink * shrink)
            place = (first, last, CELLS_AROUND * ROWS_PER_CELL, rows)
            with self._lock:
                found = self._connection.execute(sql, (*place, *here)).fetchall()
            hits += [Hit(score / SCALE**2, distance2 / SCALE**2, *ids) for score, distance2, *ids in found]
        return sorted(hits, key=lambda hit: hit.score)[:12]

    def town(self, town_id: int) -> TownRow | None:
        """The town with this id."""
        sql = (
            "SELECT id, latitude, longitude, inverse_size, country, region, name, names, parent, greater"
            " FROM town WHERE id = ?"
        )
        with self._lock:
            row = self._connection.execute(sql, (town_id,)).fetchone()
        return None if row is None else TownRow(*row)

    def region(self, code: str) -> tuple[str, ...]:
        """The names of a country or region; none when it is unknown."""
        with self._lock:
            row = self._connection.execute("SELECT names FROM region WHERE code = ?", (code,)).fetchone()
        return () if row is None else tuple(str(row[0]).split("\n"))


def _spans(longitude: float, reach: float) -> list[tuple[float, float, float]]:
    """West end, east end and what to add to the point's longitude, for each side of the 180th meridian."""
    west, east = longitude - reach, longitude + reach
    edge = 180 - 1e-9
    if reach >= 180:
        return [(-180.0, edge, 0.0)]
    if west < -180:
        return [(-180.0, east, 0.0), (west + 360, edge, 360.0)]
    if east >= 180:
        return [(west, edge, 0.0), (-180.0, east - 360, -360.0)]
    return [(west, east, 0.0)]
