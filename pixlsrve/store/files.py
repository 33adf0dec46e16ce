"""Asset rows as the scanner sees them: places and sizes of files, not what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pixlsrve.store.database import Queries, Transaction, marks


class FileRow(NamedTuple):
    """One asset's place and what the file looked like there."""

    id: int
    uuid: bytes
    root_id: int
    folder_id: int
    name: bytes
    size_bytes: int
    mtime_ns: int
    device: int
    inode: int
    sha256: bytes | None
    missing_us: int | None
    gone_us: int | None
    folder_path: bytes

    @property
    def path(self) -> bytes:
        """Relative to the root."""
        return self.folder_path + b"/" + self.name if self.folder_path else self.name


_SELECT = """
    SELECT asset.id, asset.uuid, asset.root_id, asset.folder_id, asset.name, asset.size_bytes, asset.mtime_ns,
        asset.device, asset.inode, asset.sha256, asset.missing_us, asset.gone_us, folder.path
    FROM asset JOIN folder ON folder.id = asset.folder_id
"""


async def in_folder(queries: Queries, folder_id: int) -> list[FileRow]:
    """The live assets of a folder, missing ones included."""
    rows = await queries.fetch_all(_SELECT + "WHERE asset.folder_id = ? AND asset.gone_us IS NULL", (folder_id,))
    return [FileRow(*row) for row in rows]


class Seal(NamedTuple):
    """What tells whether a file is as it was."""

    id: int
    name: bytes
    size_bytes: int
    mtime_ns: int
    device: int
    inode: int
    missing_us: int | None


async def seals_in(queries: Queries, folder_id: int) -> list[Seal]:
    """The live assets of a folder, missing ones included, in few bytes each: a folder may hold very many."""
    sql = """
        SELECT id, name, size_bytes, mtime_ns, device, inode, missing_us FROM asset
        WHERE folder_id = ? AND gone_us IS NULL
    """
    return [Seal(*row) for row in await queries.fetch_all(sql, (folder_id,))]


async def by_uuid(queries: Queries, uuids: Sequence[bytes]) -> dict[bytes, FileRow]:
    """The assets with these public ids, gone ones included."""
    found: dict[bytes, FileRow] = {}
    for start in range(0, len(uuids), 500):
        chunk = uuids[start : start + 500]
        for row in await queries.fetch_all(_SELECT + f"WHERE asset.uuid IN ({marks(chunk)})", chunk):
            found[row[1]] = FileRow(*row)
    return found


async def by_ids(queries: Queries, ids: Sequence[int]) -> list[FileRow]:
    """The assets with these row ids."""
    found: list[FileRow] = []
    for start in range(0, len(ids), 500):
        chunk = ids[start : start + 500]
        rows = await queries.fetch_all(_SELECT + f"WHERE asset.id IN ({marks(chunk)})", chunk)
        found.extend(FileRow(*row) for row in rows)
    return found


async def with_inodes(queries: Queries, places: Sequence[tuple[int, int]]) -> list[FileRow]:
    """Assets last seen as one of these files (inode, device), live or gone."""
    found: list[FileRow] = []
    for start in range(0, len(places), 400):
        chunk = places[start : start + 400]
        values = ",".join(["(?,?)"] * len(chunk))
        sql = _SELECT + f"WHERE (asset.inode, asset.device) IN (VALUES {values})"
        rows = await queries.fetch_all(sql, [number for place in chunk for number in place])
        found.extend(FileRow(*row) for row in rows)
    return found


async def unhashed_with_size(queries: Queries, size_bytes: int, mtime_ns: int, after_id: int) -> list[FileRow]:
    """Live assets listed after `after_id` with this size whose content is not known yet, at most 20.

    Those with the same modification time come first.
    """
    sql = (
        _SELECT
        + "WHERE asset.size_bytes = ? AND asset.id > ? AND asset.sha256 IS NULL AND asset.gone_us IS NULL "
        + "AND asset.missing_us IS NULL ORDER BY asset.mtime_ns <> ?, asset.id DESC LIMIT 20"
    )
    return [FileRow(*row) for row in await queries.fetch_all(sql, (size_bytes, after_id, mtime_ns))]


async def gone_with_size(queries: Queries, size_bytes: int) -> list[FileRow]:
    """Assets of this size that are gone or missing and whose content is known, latest first, at most 20."""
    sql = (
        _SELECT
        + "WHERE asset.size_bytes = ? AND (asset.gone_us IS NOT NULL OR asset.missing_us IS NOT NULL) "
        + "AND asset.sha256 IS NOT NULL ORDER BY asset.gone_us DESC LIMIT 20"
    )
    return [FileRow(*row) for row in await queries.fetch_all(sql, (size_bytes,))]


