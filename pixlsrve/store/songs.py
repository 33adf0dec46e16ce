"""Rows of device_song: what devices have, and what of it has been transferred.

A song is wanted unless its content is here (the same hash, or, where the device tells none, the same size and
modification time as when it was transferred), or this very version of it was refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from pixlsrve.store.database import Queries, Row, Transaction, marks

_COLUMNS = (
    "id, uuid, device_id, path, size_bytes, mtime_ns, sha256, title, artist, got_sha256, got_us, asset_uuid, root_id,"
    " stored_path, refused"
)
_CLAIM = "size_bytes || ':' || coalesce(mtime_ns, '')"
_WANTED = (
    "(got_sha256 IS NULL OR (sha256 IS NOT NULL AND sha256 <> got_sha256)"
    f" OR (sha256 IS NULL AND got_claim <> {_CLAIM}))"
    f" AND (refused IS NULL OR refused_claim <> {_CLAIM})"
)


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """What a device says of one of its files. `path` is as the device writes it."""

    path: str
    size_bytes: int
    mtime_ns: int | None = None
    sha256: bytes | None = None
    title: str | None = None
    artist: str | None = None


class Song(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a device. The last six fields tell of its transfer and are None before it."""

    id: int
    uuid: str
    device_id: int
    path: str
    size_bytes: int
    mtime_ns: int | None
    sha256: bytes | None
    title: str | None
    artist: str | None
    got_sha256: bytes | None
    got_us: int | None
    asset_uuid: str | None
    root_id: int | None
    stored_path: bytes | None
    refused: str | None

    @property
    def claim(self) -> str:
        """What the device says of this version of the file."""
        return f"{self.size_bytes}:{'' if self.mtime_ns is None else self.mtime_ns}"


class Got(msgspec.Struct, frozen=True, kw_only=True):
    """What a transfer brought, and where it is kept."""

    sha256: bytes
    at_us: int
    asset_uuid: str | None
    root_id: int
    stored_path: bytes


async def find(db: Queries, uuid: str) -> Song | None:
    """One song."""
    row = await db.fetch_one(f"SELECT {_COLUMNS} FROM device_song WHERE uuid = ?", (uuid,))  # noqa: S608  # fixed names
    return None if row is None else _to_song(row)


async def find_by_paths(db: Queries, device_id: int, paths: Sequence[str]) -> list[Song]:
    """The device's songs at these paths, as far as they are known."""
    sql = f"SELECT {_COLUMNS} FROM device_song WHERE device_id = ? AND path IN ({marks(paths)})"  # noqa: S608  # fixed names
    return [_to_song(row) for row in await db.fetch_all(sql, (device_id, *paths))]


async def find_page(db: Queries, device_id: int, *, after_id: int, limit: int) -> list[Song]:
    """The next songs of a device, in the order in which they became known."""
    sql = f"SELECT {_COLUMNS} FROM device_song WHERE device_id = ? AND id > ? ORDER BY id LIMIT ?"  # noqa: S608  # fixed names
    return [_to_song(row) for row in await db.fetch_all(sql, (device_id, after_id, limit))]


async def find_wanted(db: Queries, device_id: int, *, listing: int | None, after_id: int, limit: int) -> list[Song]:
    """The next songs that are to be transferred; only those of one listing where it is given."""
    sql = (
        f"SELECT {_COLUMNS} FROM device_song WHERE device_id = ? AND id > ? AND listed >= ? AND {_WANTED}"  # noqa: S608  # fixed names
        " ORDER BY id LIMIT ?"
    )
    rows = await db.fetch_all(sql, (device_id, after_id, 0 if listing is None else listing, limit))
    return [_to_song(row) for row in rows]


async def count_wanted(db: Queries, device_id: int, *, listing: int | None) -> tuple[int, int]:
    """How many songs are to be transferred, and their bytes."""
    sql = (
        "SELECT count(*), coalesce(sum(size_bytes), 0) FROM device_song"  # noqa: S608  # fixed names
        f" WHERE device_id = ? AND listed >= ? AND {_WANTED}"
    )
    row = await db.fetch_one(sql, (device_id, 0 if listing is None else listing))
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


