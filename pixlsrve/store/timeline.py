"""How many photos and videos each local day has."""

from __future__ import annotations

from pixlsrve.store.assets import Viewer, add_viewer
from pixlsrve.store.database import Queries


async def days(db: Queries, viewer: Viewer) -> list[tuple[int, int]]:
    """Days since 1970-01-01 that have any, oldest first, and how many."""
    terms, parameters = ["a.shown IN (1, 2)"], list[int | str | bytes]()
    add_viewer(terms, parameters, viewer)
    sql = (
        "SELECT a.local_day, count(*) FROM asset AS a INDEXED BY asset_day"  # noqa: S608  # literals
        f" WHERE {' AND '.join(terms)} GROUP BY a.local_day ORDER BY a.local_day"
    )
    return [(row[0], row[1]) for row in await db.fetch_all(sql, parameters)]
