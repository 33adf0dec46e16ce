"""Changes near names that are not UTF-8, at which the file watcher fails (DESIGN sections 4 and 7)."""

from __future__ import annotations

import os
from pathlib import Path

from pixlsrve.index.watcher import plan_watch
from tests.index.library import make_photo, running_library

FOLDER = os.fsdecode(b"caf\xe9")
FILE = os.fsdecode(b"\xe9t\xe9.jpg")


def test_only_folders_with_such_names_are_compared(tmp_path: Path) -> None:
    """An ordinary tree is watched as a whole; beside names that are not UTF-8 all other folders are still watched."""
    make_photo(tmp_path / "plain" / "a.jpg", 1)
    assert plan_watch(tmp_path) == (None, {})
    make_photo(tmp_path / "plain" / FOLDER / "inside" / "b.jpg", 2)
    make_photo(tmp_path / "other" / FILE, 3)
    make_photo(tmp_path / "far" / "away" / "c.jpg", 4)
    plan = plan_watch(tmp_path)
    assert plan.singly is not None
    assert set(plan.singly) == {tmp_path, tmp_path / "far", tmp_path / "far" / "away"}
    compared = {tmp_path / "plain", tmp_path / "plain" / FOLDER, tmp_path / "plain" / FOLDER / "inside"}
    assert set(plan.unwatched) == compared | {tmp_path / "other"}


async def test_changes_beside_such_names_arrive_by_themselves(tmp_path: Path) -> None:
    """What is added, changed or removed in folders with such names, and in new folders in them, is in the index."""
    root = tmp_path / "photos"
    make_photo(root / FOLDER / FILE, 1)
    make_photo(root / "plain" / "a.jpg", 2)
    async with running_library(tmp_path / "data", root) as library:
        expected = {f"{FOLDER}/{FILE}", "plain/a.jpg"}

        async def is_like_disk() -> bool:
            return set(await library.ids()) == expected

        await library.until(is_like_disk)
        for path in (f"{FOLDER}/new.jpg", f"{FOLDER}/deep/new.jpg", f"{FOLDER}/deep/later.jpg", "plain/new.jpg"):
            make_photo(root / path, 10 + len(expected))
            expected.add(path)
            await library.until(is_like_disk)
        (root / FOLDER / FILE).unlink()
        expected.remove(f"{FOLDER}/{FILE}")
        await library.until(is_like_disk)
        make_photo(root / "plain" / FILE, 3)
        expected.add(f"plain/{FILE}")
        await library.until(is_like_disk)
        size_bytes = make_photo(root / FOLDER / "new.jpg", 4, size=(90, 80)).stat().st_size

        async def has_new_size() -> bool:
            return bool(
                await library.rows("SELECT 1 FROM asset WHERE name = ? AND size_bytes = ?", b"new.jpg", size_bytes)
            )

        await library.until(has_new_size)
