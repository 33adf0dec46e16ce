"""Claims of room for uploads."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pixlsrve.config import UploadsConfig
from pixlsrve.errors import StorageFull
from pixlsrve.media.uploads.room import MIB, Claim, Room
from pixlsrve.store.database import Database
from pixlsrve.store.migrate import migrate


async def test_claims_at_once_keep_to_the_quota_together(tmp_path: Path) -> None:
    """Of uploads that begin in one moment, only so many may come as the quota has room for (THREATS T32)."""
    migrate(tmp_path / "state.db", "state")
    config = UploadsConfig(quota_mb=10, reserve_mb=0)
    with ThreadPoolExecutor(2) as executor:
        async with Database.open(tmp_path / "state.db", durability="OFF") as state:
            room = Room(state, tmp_path, config, executor)
            asked = [room.claim("phone", 4 * MIB) for _ in range(5)]
            answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers].count(Claim) == 2
    assert [type(answer) for answer in answers].count(StorageFull) == 3
