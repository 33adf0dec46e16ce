"""Ids belong to the content in its place in the library (DESIGN section 4, T39)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.index.library import make_photo, make_photos, running_library

WHERE_IS = """
    SELECT asset.uuid FROM asset JOIN folder ON folder.id = asset.folder_id
    WHERE asset.name = CAST(? AS BLOB) AND folder.name = ? AND asset.shown > 0
"""
Change = Callable[[Path], dict[str, str]]
"""Changes a library and gives the new path of each old one that moved."""


def rename_file(root: Path) -> dict[str, str]:
    (root / "a/IMG_0000.jpg").rename(root / "a/Beach.jpg")
    return {"a/IMG_0000.jpg": "a/Beach.jpg"}


def move_file(root: Path) -> dict[str, str]:
    (root / "a/IMG_0001.jpg").rename(root / "b/IMG_0001-2.jpg")
    return {"a/IMG_0001.jpg": "b/IMG_0001-2.jpg"}


def move_file_into_new_folder(root: Path) -> dict[str, str]:
    (root / "c/deep").mkdir(parents=True)
    (root / "b/IMG_0002.jpg").rename(root / "c/deep/x.jpg")
    return {"b/IMG_0002.jpg": "c/deep/x.jpg"}


def rename_folder(root: Path) -> dict[str, str]:
    (root / "b").rename(root / "Summer")
    return {f"b/IMG_{i:04}.jpg": f"Summer/IMG_{i:04}.jpg" for i in range(6)}


def rename_nested_folders(root: Path) -> dict[str, str]:
    (root / "n/m").rename(root / "n/mm")
    (root / "n").rename(root / "nn")
    return {"n/m/IMG_0000.jpg": "nn/mm/IMG_0000.jpg", "n/m/IMG_0001.jpg": "nn/mm/IMG_0001.jpg"}


def move_folder_below_another(root: Path) -> dict[str, str]:
    (root / "n").rename(root / "b/n")
    return {"n/m/IMG_0000.jpg": "b/n/m/IMG_0000.jpg", "n/m/IMG_0001.jpg": "b/n/m/IMG_0001.jpg"}


def swap_two_files(root: Path) -> dict[str, str]:
    (root / "a/IMG_0000.jpg").rename(root / "a/tmp")
    (root / "a/IMG_0001.jpg").rename(root / "a/IMG_0000.jpg")
    (root / "a/tmp").rename(root / "a/IMG_0001.jpg")
    return {"a/IMG_0000.jpg": "a/IMG_0001.jpg", "a/IMG_0001.jpg": "a/IMG_0000.jpg"}


def rename_and_put_another_in_its_place(root: Path) -> dict[str, str]:
    (root / "a/IMG_0003.jpg").rename(root / "a/old.jpg")
    make_photo(root / "a/IMG_0003.jpg", 999, size=(50, 60))
    return {"a/IMG_0003.jpg": "a/old.jpg"}


def copy_to_another_place_and_delete(root: Path) -> dict[str, str]:
    shutil.copy2(root / "a/IMG_0004.jpg", root / "b/copied.jpg")
    (root / "a/IMG_0004.jpg").unlink()
    return {"a/IMG_0004.jpg": "b/copied.jpg"}


def copy_without_times_and_delete(root: Path) -> dict[str, str]:
    shutil.copy(root / "a/IMG_0005.jpg", root / "b/fresh.jpg")
    (root / "a/IMG_0005.jpg").unlink()
    return {"a/IMG_0005.jpg": "b/fresh.jpg"}


def touch_everything(root: Path) -> dict[str, str]:
    for path in root.rglob("*.jpg"):
        os.utime(path)
    return {}


def edit_in_place(root: Path) -> dict[str, str]:
    make_photo(root / "a/IMG_0002.jpg", 77, size=(64, 64))
    return {}


def edit_by_replacing(root: Path) -> dict[str, str]:
    make_photo(root / "a/edit.tmp.part", 78, size=(64, 64)).rename(root / "a/IMG_0002.jpg")
    return {}


CHANGES = [
    rename_file,
    move_file,
    move_file_into_new_folder,
    rename_folder,
    rename_nested_folders,
    move_folder_below_another,
    swap_two_files,
    rename_and_put_another_in_its_place,
    copy_to_another_place_and_delete,
    copy_without_times_and_delete,
    touch_everything,
    edit_in_place,
    edit_by_replacing,
]


def library_of(tmp_path: Path) -> Path:
    root = tmp_path / "Photos"
    make_photos(root / "a", 6)
    make_photos(root / "b", 6, first_seed=100)
    make_photos(root / "n/m", 2, first_seed=200)
    return root


def expected(before: dict[str, str], moves: dict[str, str]) -> dict[str, str]:
    """What every old id should be called now."""
    return {moves.get(path, path): asset_id for path, asset_id in before.items()}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
async def test_ids_survive_changes_while_the_daemon_is_down(tmp_path: Path, change: Change) -> None:
    """Renames, moves, touches and edits made while nobody looks keep every id, and make no thumbnail twice (T39)."""
    root = library_of(tmp_path)
    async with running_library(tmp_path / "data", root) as library:
        before = await library.ids()
        assert len(before) == 14
    moves = change(root)
    async with running_library(tmp_path / "data", root) as library:
        after = await library.ids()
    assert {path: after.get(path) for path in expected(before, moves)} == expected(before, moves)
    assert len(set(after.values())) == len(after)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
async def test_ids_survive_changes_while_the_daemon_runs(tmp_path: Path, change: Change) -> None:
    """The same changes seen by the watcher keep every id (T39)."""
    root = library_of(tmp_path)
    async with running_library(tmp_path / "data", root) as library:
        before = await library.ids()
        wanted = expected(before, change(root))

        async def is_right() -> bool:
            now = await library.ids()
            return {path: now.get(path) for path in wanted} == wanted and not library.indexer.status().in_progress

        await library.until(is_right)
        await library.scan()
        assert await is_right()


async def test_folder_ids_survive_renaming(tmp_path: Path) -> None:
    """An album keeps its id when its folder is renamed, those below it too."""
    root = library_of(tmp_path)
    async with running_library(tmp_path / "data", root) as library:
        before = await library.albums()
    (root / "n").rename(root / "new name")
    async with running_library(tmp_path / "data", root) as library:
        after = await library.albums()
    assert after["new name"] == before["n"]
    assert after["new name/m"] == before["n/m"]
    assert "n" not in after


async def test_ids_survive_the_renaming_of_a_root(tmp_path: Path) -> None:
    """A root that has another path now is the same root."""
    root = library_of(tmp_path)
    async with running_library(tmp_path / "data", root) as library:
        before, albums = await library.ids(), await library.albums()
    root.rename(tmp_path / "Pictures")
    async with running_library(tmp_path / "data", tmp_path / "Pictures") as library:
        assert await library.ids() == before
        assert await library.albums() == albums


async def test_ids_survive_a_rebuilt_index(tmp_path: Path) -> None:
    """A lost index comes back with the same ids, moved files included."""
    root = library_of(tmp_path)
    async with running_library(tmp_path / "data", root) as library:
        await library.scan()
    for change in (rename_file, move_file, rename_folder, swap_two_files):
        if change is not swap_two_files:
            change(root)
    async with running_library(tmp_path / "data", root) as library:
        before = await library.ids(), await library.albums()
    for path in (tmp_path / "data").glob("index.db*"):
        path.unlink()
    async with running_library(tmp_path / "data", root) as library:
        assert (await library.ids(), await library.albums()) == before


async def test_moving_between_roots_keeps_ids(tmp_path: Path) -> None:
    """A file that goes to another root, before or after the one it left in the order of walking, stays itself."""
    one, two = tmp_path / "one", tmp_path / "two"
    make_photos(one, 5)
    make_photos(two, 5, first_seed=50)
    async with running_library(tmp_path / "data", one, two) as library:
        before = (
            await library.rows(WHERE_IS, "IMG_0000.jpg", "one"),
            await library.rows(WHERE_IS, "IMG_0001.jpg", "two"),
        )
    (one / "IMG_0000.jpg").rename(two / "from-one.jpg")
    (two / "IMG_0001.jpg").rename(one / "from-two.jpg")
    async with running_library(tmp_path / "data", one, two) as library:
        after = await library.rows(WHERE_IS, "from-one.jpg", "two"), await library.rows(WHERE_IS, "from-two.jpg", "one")
    assert after == before


async def test_a_file_removed_and_put_back_keeps_its_id(tmp_path: Path) -> None:
    """What was deleted by mistake and restored is the photo it was, wherever it is restored to."""
    root = library_of(tmp_path)
    aside = tmp_path / "aside.jpg"
    async with running_library(tmp_path / "data", root) as library:
        before = await library.ids()
        shutil.copy(root / "a/IMG_0000.jpg", aside)
        (root / "a/IMG_0000.jpg").unlink()
        await library.scan()
        assert "a/IMG_0000.jpg" not in await library.ids()
        shutil.copy(aside, root / "b/restored.jpg")
        await library.scan()
        assert (await library.ids())["b/restored.jpg"] == before["a/IMG_0000.jpg"]


async def test_hard_links_and_copies_are_assets_of_their_own(tmp_path: Path) -> None:
    """Two names of one content are two photos with one hash."""
    root = library_of(tmp_path)
    os.link(root / "a/IMG_0000.jpg", root / "b/link.jpg")
    shutil.copy2(root / "a/IMG_0001.jpg", root / "b/copy.jpg")
    async with running_library(tmp_path / "data", root) as library:
        ids = await library.ids()
        await library.scan()
        assert await library.ids() == ids
        rows = await library.rows("SELECT sha256, count(*) FROM asset GROUP BY sha256 HAVING count(*) > 1")
    assert len(set(ids.values())) == 16
    assert [count for _, count in rows] == [2, 2]