async def count(db: Queries, device_id: int) -> int:
    """How many songs of a device are known."""
    row = await db.fetch_one("SELECT count(*) FROM device_song WHERE device_id = ?", (device_id,))
    return 0 if row is None else int(row[0])


async def next_listing(db: Queries, device_id: int) -> int:
    """The number of the device's next whole listing."""
    row = await db.fetch_one("SELECT coalesce(max(listed), 0) + 1 FROM device_song WHERE device_id = ?", (device_id,))
    return 1 if row is None else int(row[0])


async def save_listed(
    transaction: Transaction, device_id: int, songs: Iterable[tuple[str, Listed]], *, listing: int, at_us: int
) -> None:
    """What the device says of these files now, each with the id it gets if it is new; what is not said stays."""
    sql = (
        "INSERT INTO device_song (uuid, device_id, path, size_bytes, mtime_ns, sha256, title, artist, added_us, listed)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (device_id, path) DO UPDATE SET"
        " size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns, sha256 = excluded.sha256,"
        " title = coalesce(excluded.title, title), artist = coalesce(excluded.artist, artist),"
        " listed = max(listed, excluded.listed)"
    )
    rows = [
        (
            uuid,
            device_id,
            song.path,
            song.size_bytes,
            song.mtime_ns,
            song.sha256,
            song.title,
            song.artist,
            at_us,
            listing,
        )
        for uuid, song in songs
    ]
    await transaction.execute_many(sql, rows)


async def mark_listed(transaction: Transaction, songs: Iterable[int], listing: int) -> None:
    """These are in the listing as they were before."""
    await transaction.execute_many("UPDATE device_song SET listed = ? WHERE id = ?", [(listing, id_) for id_ in songs])


async def delete_unlisted(transaction: Transaction, device_id: int, listing: int, *, before_us: int) -> int:
    """Forget what was known before that time, is in no listing any more and was never transferred; how many."""
    sql = "DELETE FROM device_song WHERE device_id = ? AND listed < ? AND added_us < ? AND got_sha256 IS NULL"
    return await transaction.execute(sql, (device_id, listing, before_us))


async def adopt(transaction: Transaction, device_id: int) -> int:
    """Let songs whose content the device has transferred under another path have it too; how many."""
    same = "o.device_id = device_song.device_id AND o.got_sha256 = device_song.sha256"
    sql = (
        "UPDATE device_song SET (got_sha256, got_claim, got_us, asset_uuid, root_id, stored_path) ="  # noqa: S608  # fixed names
        f" (SELECT o.got_sha256, device_song.size_bytes || ':' || coalesce(device_song.mtime_ns, ''), o.got_us,"
        f" o.asset_uuid, o.root_id, o.stored_path FROM device_song AS o WHERE {same} LIMIT 1)"
        " WHERE device_id = ? AND sha256 IS NOT NULL AND (got_sha256 IS NULL OR got_sha256 <> sha256)"
        f" AND EXISTS (SELECT 1 FROM device_song AS o WHERE {same})"
    )
    return await transaction.execute(sql, (device_id,))


async def save_got(transaction: Transaction, song: Song, got: Got) -> None:
    """Note what was transferred."""
    sql = (
        "UPDATE device_song SET got_sha256 = ?, got_claim = ?, got_us = ?, asset_uuid = ?, root_id = ?,"
        " stored_path = ?, refused = NULL, refused_claim = NULL WHERE id = ?"
    )
    values = (got.sha256, song.claim, got.at_us, got.asset_uuid, got.root_id, got.stored_path, song.id)
    await transaction.execute(sql, values)


async def save_refused(transaction: Transaction, song: Song, reason: str) -> None:
    """Note that this version of a song is not wanted, and why."""
    sql = "UPDATE device_song SET refused = ?, refused_claim = ? WHERE id = ?"
    await transaction.execute(sql, (reason, song.claim, song.id))


def _to_song(row: Row) -> Song:
    return Song(
        id=row[0],
        uuid=row[1],
        device_id=row[2],
        path=row[3],
        size_bytes=row[4],
        mtime_ns=row[5],
        sha256=row[6],
        title=row[7],
        artist=row[8],
        got_sha256=row[9],
        got_us=row[10],
        asset_uuid=row[11],
        root_id=row[12],
        stored_path=row[13],
        refused=row[14],
    )
