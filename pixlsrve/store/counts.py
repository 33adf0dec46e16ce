"""Album totals, dates and covers, brought up to date for folders whose contents changed and those above them."""

from __future__ import annotations

import json
from collections.abc import Collection

from pixlsrve.store.database import Transaction
from pixlsrve.store.date_key import FIRST_KEYS_END, sort_us_sql

_ABOVE = """
    WITH RECURSIVE above (id, parent_id, height) AS (
        SELECT id, parent_id, 0 FROM folder WHERE id IN (SELECT value FROM json_each(?))
        UNION
        SELECT folder.id, folder.parent_id, above.height + 1 FROM folder JOIN above ON folder.id = above.parent_id
    )
    SELECT id FROM above GROUP BY id ORDER BY max(height)
"""
_OWN = "FROM asset WHERE folder_id = folder.id AND shown IN (1, 2)"


def _moment_sql(which: str) -> str:
    """The `min` or `max` of a folder's own moments; of those before all date keys the midnight of their day."""
    key, day = f"(SELECT {which}(date_key) {_OWN})", f"(SELECT {which}(local_day) {_OWN})"
    return f"CASE WHEN {key} < {FIRST_KEYS_END} THEN {day} * 86400000000 ELSE {sort_us_sql(key)} END"


_REFRESH = f"""
    UPDATE folder SET (total_count, earliest_us, latest_us, cover_asset_id) = (
        SELECT folder.photo_count + CAST(total(below.total_count) AS INTEGER),
            coalesce({_moment_sql("min")}, min(below.earliest_us)),
            coalesce({_moment_sql("max")}, max(below.latest_us)),
            coalesce(
                (SELECT id {_OWN} ORDER BY date_key DESC LIMIT 1),
                (SELECT cover_asset_id FROM folder AS album WHERE album.parent_id = folder.id AND album.gone_us IS NULL
                    AND album.cover_asset_id IS NOT NULL ORDER BY album.sort_name, album.id LIMIT 1)
            )
        FROM folder AS below WHERE below.parent_id = folder.id AND below.gone_us IS NULL AND below.total_count > 0
    )
    WHERE id = ?
"""  # noqa: S608  # only our own words


async def refresh(tx: Transaction, folder_ids: Collection[int]) -> None:
    """Recompute totals, dates and covers of these folders and of every folder above them, the lowest first."""
    if not folder_ids:
        return
    changed = json.dumps(sorted(folder_ids))
    await tx.execute_many(_REFRESH, await tx.fetch_all(_ABOVE, (changed,)))
