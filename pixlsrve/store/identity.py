"""Rows that say which id a thing at a place has where that isn't the derived one (state database)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from pixlsrve.store.database import Queries, Transaction, marks

What = Literal["asset", "album"]
_TABLES = {"asset": "asset_identity", "album": "album_identity"}


async def written_ids(state: Queries, what: What, root_id: int, paths: Sequence[bytes]) -> dict[bytes, bytes]:
    """The written-down ids among the things at `paths` below a root."""
    table = _TABLES[what]
    found: dict[bytes, bytes] = {}
    for start in range(0, len(paths), 500):
        chunk = paths[start : start + 500]
        sql = f"SELECT path, uuid FROM {table} WHERE root_id = ? AND path IN ({marks(chunk)})"  # noqa: S608  # from a list
        found.update((row[0], row[1]) for row in await state.fetch_all(sql, (root_id, *chunk)))
    return found


async def write_ids(tx: Transaction, what: What, rows: Iterable[tuple[int, bytes, bytes]]) -> None:
    """Write down ids: root id, path, uuid."""
    sql = f"INSERT INTO {_TABLES[what]} (root_id, path, uuid) VALUES (?, ?, ?)"  # noqa: S608  # from a list
    await tx.execute_many(sql + " ON CONFLICT (root_id, path) DO UPDATE SET uuid = excluded.uuid", rows)