async def has_lost(queries: Queries) -> bool:
    """Whether any asset is gone or missing, so that a new file could be one of them."""
    sql = """
        SELECT EXISTS (SELECT 1 FROM asset WHERE gone_us IS NOT NULL)
            OR EXISTS (SELECT 1 FROM asset WHERE missing_us IS NOT NULL)
    """
    row = await queries.fetch_one(sql)
    return bool(row and row[0])


async def younger_copy(queries: Queries, row: FileRow, since_us: int) -> FileRow | None:
    """A live asset with the same bytes that came after `row`: where a slow move went. None when there is none."""
    sql = (
        _SELECT
        + "WHERE asset.sha256 = ? AND asset.id > ? AND asset.gone_us IS NULL AND asset.missing_us IS NULL "
        + "AND (asset.created_us > ? OR asset.mtime_ns = ?) AND asset.created_us > ? - 86400000000 "
        + "ORDER BY asset.mtime_ns <> ?, asset.name <> ?, asset.id DESC LIMIT 1"
    )
    parameters = (row.sha256, row.id, since_us, row.mtime_ns, since_us, row.mtime_ns, row.name)
    found = await queries.fetch_one(sql, parameters)
    return None if found is None else FileRow(*found)


async def next_id(queries: Queries) -> int:
    """The first row id that was never used since the table began."""
    row = await queries.fetch_one("SELECT coalesce(max(id), 0) + 1 FROM asset")
    return int(row[0]) if row else 1


class NewFile(NamedTuple):
    """A row to insert; `date_key` must be free."""

    id: int
    uuid: bytes
    root_id: int
    folder_id: int
    name: bytes
    sort_name: str
    kind: str
    shown: int
    size_bytes: int
    mtime_ns: int
    device: int
    inode: int
    date_key: int
    local_day: int
    created_us: int


async def insert(tx: Transaction, rows: Iterable[NewFile]) -> None:
    """New assets, listed and not yet read."""
    sql = """
        INSERT INTO asset (id, uuid, root_id, folder_id, name, sort_name, kind, shown, size_bytes, mtime_ns, device,
            inode, date_key, local_day, created_us, changed_us)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15)
    """
    await tx.execute_many(sql, rows)


async def taken_date_keys(queries: Queries, keys: Sequence[int]) -> set[int]:
    """Which of these date keys are in use."""
    found: set[int] = set()
    for start in range(0, len(keys), 500):
        chunk = keys[start : start + 500]
        rows = await queries.fetch_all(f"SELECT date_key FROM asset WHERE date_key IN ({marks(chunk)})", chunk)  # noqa: S608
        found.update(row[0] for row in rows)
    return found


async def set_changed(tx: Transaction, rows: Iterable[tuple[int, int, int, int, str, int, int, int]]) -> None:
    """Files whose content may be new: size, time, device, inode, kind, shown, changed (microseconds), id."""
    sql = """
        UPDATE asset SET size_bytes = ?, mtime_ns = ?, device = ?, inode = ?, kind = ?, shown = ?, changed_us = ?,
            stage = 0, refusal_reason = NULL, refusal_message = NULL, missing_us = NULL, gone_us = NULL
        WHERE id = ?
    """
    await tx.execute_many(sql, rows)


async def set_seen(tx: Transaction, rows: Iterable[tuple[int, int, int]]) -> None:
    """Files that are where and what they were: device, inode, id. Missing ones are missing no more."""
    await tx.execute_many("UPDATE asset SET device = ?, inode = ?, missing_us = NULL WHERE id = ?", rows)


async def move(tx: Transaction, rows: Sequence[tuple[int, int, bytes, str, int, int, int, int, int]]) -> None:
    """Files that are at another place now: root, folder, name, sorting name, size, time, device, inode, id.

    Gone ones come back, hidden until `restore_shown`.
    """
    sql = """
        UPDATE asset SET root_id = ?, folder_id = ?, name = ?, sort_name = ?, size_bytes = ?, mtime_ns = ?,
            device = ?, inode = ?, missing_us = NULL, gone_us = NULL
        WHERE id = ?
    """
    # All leave their old places first, so that two that changed places don't meet.
    await tx.execute_many("UPDATE asset SET gone_us = 0 WHERE id = ?", ((row[-1],) for row in rows))
    await tx.execute_many(sql, rows)


async def restore_shown(tx: Transaction, ids: Iterable[int]) -> None:
    """Show assets again that had been hidden as gone."""
    sql = """
        UPDATE asset SET shown = CASE WHEN live_of IS NOT NULL THEN 0
            WHEN refusal_reason NOT IN ('no_preview', 'needs_memory') THEN 0
            WHEN kind = 'photo' THEN 1 WHEN kind = 'video' THEN 2 ELSE 3 END
        WHERE id = ? AND gone_us IS NULL
    """
    await tx.execute_many(sql, ((i,) for i in ids))


