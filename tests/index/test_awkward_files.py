"""Names, depths, rights and moments that are awkward (DESIGN section 4, T19): the scan ends and nothing is left out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixlsrve.errors import PixlsrveError
from tests.index.library import RunningLibrary, make_photo, make_photos, running_library

NAMES = [
    b"new\nline.jpg",
    b"tab\tbell\x07.jpg",
    b"\xff\xfe\x80 not utf-8.jpg",
    b"half a character \xe2\x82.jpg",
    b"-rf --leading.jpg",
    b" leading and trailing .jpg",
    "\u202egpj.txt.jpg".encode(),
    "صورة.jpg".encode(),
    "e\u0301 decomposed.jpg".encode(),
    "é composed.jpg".encode(),
    b"%00%2e%2e.jpg",
    b"two..dots.jpg",
    b"back\\slash.jpg",
    b"quote'\"$(x)`y`.jpg",
    b"x" * 251 + b".jpg",
    b"C:.jpg",
    b"CON.JPG",
    b"con.jpg",
]


async def readable(library: RunningLibrary) -> set[bytes]:
    """The base names of assets whose content was read."""
    rows = await library.rows("SELECT name FROM asset WHERE stage = 2 AND shown = 1 AND has_thumbnail = 1")
    return {row[0] for row in rows}


async def test_any_name_is_indexed_and_can_be_opened(tmp_path: Path) -> None:
    """Newlines, invalid UTF-8, 255 bytes, dashes, right-to-left and control characters are just names."""
    root = tmp_path / "photos"
    for seed, name in enumerate(NAMES):
        make_photo(root / "plain.jpg", seed)
        (root / "plain.jpg").rename(root / os.fsdecode(name))
        folder = root / os.fsdecode(name.removesuffix(b".jpg")[:200] + b" folder")
        make_photo(folder / "inside.jpg", 100 + seed)
    async with running_library(tmp_path / "data", root) as library:
        assert await readable(library) == {*NAMES, b"inside.jpg"}
        for path in await library.ids():
            os.close(await library.roots.open_original(library.root("photos").id, os.fsencode(path)))
        before = await library.ids()
        assert len(before) == 2 * len(NAMES)
        make_photo(root / os.fsdecode(NAMES[2].removesuffix(b".jpg") + b" folder") / "later.jpg", 300)
        await library.until(lambda: is_read(library, b"later.jpg"))
        shown = await library.rows("SELECT sort_name FROM asset")
        assert all(text.isprintable() for (text,) in shown)
    async with running_library(tmp_path / "data", root) as library:
        assert before.items() <= (await library.ids()).items()


async def test_time_beyond_what_a_column_holds(tmp_path: Path) -> None:
    """A file dated 2300, whose nanoseconds take more than 63 bits, is a photo like the others, now and next time."""
    root = tmp_path / "photos"
    make_photos(root, 2)
    late = make_photo(root / "late.jpg", 7)
    os.utime(late, (10_413_792_000, 10_413_792_000))
    assert late.stat().st_mtime_ns >= 2**63, "this file system has no such times"
    for _ in range(2):
        async with running_library(tmp_path / "data", root) as library:
            assert b"late.jpg" in await readable(library)
            assert len(await readable(library)) == 3


async def is_read(library: RunningLibrary, name: bytes) -> bool:
    return name in await readable(library)


@contextlib.contextmanager
def deep_tree(root: Path, depth: int, name: str) -> Iterator[int]:
    """A chain of folders, longer than any path may be; gives a descriptor of the last. Taken down afterwards."""
    root.mkdir()
    held = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=held)
        below = os.open(name, os.O_RDONLY, dir_fd=held)
        os.close(held)
        held = below
    try:
        yield held
    finally:
        os.close(held)
        subprocess.run(["rm", "-rf", root], check=True)  # shutil.rmtree recurses


async def test_folders_deeper_than_a_path_may_be(tmp_path: Path) -> None:
    """A tree whose paths exceed PATH_MAX is walked to its end, and its photos can be opened."""
    picture = make_photo(tmp_path / "picture.jpg", 1).read_bytes()
    with deep_tree(tmp_path / "photos", 40, "d" * 200) as deepest:
        with os.fdopen(os.open("deep.jpg", os.O_WRONLY | os.O_CREAT, dir_fd=deepest), "wb") as file:
            file.write(picture)
        make_photo(tmp_path / "photos/top.jpg", 2)
        async with running_library(tmp_path / "data", tmp_path / "photos") as library:
            assert await readable(library) == {b"top.jpg", b"deep.jpg"}
            before = await library.ids()
            await library.scan()
            assert await library.ids() == before


async def test_very_many_levels(tmp_path: Path) -> None:
    """A thousand nested folders neither overflow a stack nor stop the scan."""
    picture = make_photo(tmp_path / "picture.jpg", 1).read_bytes()
    with deep_tree(tmp_path / "photos", 1_000, "d") as deepest:
        with os.fdopen(os.open("deep.jpg", os.O_WRONLY | os.O_CREAT, dir_fd=deepest), "wb") as file:
            file.write(picture)
        async with running_library(tmp_path / "data", tmp_path / "photos") as library:
            assert await readable(library) == {b"deep.jpg"}


async def test_files_that_change_while_they_are_read(tmp_path: Path) -> None:
    """Files that grow, shrink, vanish and come back during a scan end as what they are when all is at rest."""
    root = tmp_path / "photos"
    make_photos(root, 60)
    pictures = [make_photo(tmp_path / "other" / f"{i}.jpg", 500 + i, size=(200, 150)).read_bytes() for i in range(8)]

    async def disturb() -> None:
        """Write pictures in pieces, cut them short, delete them and put them back."""
        for turn in range(40):
            victim = root / f"IMG_{turn % 8:04}.jpg"
            picture = pictures[turn % 8]
            with victim.open("wb") as file:
                for start in range(0, len(picture), 4_096):
                    file.write(picture[start : start + 4_096])
                    file.flush()
                    await asyncio.sleep(0)
            os.truncate(victim, len(picture) // 3)
            await asyncio.sleep(0.01)
            victim.unlink()
            await asyncio.sleep(0.01)
            victim.write_bytes(picture)

    async with running_library(tmp_path / "data", root, settle=False) as library:
        await asyncio.gather(disturb(), library.scan())

        async def is_settled() -> bool:
            rows = await library.rows("SELECT count(*) FROM asset WHERE stage = 2 AND shown = 1 AND has_thumbnail = 1")
            return rows[0][0] == 60 and not library.indexer.status().in_progress

        await library.until(is_settled)
        import hashlib

        rows = await library.rows("SELECT name, sha256 FROM asset WHERE shown = 1")
        known = {os.fsdecode(name): digest for name, digest in rows}
        assert known == {path.name: hashlib.sha256(path.read_bytes()).digest() for path in root.iterdir()}
        assert await library.rows("SELECT name FROM asset WHERE refusal_reason IS NOT NULL") == []


async def test_unreadable_files_are_quarantined_until_they_can_be_read(tmp_path: Path) -> None:
    """A file that refuses to be read is in quarantine, is tried again by each scan, and then has the id it had."""
    root = tmp_path / "photos"
    make_photos(root, 3)
    async with running_library(tmp_path / "data", root) as library:
        ids = await library.ids()
        opener = library.roots.open_original_blocking

        def refuse(root_id: int, relative: bytes) -> int:
            if relative == b"IMG_0001.jpg":
                raise PixlsrveError("The file can't be read just now.", reason="unreadable")
            return opener(root_id, relative)

        library.roots.open_original_blocking = refuse  # type: ignore[method-assign]  # root ignores modes
        await library.scan(full=True)
        assert await library.ids() == {name: i for name, i in ids.items() if name != "IMG_0001.jpg"}
        await library.scan()
        assert await library.rows("SELECT refusal_reason FROM asset WHERE shown = 0") == [("unreadable",)]
        library.roots.open_original_blocking = opener  # type: ignore[method-assign]  # as it was
        await library.scan()
        assert await library.ids() == ids


@pytest.mark.parametrize("link", ["loop", "out", "up"])
async def test_links_between_folders_are_neither_listed_nor_watched(tmp_path: Path, link: str) -> None:
    """T19: links out of the library and round in loops lead nowhere; changes beside them are still seen."""
    root, outside = tmp_path / "photos", tmp_path / "outside"
    make_photos(root / "a", 2)
    make_photos(outside / "deep", 2, first_seed=50)
    (root / "a" / link).symlink_to({"loop": Path(), "out": outside, "up": Path("../..")}[link])
    async with running_library(tmp_path / "data", root) as library:
        assert set(await library.ids()) == {"a/IMG_0000.jpg", "a/IMG_0001.jpg"}
        make_photo(root / "a/later.jpg", 70)
        await library.until(lambda: is_read(library, b"later.jpg"))
        make_photo(root / "new/folder/later still.jpg", 71)
        await library.until(lambda: is_read(library, b"later still.jpg"))
        make_photo(root / "new/folder/last.jpg", 72)
        await library.until(lambda: is_read(library, b"last.jpg"))
        assert len(await library.ids()) == 5
