"""A disk that goes away takes nothing with it (DESIGN sections 7 and 9, "Offline"; T39)."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pixlsrve.errors import Unavailable
from pixlsrve.model import RootState
from tests.index.library import RunningLibrary, make_photo, make_photos, running_library

Contents = list[tuple[int, bytes, int]]


def thumbnails(data_dir: Path) -> Contents:
    """Rows of the thumbnails database: a thumbnail that was made again has another row number or is another picture."""
    with closing(sqlite3.connect(data_dir / "thumbnails.db")) as connection:
        return connection.execute("SELECT rowid, sha256, side_px FROM thumbnail ORDER BY rowid").fetchall()


async def untouched(library: RunningLibrary) -> list[tuple[object, ...]]:
    """What a rebuilt asset would have different: ids, stages and when it was last changed."""
    return await library.rows(
        "SELECT uuid, stage, changed_us, created_us, shown FROM asset WHERE gone_us IS NULL ORDER BY id"
    )


async def has_state(library: RunningLibrary, name: str, state: RootState) -> bool:
    rows = await library.rows("SELECT state FROM root WHERE id = ?", library.root(name).id)
    return library.root(name).state is state and rows == [(state.value,)]


async def assert_offline(library: RunningLibrary, name: str, path: bytes) -> None:
    """An original that is not there is `offline`, not missing for good."""
    with pytest.raises(Unavailable) as caught:
        os.close(await library.roots.open_original(library.root(name).id, path))
    assert caught.value.reason == "offline"


async def test_root_missing_at_start_keeps_everything(tmp_path: Path) -> None:
    """A start without the disk lists what was known, and finds it again unchanged when the disk is back."""
    root, away = tmp_path / "photos", tmp_path / "away"
    make_photos(root, 12)
    async with running_library(tmp_path / "data", root) as library:
        before, rows = await library.ids(), await untouched(library)
    made = thumbnails(tmp_path / "data")
    root.rename(away)
    async with running_library(tmp_path / "data", root) as library:
        assert await has_state(library, "photos", RootState.OFFLINE)
        assert await library.ids() == before
        await assert_offline(library, "photos", b"IMG_0000.jpg")
        await library.scan()
        assert await library.ids() == before
        away.rename(root)
        await library.until(lambda: has_state(library, "photos", RootState.ONLINE))
        await library.scan()
        assert await untouched(library) == rows
        os.close(await library.roots.open_original(library.root("photos").id, b"IMG_0000.jpg"))
    assert thumbnails(tmp_path / "data") == made


@pytest.mark.parametrize("count", [3, 12])
@pytest.mark.parametrize("leaves_folder", [False, True])
async def test_root_that_goes_while_running_loses_nothing(tmp_path: Path, count: int, leaves_folder: bool) -> None:
    """A root that is renamed away, or suddenly empty, is offline by itself and back by itself; nothing is rebuilt."""
    root, away = tmp_path / "photos", tmp_path / "away"
    make_photos(root, count)
    make_photos(root / "sub", count, first_seed=100)
    async with running_library(tmp_path / "data", root) as library:
        before, rows = await library.ids(), await untouched(library)
        root.rename(away)
        if leaves_folder:
            root.mkdir()
        await library.until(lambda: has_state(library, "photos", RootState.OFFLINE))
        await library.scan()
        assert await library.ids() == before
        await assert_offline(library, "photos", b"sub/IMG_0000.jpg")
        if leaves_folder:
            root.rmdir()
        away.rename(root)
        await library.until(lambda: has_state(library, "photos", RootState.ONLINE))
        await library.scan()
        assert await untouched(library) == rows
    assert len(thumbnails(tmp_path / "data")) == len({row[1:] for row in thumbnails(tmp_path / "data")})


@pytest.mark.parametrize(
    ("count", "removed", "is_offline"),
    [(12, 7, True), (12, 6, False), (10, 6, True), (10, 5, False), (9, 8, False), (11, 6, True)],
)
@pytest.mark.parametrize("watched", [True, False])
async def test_more_than_half_at_once(
    tmp_path: Path, count: int, removed: int, is_offline: bool, watched: bool
) -> None:
    """More than half of ten or more files at once make a root offline; exactly half, or fewer than ten files, don't."""
    root = tmp_path / "photos"
    paths = make_photos(root, count)
    async with running_library(tmp_path / "data", root) as library:
        before = await library.ids()
        if watched:
            for path in paths[:removed]:
                path.unlink()
            await library.scan()
            assert (library.root("photos").state is RootState.OFFLINE) == is_offline
            assert len(await library.ids()) == (count if is_offline else count - removed)
    if not watched:
        for path in paths[:removed]:
            path.unlink()
        async with running_library(tmp_path / "data", root) as library:
            assert (library.root("photos").state is RootState.OFFLINE) == is_offline
            assert len(await library.ids()) == (count if is_offline else count - removed)
            if is_offline:
                # What is still there is served and indexed.
                await assert_offline(library, "photos", b"IMG_0000.jpg")
                os.close(await library.roots.open_original(library.root("photos").id, os.fsencode(paths[-1].name)))
                make_photo(root / "new.jpg", 77)
                await library.scan()
                assert "new.jpg" in await library.ids()
                await library.scan(accept_removals=True)
                assert library.root("photos").state is RootState.ONLINE
                assert set(await library.ids()) == {*before} - {path.name for path in paths[:removed]} | {"new.jpg"}