async def set_gone(tx: Transaction, ids: Sequence[int], now_us: int) -> None:
    """Files that were removed: hidden, kept for the case that they come back."""
    await tx.execute_many(
        "UPDATE asset SET gone_us = ?, missing_us = NULL, shown = 0 WHERE id = ?", ((now_us, i) for i in ids)
    )


async def set_missing(tx: Transaction, ids: Sequence[int], now_us: int) -> None:
    """Files that are not there while their root is offline: still shown."""
    sql = "UPDATE asset SET missing_us = coalesce(missing_us, ?), gone_us = NULL WHERE id = ?"
    await tx.execute_many(sql, ((now_us, i) for i in ids))


async def delete(tx: Transaction, ids: Sequence[int]) -> None:
    """Forget rows altogether."""
    await tx.execute_many("UPDATE asset SET live_asset_id = NULL WHERE live_asset_id = ?", ((i,) for i in ids))
    await tx.execute_many("UPDATE asset SET live_of = NULL WHERE live_of = ?", ((i,) for i in ids))
    await tx.execute_many("DELETE FROM asset WHERE id = ?", ((i,) for i in ids))


async def gone_since(queries: Queries, root_id: int, since_us: int) -> list[int]:
    """Assets of a root that were removed since then."""
    sql = "SELECT id FROM asset WHERE gone_us >= ? AND root_id = ?"
    return [row[0] for row in await queries.fetch_all(sql, (since_us, root_id))]


async def missing_in(queries: Queries, root_id: int) -> list[int]:
    """Assets of a root that are missing."""
    sql = "SELECT id FROM asset WHERE root_id = ? AND missing_us IS NOT NULL"
    return [row[0] for row in await queries.fetch_all(sql, (root_id,))]


async def count_live(queries: Queries, root_id: int) -> int:
    """Assets of a root that are not gone (missing, hidden and quarantined ones included)."""
    sql = "SELECT count(*) FROM asset WHERE folder_id IN (SELECT id FROM folder WHERE root_id = ?) AND gone_us IS NULL"
    row = await queries.fetch_one(sql, (root_id,))
    return int(row[0]) if row else 0


async def live_in_folders(queries: Queries, folder_ids: Sequence[int]) -> list[int]:
    """The live assets of these folders."""
    found: list[int] = []
    for start in range(0, len(folder_ids), 500):
        chunk = folder_ids[start : start + 500]
        sql = f"SELECT id FROM asset WHERE folder_id IN ({marks(chunk)}) AND gone_us IS NULL"  # noqa: S608
        found.extend(row[0] for row in await queries.fetch_all(sql, chunk))
    return found


async def forget_old(tx: Transaction, before_us: int, count: int) -> list[int]:
    """Drop up to `count` assets that were removed before then; their ids."""
    rows = await tx.fetch_all("SELECT id FROM asset WHERE gone_us < ? LIMIT ?", (before_us, count))
    ids = [row[0] for row in rows]
    await delete(tx, ids)
    return ids


async def retry_unreadable(tx: Transaction) -> None:
    """Give files another try that could not be opened last time."""
    await tx.execute("UPDATE asset SET stage = 0 WHERE refusal_reason = 'unreadable' AND gone_us IS NULL")


async def reread_all(tx: Transaction) -> None:
    """A full scan: read every file's header and content again, but not those that can't be decoded."""
    await tx.execute("UPDATE asset SET stage = 0 WHERE refusal_reason IS NULL AND gone_us IS NULL")


async def at_place(queries: Queries, folder_id: int, name: bytes) -> FileRow | None:
    """The live asset that has this place."""
    sql = _SELECT + "WHERE asset.folder_id = ? AND asset.name = ? AND asset.gone_us IS NULL"
    row = await queries.fetch_one(sql, (folder_id, name))
    return None if row is None else FileRow(*row)


async def is_place_taken(queries: Queries, folder_id: int, name: bytes) -> bool:
    """Whether a live asset has this place."""
    row = await queries.fetch_one(
        "SELECT 1 FROM asset WHERE folder_id = ? AND name = ? AND gone_us IS NULL", (folder_id, name)
    )
    return row is not None


async def sort_name(queries: Queries, asset_id: int) -> str:
    """The name that an asset sorts by."""
    row = await queries.fetch_one("SELECT sort_name FROM asset WHERE id = ?", (asset_id,))
    return str(row[0]) if row else ""
