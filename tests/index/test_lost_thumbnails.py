"""Thumbnails can be made again from the photos (T39)."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from tests.index.library import make_photos, running_library


def count_thumbnails(data_dir: Path) -> int:
    with contextlib.closing(sqlite3.connect(data_dir / "thumbnails.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM thumbnail").fetchone()[0])


async def test_lost_thumbnails_are_made_again(tmp_path: Path) -> None:
    """Without its thumbnails database the next start makes every thumbnail anew and keeps the ids."""
    make_photos(tmp_path / "Photos", 4)
    async with running_library(tmp_path / "data", tmp_path / "Photos") as library:
        ids = await library.ids()
    before = count_thumbnails(tmp_path / "data")
    for path in (tmp_path / "data").glob("thumbnails.db*"):
        path.unlink()
    async with running_library(tmp_path / "data", tmp_path / "Photos") as library:
        assert await library.ids() == ids
    assert count_thumbnails(tmp_path / "data") == before > 0


async def test_one_lost_thumbnail_is_made_when_asked_for(tmp_path: Path) -> None:
    """A thumbnail that is missing though the index knows of it is made on the spot."""
    make_photos(tmp_path / "Photos", 2)
    async with running_library(tmp_path / "data", tmp_path / "Photos") as library:
        (asset_id, sha256), *_ = await library.rows("SELECT id, sha256 FROM asset")
        before = count_thumbnails(tmp_path / "data")
        with contextlib.closing(sqlite3.connect(tmp_path / "data/thumbnails.db")) as connection:
            connection.execute("DELETE FROM thumbnail WHERE sha256 = ?", (sha256,))
            connection.commit()
        await library.indexer.ensure_content(asset_id)
    assert count_thumbnails(tmp_path / "data") == before
