"""Asset rows as the pipeline sees them: what is still to be read, and what reading gave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pixlsrve.store.database import Queries, Transaction, marks


class WorkRow(NamedTuple):
    """One file that is to be read."""

    id: int
    uuid: bytes
    root_id: int
    folder_id: int
    folder_path: bytes
    folder_uuid: bytes
    name: bytes
    kind: str
    stage: int
    size_bytes: int
    mtime_ns: int
    date_key: int
    sha256: bytes | None
    has_thumbnail: int
    refusal_reason: str | None
    facts: bytes | None

    @property
    def path(self) -> bytes:
        """Relative to the root."""
        return self.folder_path + b"/" + self.name if self.folder_path else self.name


_SELECT = """
    SELECT asset.id, asset.uuid, asset.root_id, asset.folder_id, folder.path, folder.uuid, asset.name, asset.kind,
        asset.stage, asset.size_bytes, asset.mtime_ns, asset.date_key, asset.sha256, asset.has_thumbnail,
        asset.refusal_reason, asset.facts
    FROM asset JOIN folder ON folder.id = asset.folder_id
"""


async def unread(queries: Queries, after_id: int, count: int) -> list[WorkRow]:
    """Files whose header is to be read, in the order they were listed."""
    sql = (
        _SELECT
        + "WHERE asset.stage = 0 AND asset.gone_us IS NULL AND asset.missing_us IS NULL AND asset.id > ? "
        + "ORDER BY asset.id LIMIT ?"
    )
    return [WorkRow(*row) for row in await queries.fetch_all(sql, (after_id, count))]


async def undecoded(queries: Queries, before_key: int, count: int) -> list[WorkRow]:
    """Files whose content is to be read, newest first."""
    sql = (
        _SELECT
        + "WHERE asset.stage = 1 AND asset.gone_us IS NULL AND asset.missing_us IS NULL AND asset.date_key < ? "
        + "ORDER BY asset.date_key DESC LIMIT ?"
    )
    return [WorkRow(*row) for row in await queries.fetch_all(sql, (before_key, count))]


async def work_rows(queries: Queries, ids: Sequence[int]) -> list[WorkRow]:
    """These assets, where their files are there."""
    sql = _SELECT + f"WHERE asset.id IN ({marks(ids)}) AND asset.gone_us IS NULL AND asset.missing_us IS NULL"
    return [WorkRow(*row) for row in await queries.fetch_all(sql, ids)]


async def remaining(queries: Queries) -> tuple[int, int]:
    """How many headers and how many contents are still to be read."""
    sql = """
        SELECT (SELECT count(*) FROM asset WHERE stage = 0 AND gone_us IS NULL AND missing_us IS NULL),
            (SELECT count(*) FROM asset WHERE stage = 1 AND gone_us IS NULL AND missing_us IS NULL)
    """
    row = await queries.fetch_one(sql)
    return (0, 0) if row is None else (row[0], row[1])


async def quarantined(queries: Queries) -> int:
    """How many files can't be decoded."""
    row = await queries.fetch_one(
        "SELECT count(*) FROM asset WHERE refusal_reason IS NOT NULL AND shown = 0 AND gone_us IS NULL"
    )
    return 0 if row is None else int(row[0])


class FactsRow(NamedTuple):
    """What a header gave, in the order of the statement's parameters."""

    kind: str
    shown: int
    date_key: int
    local_day: int
    format: str
    camera: str | None
    lens: str | None
    iso: int | None
    latitude: float | None
    longitude: float | None
    place: str | None
    facts: bytes
    pair_key: str | None
    id: int
    size_bytes: int
    mtime_ns: int


async def put_facts(tx: Transaction, rows: Iterable[FactsRow]) -> None:
    """Headers that were read; rows whose file has changed since are left alone."""
    sql = """
        UPDATE asset SET stage = 1, kind = ?, shown = ?, date_key = ?, local_day = ?, format = ?, camera = ?, lens = ?,
            iso = ?, latitude = ?, longitude = ?, place = ?, facts = ?, pair_key = ?,
            refusal_reason = NULL, refusal_message = NULL
        WHERE id = ? AND size_bytes = ? AND mtime_ns = ? AND gone_us IS NULL
    """
    await tx.execute_many(sql, rows)


