"""Thumbnails from memory, from the database, and made on the spot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pixlsrve.errors import InvalidInput, NotFound
from pixlsrve.media.thumbnails import ThumbnailCache, parse_size
from tests.library import Shelf, jpeg, open_shelf


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    """An empty library."""
    async with open_shelf(tmp_path) as made:
        yield made


async def nothing(pk: int) -> None:
    """An indexer that reads nothing."""


async def test_memory_is_bounded_and_right(shelf: Shelf) -> None:
    """With room for one picture, many are served rightly in any order."""
    contents = {shelf.add(f"{number}.jpg", content=(data := jpeg((number * 60, 0, 0)))): data for number in range(4)}
    cache = ThumbnailCache(shelf.index, shelf.thumbnails, shelf.version, nothing, memory_bytes=1_500)
    for _ in range(2):
        for photo_id, data in contents.items():
            assert (await cache.get(photo_id, "small", viewer=None)).jpeg == data + b"200"
            assert cache._held_bytes <= 1_500


async def test_the_next_smaller_size_stands_in(shelf: Shelf) -> None:
    """A picture that was kept in one small size only is given for the larger ones: never enlarged."""
    photo_id = shelf.add("tiny.jpg", content=jpeg((1, 1, 1)))
    async with shelf.thumbnails.transaction() as tx:
        await tx.execute("DELETE FROM thumbnail WHERE side_px > 200")
    cache = ThumbnailCache(shelf.index, shelf.thumbnails, shelf.version, nothing)
    assert (await cache.get(photo_id, "large", viewer=None)).jpeg == jpeg((1, 1, 1)) + b"200"


async def test_a_removed_photo_is_gone_from_memory(shelf: Shelf) -> None:
    """A photo that left the library, or a root that is not the caller's any more, is not served from memory (T17)."""
    photo_id = shelf.add("a.jpg")
    cache = ThumbnailCache(shelf.index, shelf.thumbnails, shelf.version, nothing)
    await cache.get(photo_id, "small", viewer=frozenset({1}))
    with pytest.raises(NotFound):
        await cache.get(photo_id, "small", viewer=frozenset({2}))
    shelf.sql("UPDATE asset SET gone_us = 1, shown = 0")
    with pytest.raises(NotFound):
        await cache.get(photo_id, "small", viewer=None)


def test_sizes_are_understood_where_clients_put_them() -> None:
    """`size` counts, else what was appended to the version, else medium."""
    assert parse_size(None, "abc") == "medium"
    assert parse_size("large", "abc?size=small") == "large"
    assert parse_size(None, "abc?size=small") == "small"
    with pytest.raises(InvalidInput):
        parse_size(None, "abc?size=gigantic")
