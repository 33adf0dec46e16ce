"""Looking for uploads that a crash caught without a record."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

from pixlsrve.errors import Unavailable
from pixlsrve.media.roots import Root
from pixlsrve.media.uploads.leftovers import Leftovers
from pixlsrve.media.uploads.shelf import Shelf
from pixlsrve.store import uploads as rows
from pixlsrve.store.database import Database


async def test_a_search_that_fails_fails_no_upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database too busy to answer at the start costs the search, and none of the uploads that come later."""

    async def refuse(state: Database) -> NoReturn:
        raise Unavailable("The query took too long; narrow it down.", reason="too_slow")

    monkeypatch.setattr(rows, "last_stored_us", refuse)
    root = Root(id=1, uid=b"", path=tmp_path, name="Uploads", is_uploads=True)
    with ThreadPoolExecutor(1) as executor:
        async with Database.open(tmp_path / "state.db", durability="OFF") as state:
            leftovers = Leftovers(Shelf(tmp_path), state, root, executor)
            leftovers.begin()
            assert await leftovers.of_size(5) == []
            await leftovers.close()
