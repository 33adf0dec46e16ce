"""Album totals, dates and covers, brought up to date for folders whose contents changed and those above them."""

from __future__ import annotations

from collections.abc import Iterable

from pixlsrve.store.database import Transaction
from pixlsrve.store.date_key import sort_us_of


async def refresh(tx: Transaction, folder_ids: Iterable[int]) -> None:
    """Recompute totals, dates and covers of these folders and of every folder above them."""
    pending = set(folder_ids)
    depth_of: dict[int, int] = {}
    parents: dict[int, int | None] = {}
    for folder_id in pending:
        await _climb(tx, folder_id, parents)
    for folder_id in parents:
        depth_of[folder_id] = _depth(folder_id, parents)
    for folder_id in sorted(parents, key=depth_of.__getitem__, reverse=True):
        await _refresh_one(tx, folder_id)


async def _climb(tx: Transaction, folder_id: int, parents: dict[int, int | None]) -> None:
    """Note the parents of a folder up to its root."""
    current: int | None = folder_id
    while current is not None and current not in parents:
        row = await tx.fetch_one("SELECT parent_id FROM folder WHERE id = ?", (current,))
        if row is None:
            return
        parents[current] = row[0]
        current = row[0]


def _depth(folder_id: int, parents: dict[int, int | None]) -> int:
    depth, current = 0, parents.get(folder_id)
    while current is not None:
        depth, current = depth + 1, parents.get(current)
    return depth


async def _refresh_one(tx: Transaction, folder_id: int) -> None:
    """One folder, from its own photos and the folders directly in it."""
    sql = """
        SELECT
            (SELECT min(date_key) FROM asset WHERE folder_id = ?1 AND shown IN (1, 2)),
            (SELECT max(date_key) FROM asset WHERE folder_id = ?1 AND shown IN (1, 2)),
            (SELECT id FROM asset WHERE folder_id = ?1 AND shown IN (1, 2) ORDER BY date_key DESC LIMIT 1),
            total(total_count), min(earliest_us), max(latest_us),
            (SELECT cover_asset_id FROM folder WHERE parent_id = ?1 AND gone_us IS NULL AND cover_asset_id IS NOT NULL
                ORDER BY sort_name, id LIMIT 1)
        FROM folder WHERE parent_id = ?1 AND gone_us IS NULL AND total_count > 0
    """
    row = await tx.fetch_one(sql, (folder_id,))
    if row is None:
        return
    first, last, cover, below_count, below_first, below_last, below_cover = row
    has_own = first is not None
    await tx.execute(
        "UPDATE folder SET total_count = photo_count + ?, earliest_us = ?, latest_us = ?, cover_asset_id = ? "
        "WHERE id = ?",
        (
            int(below_count),
            sort_us_of(first) if has_own else below_first,
            sort_us_of(last) if has_own else below_last,
            cover if has_own else below_cover,
            folder_id,
        ),
    )
