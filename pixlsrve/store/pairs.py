"""Live photos: hiding the video half behind its photo."""

from __future__ import annotations

from collections.abc import Sequence

from pixlsrve.store.database import Transaction, marks


async def repair(tx: Transaction, folder_id: int, pair_key: str) -> list[int]:
    """Tie or untie what carries `pair_key` in a folder; gives the videos that are shown or hidden now."""
    rows = await tx.fetch_all(
        "SELECT id, kind FROM asset WHERE folder_id = ? AND pair_key = ? AND gone_us IS NULL "
        "AND (refusal_reason IS NULL OR shown > 0) ORDER BY id",
        (folder_id, pair_key),
    )
    photos = [row[0] for row in rows if row[1] == "photo"]
    videos = [row[0] for row in rows if row[1] == "video"]
    live = videos[0] if photos and videos else None
    await tx.execute_many("UPDATE asset SET live_asset_id = ? WHERE id = ?", ((live, photo) for photo in photos))
    for video in videos:
        of = photos[0] if video == live else None
        sql = "UPDATE asset SET live_of = ?, shown = CASE WHEN ? IS NULL THEN 2 ELSE 0 END WHERE id = ?"
        await tx.execute(sql, (of, of, video))
    return videos


async def keys_of(tx: Transaction, ids: Sequence[int]) -> set[tuple[int, str]]:
    """Folder and pair key of those assets that have one."""
    found: set[tuple[int, str]] = set()
    for start in range(0, len(ids), 500):
        chunk = ids[start : start + 500]
        sql = f"SELECT folder_id, pair_key FROM asset WHERE id IN ({marks(chunk)}) AND pair_key IS NOT NULL"  # noqa: S608
        found.update((row[0], row[1]) for row in await tx.fetch_all(sql, chunk))
    return found
