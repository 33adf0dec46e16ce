"""Where photos were taken, for maps: single ones, or how many lie together."""

from __future__ import annotations

import uuid
from typing import NamedTuple

from pixlsrve.model import AssetId
from pixlsrve.store.assets import Viewer, add_viewer, from_terms, version_of
from pixlsrve.store.database import Queries
from pixlsrve.store.listing import Listing


class Box(NamedTuple):
    """Signed degrees; `west` beyond `east` is a box across the date line."""

    south: float
    west: float
    north: float
    east: float


class Place(NamedTuple):
    """`number` photos around one position, one of them by its id and the name of where it was taken."""

    asset_id: AssetId
    version: str
    latitude: float
    longitude: float
    number: int
    name: str | None


async def count(db: Queries, box: Box, viewer: Viewer) -> int:
    """How many shown assets lie in `box`."""
    where, parameters = _within(box, viewer)
    row = await db.fetch_one(f"SELECT count(*) FROM asset AS a INDEXED BY asset_position WHERE {where}", parameters)  # noqa: S608  # literals
    return 0 if row is None else int(row[0])


async def single(db: Queries, box: Box, viewer: Viewer, limit: int) -> list[Place]:
    """At most `limit` shown assets in `box`, each by itself."""
    where, parameters = _within(box, viewer)
    sql = (
        "SELECT a.uuid, a.sha256, a.changed_us, a.latitude, a.longitude, 1, a.place"  # noqa: S608  # literals
        f" FROM asset AS a INDEXED BY asset_position WHERE {where} LIMIT ?"
    )
    return [_to_place(row) for row in await db.fetch_all(sql, (*parameters, limit))]


async def together(db: Queries, box: Box, viewer: Viewer, cell: tuple[float, float]) -> list[Place]:
    """The shown assets in `box`, those within one cell of so many degrees (latitude, longitude) put together."""
    where, parameters = _within(box, viewer)
    sql = (
        "SELECT b.uuid, b.sha256, b.changed_us, c.latitude, c.longitude, c.number, b.place"  # noqa: S608  # literals
        " FROM (SELECT max(a.id) AS row, avg(a.latitude) AS latitude, avg(a.longitude) AS longitude, count(*) AS number"
        f" FROM asset AS a INDEXED BY asset_position WHERE {where}"
        " GROUP BY CAST((a.latitude + 90) / ? AS INTEGER), CAST((a.longitude + 180) / ? AS INTEGER)) AS c"
        " JOIN asset AS b ON b.id = c.row"
    )
    return [_to_place(row) for row in await db.fetch_all(sql, (*parameters, *cell))]


def listing(box: Box, viewer: Viewer, *, is_dense: bool) -> Listing:
    """The shown assets in `box` by date; `is_dense` says that a large part of the library lies there."""
    index = "asset_date" if is_dense else "asset_position"
    where, parameters = _within(box, viewer)
    return from_terms(f"asset AS a INDEXED BY {index}", [where], [*parameters], ("a.date_key",), "a.id")


def _within(box: Box, viewer: Viewer) -> tuple[str, tuple[float | str | bytes, ...]]:
    joint = "AND" if box.west <= box.east else "OR"
    terms = [
        "a.latitude IS NOT NULL AND a.shown IN (1, 2) AND a.latitude BETWEEN ? AND ?",
        f"(a.longitude >= ? {joint} a.longitude <= ?)",
    ]
    seen = list[int | str | bytes]()
    add_viewer(terms, seen, viewer)
    return " AND ".join(terms), (box.south, box.north, box.west, box.east, *seen)


def _to_place(row: tuple[bytes, bytes | None, int, float, float, int, str | None]) -> Place:
    uid, sha256, changed_us, latitude, longitude, number, name = row
    return Place(AssetId(str(uuid.UUID(bytes=uid))), version_of(sha256, changed_us), latitude, longitude, number, name)