async def test_losses_add_up_over_a_day(tmp_path: Path) -> None:
    """What goes slowly, over several scans, counts as what goes at once; what was hidden meanwhile comes back."""
    root = tmp_path / "photos"
    paths = make_photos(root, 20)
    async with running_library(tmp_path / "data", root) as library:
        before = await library.ids()
        for start in (0, 4, 8):
            for path in paths[start : start + 4]:
                path.rename(tmp_path / path.name)
            await library.scan()
        assert library.root("photos").state is RootState.OFFLINE
        assert await library.ids() == before
        for path in paths[:12]:
            (tmp_path / path.name).rename(path)
        await library.scan()
        assert library.root("photos").state is RootState.ONLINE
        assert await library.ids() == before


async def test_moved_files_are_no_losses(tmp_path: Path) -> None:
    """Tidying up, within a root or into another, makes nothing offline."""
    one, two = tmp_path / "one", tmp_path / "two"
    paths = make_photos(one, 12)
    make_photos(two, 2, first_seed=100)
    async with running_library(tmp_path / "data", one, two) as library:
        (two / "from one").mkdir()
        for path in paths[:9]:
            shutil.move(path, two / "from one" / path.name)
        await library.scan()
        assert {root.state for root in library.roots} == {RootState.ONLINE}
        assert len(await library.ids()) == 14


async def test_what_rules_hide_is_no_loss(tmp_path: Path) -> None:
    """A rule that hides most of a library hides it; the disk is not called absent."""
    root = tmp_path / "photos"
    make_photos(root / "screenshots", 20)
    make_photos(root / "trip", 3, first_seed=50)
    async with running_library(tmp_path / "data", root) as library:
        before = await library.ids()
        (root / ".pixlsrveignore").write_text("screenshots/\n")
        await library.scan()
        assert library.root("photos").state is RootState.ONLINE
        assert len(await library.ids()) == 3
        (root / ".pixlsrveignore").unlink()
        await library.scan()
        assert await library.ids() == before


@pytest.fixture
def mountable(tmp_path: Path) -> Iterator[Path]:
    """A folder for mounts, which are taken away after the test."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root: run the tests as root to cover this")
    folder = tmp_path / "photos"
    folder.mkdir()
    if not mount(folder):
        pytest.skip("file systems can't be mounted here (no CAP_SYS_ADMIN)")
    subprocess.run(["umount", folder], check=True)
    yield folder
    for point in sorted((path for path in [folder, *folder.rglob("*")] if path.is_mount()), reverse=True):
        subprocess.run(["umount", "-l", point], check=True)


def mount(folder: Path) -> bool:
    """Put a fresh disk on a folder; whether that worked."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], capture_output=True, check=False)
    return done.returncode == 0


