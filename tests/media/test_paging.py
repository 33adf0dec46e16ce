"""Page numbers and cursors over lists of every length."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pixlsrve.errors import InvalidInput
from pixlsrve.media.paging import NEAR, Pager, PageRequest, cut
from pixlsrve.store import assets
from pixlsrve.store.assets import PhotoSort
from pixlsrve.store.database import Row
from tests.library import Shelf, open_shelf

COUNT = 3 * NEAR + 77


def row_id(row: Row) -> int:
    """The asset's row id."""
    return int(row[0])


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    """More photos in one folder than are stepped over; names and sizes repeat."""
    async with open_shelf(tmp_path) as made:
        folder = made.folder("Many")
        made.sql(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO asset (uuid, root_id, folder_id, name, sort_name, kind, shown, size_bytes, mtime_ns, device,"
            " inode, date_key, local_day, created_us, changed_us) SELECT randomblob(16), 1, ?, CAST(i AS BLOB),"
            " 'n' || (i * 7919 % 500), 'photo', 1, i * 31 % 400, 0, 0, i, i * 7919 % 1000003, 0, 0, 0 FROM n",
            COUNT,
            folder,
        )
        yield made


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", ["date", "name", "size"])
async def test_pages_are_slices_of_the_whole_wherever_they_lie(shelf: Shelf, sort: PhotoSort, descending: bool) -> None:
    """Front, middle and end of a long list give what slicing the whole list gives, also where keys repeat."""
    listing = assets.listing(sort=sort, folder_pk=shelf.folder("Many"))
    column = {"date": "date_key", "name": "sort_name, id", "size": "size_bytes, id"}[sort]
    whole = [int(str(row[0])) for row in shelf.sql(f"SELECT id FROM asset ORDER BY {column}")]  # noqa: S608  # fixed names
    if descending:
        whole.reverse()
    pager = Pager(shelf.index, shelf.version)
    for number in (1, 2, 20, 21, 22, 31, 32, 40, 41, 42, 59, 60, 61, 62, 63):
        page = await pager.page(
            listing, PageRequest(page=number, limit=100, descending=descending), row_id, identity=("test",)
        )
        assert page.items == whole[(number - 1) * 100 : number * 100], number
        assert page.total == COUNT
        assert (page.next_cursor is None) == (number >= page.total_pages)
        if page.next_cursor is not None:
            after = PageRequest(page=1, limit=100, cursor=page.next_cursor, descending=descending)
            assert (await pager.page(listing, after, row_id, identity=("test",))).items == whole[
                number * 100 : (number + 1) * 100
            ]


async def test_a_change_moves_the_pages_in_the_middle_too(shelf: Shelf) -> None:
    """Remembered places are given up when the library changes."""
    listing = assets.listing(sort="name", folder_pk=shelf.folder("Many"))
    pager = Pager(shelf.index, shelf.version)
    asked = PageRequest(page=30, limit=100)
    before = await pager.page(listing, asked, row_id, identity=("test",))
    shelf.sql("DELETE FROM asset WHERE id = (SELECT id FROM asset ORDER BY sort_name, id LIMIT 1)")
    after = await pager.page(listing, asked, row_id, identity=("test",))
    assert after.items[:-1] == before.items[1:]
    assert after.total == before.total - 1


def test_lists_in_memory_are_cut_the_same_way() -> None:
    """Pages of a list in memory follow each other by number and by cursor; other lists' cursors are refused."""
    items = [f"{number:03}" for number in range(25)]
    first = cut(items, str, PageRequest(page=1, limit=10), identity="a")
    second = cut(items, str, PageRequest(page=1, limit=10, cursor=first.next_cursor), identity="a")
    third = cut(items, str, PageRequest(page=3, limit=10), identity="a")
    assert first.items + second.items + third.items == items
    assert (second.page, third.next_cursor, third.total_pages) == (2, None, 3)
    with pytest.raises(InvalidInput):
        cut(items, str, PageRequest(page=1, limit=10, cursor=first.next_cursor), identity="b")
    empty: list[str] = []
    nothing = cut(empty, str, PageRequest(page=1, limit=10), identity="a")
    assert (nothing.items, nothing.total_pages, nothing.next_cursor) == ([], 0, None)
