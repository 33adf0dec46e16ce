"""Every list of assets by way of an index that is really there."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import get_args

from pixlsrve.model import Kind
from pixlsrve.store import assets, search
from pixlsrve.store.assets import Kinds, PhotoSort
from pixlsrve.store.listing import count, every_nth_key, rows
from pixlsrve.store.search import AlbumTree, Conditions
from tests.library import open_shelf

KINDS: tuple[Kinds, ...] = (None, "photo", "video", "audio")


async def test_every_list_of_assets_can_be_read(tmp_path: Path) -> None:
    """All sorts, kinds, days, folders and viewers give what plain filtering gives, both ways and by count."""
    async with open_shelf(tmp_path) as shelf:
        for number in range(12):
            kind = (Kind.PHOTO, Kind.VIDEO, Kind.AUDIO)[number % 3]
            shelf.add(f"A/{number}.x", kind=kind, taken=f"2023-01-{number + 1:02}T12:00:00", root_id=1 + number % 2)
        folder = shelf.folder("A")
        sorts: tuple[PhotoSort, ...] = get_args(PhotoSort)
        days = ((None, None), (19360, None), (None, 19362), (19359, 19363))
        viewers = (None, frozenset({1}), frozenset[int]())
        for sort, kind_, place, span, viewer in itertools.product(sorts, KINDS, (None, folder), days, viewers):
            listing = assets.listing(sort=sort, kind=kind_, folder_pk=place, days=span, viewer=viewer)
            forth = [row[0] for _, row in await rows(shelf.index, listing, descending=False, limit=99)]
            back = [row[0] for _, row in await rows(shelf.index, listing, descending=True, limit=99)]
            wanted = "shown IN (1, 2)" if kind_ is None else f"kind = '{kind_}'"
            plain = shelf.sql(
                f"SELECT id FROM asset WHERE {wanted} AND local_day BETWEEN ? AND ?",  # noqa: S608  # fixed words
                span[0] or 0,
                span[1] or 99999,
            )
            expected = {int(str(row[0])) for row in plain}
            if place is not None:
                expected &= {int(str(row[0])) for row in shelf.sql("SELECT id FROM asset WHERE folder_id = ?", place)}
            if viewer is not None:
                seen = shelf.sql("SELECT id, root_id FROM asset")
                expected &= {int(str(row[0])) for row in seen if row[1] in viewer}
            assert set(forth) == expected
            assert back == forth[::-1]
            assert await count(shelf.index, listing) == len(expected)
            assert len(await every_nth_key(shelf.index, listing, 1)) == len(expected)


async def test_every_search_can_be_run(tmp_path: Path) -> None:
    """With and without words, all filters together or apart are statements that SQLite takes."""
    async with open_shelf(tmp_path) as shelf:
        shelf.add("A/B/one.jpg")
        trees = (
            None,
            AlbumTree(root_id=1, path=b"A", total_count=1, key_bounds=(0, 2**62)),
            AlbumTree(root_id=1, path=b"A", total_count=10**6),
            AlbumTree(root_id=1, path=b"", total_count=1),
        )
        kind_sets = (frozenset[str](), frozenset({"photo", "video"}), frozenset({"audio", "photo"}))
        for match, kind, kinds, album, days in itertools.product(
            (None, '"one"*'), KINDS, kind_sets, trees, ((None, None), (19553, 19553))
        ):
            asked = Conditions(match=match, kind=kind, kinds=kinds, album=album, days=days, formats=frozenset({"jpeg"}))
            listing = search.listing(asked)
            found = await rows(shelf.index, listing, descending=True, limit=9)
            assert len(found) == (0 if kind in ("video", "audio") else 1)
            assert await count(shelf.index, listing) == len(found)


async def test_long_lists_come_without_sorting(tmp_path: Path) -> None:
    """The lists that grow with the library are walked in the order of an index, and so is a search by words."""
    async with open_shelf(tmp_path) as shelf:
        listings = [assets.listing(sort=sort, folder_pk=pk) for sort in get_args(PhotoSort) for pk in (None, 1)]
        listings += [assets.listing(sort="date", kind=kind, folder_pk=pk) for kind in KINDS for pk in (None, 1)]
        listings.append(assets.listing(sort="date", days=(1, 20000)))
        listings.append(search.listing(Conditions(match="one")))
        for listing in listings:
            order = ", ".join(f"{column} DESC" for column in listing.key)
            plan = shelf.sql(
                f"EXPLAIN QUERY PLAN SELECT {listing.row_id} FROM {listing.source} WHERE {listing.where}"  # noqa: S608  # literals
                f" ORDER BY {order} LIMIT 9",
                *listing.parameters,
            )
            assert not any("TEMP B-TREE" in str(row) for row in plan), (listing.source, plan)
