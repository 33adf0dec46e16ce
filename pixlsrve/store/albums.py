"""Reading albums: folders with photos in or below them."""

from __future__ import annotations

import uuid
from typing import Literal

import msgspec

from pixlsrve.model import AlbumId, AssetId
from pixlsrve.store.assets import Viewer, version_of
from pixlsrve.store.database import Queries, Row, marks
from pixlsrve.store.listing import Listing

AlbumSort = Literal["name", "date", "photo_count"]

_IS_ALBUM = "f.total_count > 0 AND f.gone_us IS NULL"
_COLUMNS = (
    "f.id, f.uuid, f.root_id, p.uuid, f.path, f.name, f.photo_count, f.size_bytes, f.total_count, f.earliest_us,"
    " f.latest_us, c.uuid, c.sha256, c.changed_us"
)
_JOINS = (
    "LEFT JOIN folder AS p ON p.id = f.parent_id LEFT JOIN asset AS c ON c.id = f.cover_asset_id AND c.shown IN (1, 2)"
)
_KEYS: dict[AlbumSort, tuple[str, ...]] = {
    "name": ("f.sort_name", "f.id"),
    "date": ("f.latest_us", "f.id"),
    "photo_count": ("f.photo_count", "f.id"),
}


class Album(msgspec.Struct, frozen=True, kw_only=True):
    """One folder as an album. `path` is relative to the root, raw bytes; counts are of photos and videos."""

    pk: int
    id: AlbumId
    root_id: int
    parent_id: AlbumId | None
    path: bytes
    name: str
    photo_count: int
    size_bytes: int
    total_count: int
    """With all folders below."""
    earliest_us: int | None
    latest_us: int | None
    cover_id: AssetId | None
    cover_version: str | None


def to_album(row: Row) -> Album:
    """The album of one row of this module's columns."""
    (pk, uid, root_id, parent, path, name, photo_count, size_bytes, total_count, earliest_us, latest_us,
     cover, cover_sha256, cover_changed_us) = row  # fmt: skip
    return Album(
        pk=pk,
        id=AlbumId(str(uuid.UUID(bytes=uid))),
        root_id=root_id,
        parent_id=None if parent is None else AlbumId(str(uuid.UUID(bytes=parent))),
        path=path,
        name=name,
        photo_count=photo_count,
        size_bytes=size_bytes,
        total_count=total_count,
        earliest_us=earliest_us,
        latest_us=latest_us,
        cover_id=None if cover is None else AssetId(str(uuid.UUID(bytes=cover))),
        cover_version=None if cover is None else version_of(cover_sha256, cover_changed_us),
    )


def listing(*, sort: AlbumSort, viewer: Viewer) -> Listing:
    """All albums that may be seen, nested ones too."""
    where, parameters = _IS_ALBUM, list[int | str | bytes]()
    if sort == "date":
        # The index has the bare column, and a row-value comparison never holds for NULL: both must never be missing.
        where += " AND f.latest_us IS NOT NULL"
    if viewer is not None:
        where += f" AND f.root_id IN ({marks(viewer)})"
        parameters.extend(sorted(viewer))
    return Listing(
        source="folder AS f",
        where=where,
        parameters=tuple(parameters),
        key=_KEYS[sort],
        row_id="f.id",
        columns=_COLUMNS,
        joins=f"JOIN folder AS f ON f.id = chosen.row {_JOINS}",
    )


async def find(db: Queries, album_id: AlbumId, viewer: Viewer) -> Album | None:
    """The album with this id, or None when there is none or it may not be seen."""
    sql = f"SELECT {_COLUMNS} FROM folder AS f {_JOINS} WHERE f.uuid = ? AND {_IS_ALBUM}"  # noqa: S608  # literals
    row = await db.fetch_one(sql, (uuid.UUID(album_id).bytes,))
    album = None if row is None else to_album(row)
    return album if album is None or viewer is None or album.root_id in viewer else None


async def below(db: Queries, parent_pk: int) -> list[Album]:
    """The albums directly in a folder, by name."""
    sql = (
        f"SELECT {_COLUMNS} FROM folder AS f {_JOINS} WHERE f.parent_id = ? AND {_IS_ALBUM} ORDER BY f.sort_name, f.id"  # noqa: S608  # literals
    )
    return [to_album(row) for row in await db.fetch_all(sql, (parent_pk,))]


async def totals(db: Queries, viewer: Viewer) -> dict[int, tuple[int, int]]:
    """Photos and videos, and their bytes, by root that may be seen."""
    rows = await db.fetch_all("SELECT id, item_count, size_bytes FROM root")
    return {row[0]: (row[1], row[2]) for row in rows if viewer is None or row[0] in viewer}