async def refuse(tx: Transaction, rows: Iterable[tuple[int, str, str, bool, int]]) -> None:
    """Files that can't be decoded: stage to go on from, reason, message, is hidden for it, id."""
    sql = """
        UPDATE asset SET stage = ?, refusal_reason = ?, refusal_message = ?, shown = CASE WHEN ? THEN 0 ELSE shown END
        WHERE id = ?
    """
    await tx.execute_many(sql, rows)


async def put_content(tx: Transaction, rows: Iterable[tuple[bytes, bytes | None, int, bytes | None, int]]) -> None:
    """Contents that were read: SHA-256, thumbhash, has a thumbnail, facts, id."""
    sql = """
        UPDATE asset SET stage = 2, sha256 = ?, thumbhash = ?, has_thumbnail = ?, facts = coalesce(?, facts)
        WHERE id = ? AND stage < 2
    """
    await tx.execute_many(sql, rows)


async def put_hash(tx: Transaction, asset_id: int, size_bytes: int, mtime_ns: int, sha256: bytes) -> bool:
    """The hash of a file whose content has not been read; False when it has been, or the file is another by now."""
    sql = """
        UPDATE asset SET sha256 = ?
        WHERE id = ? AND size_bytes = ? AND mtime_ns = ? AND stage < 2 AND sha256 IS NULL AND gone_us IS NULL
    """
    return await tx.execute(sql, (sha256, asset_id, size_bytes, mtime_ns)) > 0


async def put_same_content(tx: Transaction, ids: Iterable[int]) -> None:
    """Files that were touched, and whose bytes are the old ones."""
    await tx.execute_many("UPDATE asset SET stage = 2 WHERE id = ?", ((i,) for i in ids))


async def still_as(queries: Queries, rows: Sequence[WorkRow]) -> set[int]:
    """The ids of those rows that nobody has read since, and whose file is still the same in the index."""
    sql = f"SELECT id, stage, size_bytes, mtime_ns FROM asset WHERE id IN ({marks(rows)}) AND gone_us IS NULL"  # noqa: S608
    now = {row[0]: row[1:] for row in await queries.fetch_all(sql, [row.id for row in rows])}
    return {row.id for row in rows if now.get(row.id) == (row.stage, row.size_bytes, row.mtime_ns)}


async def folders_with_stale_words(queries: Queries, folder_id: int, after_id: int, count: int) -> list[int]:
    """Assets of a folder whose words are to be written again."""
    sql = "SELECT id FROM asset WHERE folder_id = ? AND id > ? AND shown > 0 ORDER BY id LIMIT ?"
    return [row[0] for row in await queries.fetch_all(sql, (folder_id, after_id, count))]


async def shown(queries: Queries) -> int:
    """Photos and videos in the library."""
    row = await queries.fetch_one("SELECT coalesce(sum(item_count), 0) FROM root")
    return 0 if row is None else int(row[0])


async def newest_unread(queries: Queries, count: int) -> list[int]:
    """The files listed last among those whose header is to be read."""
    sql = "SELECT id FROM asset WHERE stage = 0 AND gone_us IS NULL AND missing_us IS NULL ORDER BY id DESC LIMIT ?"
    return [row[0] for row in await queries.fetch_all(sql, (count,))]


async def unnamed(queries: Queries, after_id: int, count: int) -> list[tuple[int, float, float]]:
    """Assets with a position and no place: id, latitude, longitude."""
    sql = """
        SELECT id, latitude, longitude FROM asset
        WHERE id > ? AND latitude IS NOT NULL AND place IS NULL AND shown IN (1, 2) ORDER BY id LIMIT ?
    """
    return [(row[0], row[1], row[2]) for row in await queries.fetch_all(sql, (after_id, count))]


async def set_places(tx: Transaction, rows: Iterable[tuple[str, int]]) -> None:
    """Readable places: label, asset id."""
    await tx.execute_many("UPDATE asset SET place = ? WHERE id = ?", rows)


async def reopen(tx: Transaction, asset_id: int) -> None:
    """An asset whose thumbnails were lost: its content is to be read again."""
    await tx.execute("UPDATE asset SET stage = 1, has_thumbnail = 0 WHERE id = ? AND stage = 2", (asset_id,))


async def reopen_all(tx: Transaction) -> None:
    """The same for all of them."""
    await tx.execute("UPDATE asset SET stage = 1, has_thumbnail = 0 WHERE has_thumbnail = 1 AND gone_us IS NULL")