async def test_nested_mount_that_vanishes(tmp_path: Path, mountable: Path) -> None:
    """A disk mounted inside a root goes offline by itself, however small it is; the rest of the root stays online."""
    root, disk = mountable, mountable / "disk"
    make_photos(root / "own", 4)
    disk.mkdir()
    assert mount(disk)
    made = make_photos(disk / "trip/day", 3, first_seed=100)
    kept = tmp_path / "kept"
    async with running_library(tmp_path / "data", root) as library:
        before, rows = await library.ids(), await untouched(library)
        shutil.copytree(disk, kept, copy_function=shutil.copy2)
        subprocess.run(["umount", "-l", disk], check=True)
        await library.scan()
        assert library.root("photos").state is RootState.ONLINE
        assert await library.ids() == before
        await assert_offline(library, "photos", os.fsencode(made[0].relative_to(root)))
        os.close(await library.roots.open_original(library.root("photos").id, b"own/IMG_0000.jpg"))
        make_photo(root / "own/new.jpg", 78)
        await library.scan()
        assert set(await library.ids()) == {*before, "own/new.jpg"}
    async with running_library(tmp_path / "data", root) as library:
        assert set(await library.ids()) == {*before, "own/new.jpg"}
        await assert_offline(library, "photos", os.fsencode(made[0].relative_to(root)))
        assert mount(disk)
        shutil.copytree(kept, disk, dirs_exist_ok=True, copy_function=shutil.copy2)
        await library.scan()
        assert [row for row in await untouched(library) if row in rows] == rows
        os.close(await library.roots.open_original(library.root("photos").id, os.fsencode(made[0].relative_to(root))))
        made[0].unlink()
        shutil.rmtree(disk / "trip")
        make_photo(disk / "other.jpg", 79)
        await library.scan()
        assert {path for path in await library.ids() if path.startswith("disk")} == {"disk/other.jpg"}


async def test_nested_mount_given_up(tmp_path: Path, mountable: Path) -> None:
    """A nested disk that won't come back is forgotten when the removals are accepted."""
    disk = mountable / "disk"
    make_photos(mountable / "own", 4)
    disk.mkdir()
    assert mount(disk)
    make_photos(disk, 3, first_seed=100)
    async with running_library(tmp_path / "data", mountable) as library:
        subprocess.run(["umount", "-l", disk], check=True)
        disk.rmdir()
        await library.scan()
        assert len(await library.ids()) == 7
        await library.scan(accept_removals=True)
        assert {path.partition("/")[0] for path in await library.ids()} == {"own"}


async def test_root_unmounted_in_mid_scan(tmp_path: Path, mountable: Path) -> None:
    """A disk pulled while its files are listed and read loses nothing; its scan goes on when it is back."""
    root, kept = mountable, tmp_path / "kept"
    for folder in range(12):
        make_photos(kept / f"f{folder:02}", 25, first_seed=folder * 100)
    assert mount(root)
    shutil.copytree(kept, root, dirs_exist_ok=True, copy_function=shutil.copy2)
    async with running_library(tmp_path / "data", root) as library:
        before = await library.ids()
    assert len(before) == 300
    for path in (tmp_path / "data").glob("index.db*"):
        path.unlink()
    async with running_library(tmp_path / "data", root, settle=False) as library:

        async def has_begun() -> bool:
            return await library.rows("SELECT count(*) >= 20 FROM asset WHERE stage = 2") == [(1,)]

        await library.until(has_begun)
        subprocess.run(["umount", "-l", root], check=True)
        await library.until(lambda: has_state(library, "photos", RootState.OFFLINE))
        await library.scan()
        found = await library.ids()
        assert found.items() <= before.items()
        assert (await library.rows("SELECT count(*) FROM asset WHERE gone_us IS NOT NULL"))[0][0] == 0
        assert (await library.rows("SELECT count(*) FROM asset WHERE refusal_reason IS NOT NULL"))[0][0] == 0
        assert mount(root)
        await asyncio.to_thread(shutil.copytree, kept, root, dirs_exist_ok=True, copy_function=shutil.copy2)

        async def is_whole() -> bool:
            rows = await library.rows("SELECT count(*) FROM asset WHERE stage = 2 AND shown = 1")
            return rows == [(300,)] and not library.indexer.status().in_progress

        await library.until(is_whole)
        assert await library.ids() == before
