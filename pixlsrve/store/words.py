"""Writing the full-text table: the words of each shown asset under its date key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pixlsrve.store.database import Queries, Transaction, marks


class WordSource(NamedTuple):
    """What an asset's words are made from. `facts` is model.Facts as MessagePack."""

    id: int
    date_key: int
    shown: int
    name: bytes
    folder_path: bytes
    facts: bytes | None
    local_day: int
    latitude: float | None
    longitude: float | None


async def sources(queries: Queries, ids: Sequence[int]) -> list[WordSource]:
    """The sources of these assets' words."""
    found: list[WordSource] = []
    for start in range(0, len(ids), 500):
        chunk = ids[start : start + 500]
        sql = f"""
            SELECT asset.id, asset.date_key, asset.shown, asset.name, folder.path, asset.facts, asset.local_day,
                asset.latitude, asset.longitude
            FROM asset JOIN folder ON folder.id = asset.folder_id WHERE asset.id IN ({marks(chunk)})
        """  # noqa: S608  # only question marks
        found.extend(WordSource(*row) for row in await queries.fetch_all(sql, chunk))
    return found


async def remove(tx: Transaction, date_keys: Iterable[int]) -> None:
    """Take assets out of the search."""
    await tx.execute_many("DELETE FROM search WHERE rowid = ?", ((key,) for key in date_keys))


async def put(tx: Transaction, rows: Iterable[tuple[int, str, str, str, str, str, str, str]]) -> None:
    """Date key and the seven columns of each asset; nothing may be there under that key."""
    sql = """
        INSERT INTO search (rowid, name, folder, camera, lens, place, dates, extra) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    """
    await tx.execute_many(sql, rows)


async def date_keys(queries: Queries, ids: Sequence[int]) -> list[int]:
    """The date keys of these assets."""
    found: list[int] = []
    for start in range(0, len(ids), 500):
        chunk = ids[start : start + 500]
        sql = f"SELECT date_key FROM asset WHERE id IN ({marks(chunk)})"  # noqa: S608  # only question marks
        found.extend(row[0] for row in await queries.fetch_all(sql, chunk))
    return found
