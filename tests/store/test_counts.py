"""Totals, dates and covers of albums."""

from __future__ import annotations

from pathlib import Path

from pixlsrve.model import AlbumId
from pixlsrve.store import albums
from tests.library import Shelf, at, open_shelf


async def _dates(shelf: Shelf, path: str) -> tuple[int | None, int | None]:
    await shelf.settle()
    album = await albums.find(shelf.index, AlbumId(shelf.album_id(path)), None)
    assert album is not None
    return album.earliest_us, album.latest_us


async def test_dates_of_an_album_older_than_photography(tmp_path: Path) -> None:
    """Scans of old works give their album their own day, and not the first one that date keys can tell."""
    async with open_shelf(tmp_path) as shelf:
        shelf.add("Old/map.jpg", taken="1650-03-04T12:00:00")
        shelf.add("Old/view.jpg", taken="1790-05-06T12:00:00")
        assert await _dates(shelf, "Old") == (at("1650-03-04T00:00:00"), at("1790-05-06T00:00:00"))
        shelf.add("Old/photo.jpg", taken="1890-07-08T12:00:00")
        assert await _dates(shelf, "Old") == (at("1650-03-04T00:00:00"), at("1890-07-08T12:00:00"))
        assert await _dates(shelf, "") == await _dates(shelf, "Old")
