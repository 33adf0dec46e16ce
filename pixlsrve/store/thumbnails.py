"""Thumbnails by content (the thumbnails database), and which content an asset's thumbnail has (the index)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import NamedTuple

from pixlsrve.model import AssetId
from pixlsrve.store.database import Queries, Transaction


class Subject(NamedTuple):
    """What decides about an asset's thumbnail. `refusal_reason` is set where the file can't be decoded, `is_offline`
    where its disk is not there."""

    pk: int
    root_id: int
    is_shown: bool
    stage: int
    sha256: bytes | None
    has_thumbnail: bool
    refusal_reason: str | None
    is_offline: bool


async def subject(index: Queries, asset_id: AssetId) -> Subject | None:
    """What is known of the asset with this id, hidden ones included; None when there is none or its file is gone."""
    sql = (
        "SELECT a.id, a.root_id, a.shown > 0, a.stage, a.sha256, a.has_thumbnail, a.refusal_reason,"
        " r.state = 'offline' OR a.missing_us IS NOT NULL FROM asset AS a JOIN root AS r ON r.id = a.root_id"
        " WHERE a.uuid = ? AND a.gone_us IS NULL"
    )
    row = await index.fetch_one(sql, (uuid.UUID(asset_id).bytes,))
    if row is None:
        return None
    pk, root_id, is_shown, stage, sha256, has_thumbnail, refusal_reason, is_offline = row
    return Subject(pk, root_id, bool(is_shown), stage, sha256, bool(has_thumbnail), refusal_reason, bool(is_offline))


async def find(thumbnails: Queries, sha256: bytes, side_px: int) -> bytes | None:
    """The JPEG of this content that fits a box of `side_px`: that very one, else the next smaller."""
    sql = "SELECT jpeg FROM thumbnail WHERE sha256 = ? AND side_px <= ? ORDER BY side_px DESC LIMIT 1"
    row = await thumbnails.fetch_one(sql, (sha256, side_px))
    return None if row is None else row[0]


async def put(tx: Transaction, rows: Iterable[tuple[bytes, int, bytes]]) -> None:
    """Keep JPEGs: SHA-256 of the content, side of the box, bytes. Those of known contents are replaced."""
    sql = (
        "INSERT INTO thumbnail (sha256, side_px, jpeg) VALUES (?, ?, ?)"
        " ON CONFLICT (sha256, side_px) DO UPDATE SET jpeg = excluded.jpeg"
    )
    await tx.execute_many(sql, rows)


async def remove(tx: Transaction, sha256s: Iterable[bytes]) -> None:
    """Forget the thumbnails of these contents."""
    await tx.execute_many("DELETE FROM thumbnail WHERE sha256 = ?", [(sha256,) for sha256 in sha256s])


async def is_empty(thumbnails: Queries) -> bool:
    """Whether no thumbnail is kept at all."""
    return await thumbnails.fetch_one("SELECT 1 FROM thumbnail LIMIT 1") is None
