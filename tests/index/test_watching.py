"""Changes on disk arrive by themselves (DESIGN section 7), whatever the order and speed of the events."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon import Daemon, StartDaemon, daemons
from tests.index.library import RunningLibrary, make_photo, make_photos, running_library

__all__ = ["daemons"]


async def digests(library: RunningLibrary) -> dict[str, bytes]:
    """Path to SHA-256 of what is shown and was read to the end."""
    rows = await library.rows(
        "SELECT folder.path, asset.name, sha256 FROM asset JOIN folder ON folder.id = folder_id "
        "WHERE shown > 0 AND stage = 2"
    )
    return {os.fsdecode(os.path.join(folder, name)): digest for folder, name, digest in rows}  # noqa: PTH118  # bytes


async def until_like_disk(library: RunningLibrary, root: Path) -> None:
    """Wait until the index says what is on disk."""

    async def is_like_disk() -> bool:
        found = {
            str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).digest() for path in root.rglob("*.jpg")
        }
        return await digests(library) == found

    await library.until(is_like_disk)


async def test_saved_changed_renamed_and_deleted_files(tmp_path: Path) -> None:
    """What happens to a file happens in the index, without a scan."""
    root = tmp_path / "photos"
    make_photos(root, 12)
    async with running_library(tmp_path / "data", root) as library:
        make_photo(root / "new.jpg", 50)
        await until_like_disk(library, root)
        make_photo(root / "new.jpg", 51, size=(90, 80))
        await until_like_disk(library, root)
        make_photo(root / ".hidden-while-copied", 52).rename(root / "copied.jpg")
        await until_like_disk(library, root)
        (root / "copied.jpg").rename(root / "renamed.jpg")
        (root / "new.jpg").unlink()
        await until_like_disk(library, root)


async def test_burst_of_files_in_new_folders(tmp_path: Path) -> None:
    """Five hundred files that come at once, in folders nobody knew, are all there in the end."""
    root, source = tmp_path / "photos", tmp_path / "source"
    make_photos(root, 2)
    picture = make_photo(tmp_path / "picture.jpg", 1).read_bytes()
    for number in range(500):
        folder = source / f"{number % 10}" / f"{number % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"B_{number:04}.jpg").write_bytes(picture + number.to_bytes(2))
    async with running_library(tmp_path / "data", root) as library:
        shutil.copytree(source, root / "burst")
        await until_like_disk(library, root)
        shutil.rmtree(root / "burst" / "3")
        await until_like_disk(library, root)


async def test_folder_renamed_while_files_come(tmp_path: Path) -> None:
    """A folder renamed again and again while files are put into it ends as one album with all of them."""
    root = tmp_path / "photos"
    make_photos(root / "keep", 3, first_seed=900)
    make_photos(root / "trip", 20)
    async with running_library(tmp_path / "data", root) as library:
        album = (await library.albums())["trip"][0]
        folder = root / "trip"
        for number in range(8):
            make_photo(folder / f"late {number}.jpg", 200 + number)
            folder = folder.rename(root / f"trip {number}")
        await until_like_disk(library, root)

        async def is_one_album() -> bool:
            albums = await library.albums()
            return albums.get("trip 7") == (album, 28, 28) and set(albums) == {"", "keep", "trip 7"}

        await library.until(is_one_album)


async def test_file_written_slowly_ends_as_its_last_content(tmp_path: Path) -> None:
    """A file that grows in pieces is shown as what it is when the last piece is there, never as a broken one."""
    root = tmp_path / "photos"
    make_photos(root, 3)
    whole = make_photo(tmp_path / "whole.jpg", 7, size=(400, 300)).read_bytes()
    async with running_library(tmp_path / "data", root) as library:
        with (root / "slow.jpg").open("wb") as file:
            for number, start in enumerate(range(0, len(whole), len(whole) // 6 + 1)):
                file.write(whole[start : start + len(whole) // 6 + 1])
                file.flush()
                size = file.tell()

                async def has_size(size: int = size) -> bool:
                    return bool(
                        await library.rows("SELECT 1 FROM asset WHERE name = ? AND size_bytes >= ?", b"slow.jpg", size)
                    )

                if number % 2:
                    await library.until(has_size)
        await until_like_disk(library, root)

        async def has_picture() -> bool:
            rows = await library.rows("SELECT has_thumbnail, refusal_reason FROM asset WHERE name = ?", b"slow.jpg")
            return rows == [(1, None)]

        await library.until(has_picture)


async def test_ignore_rules_that_come_and_go(tmp_path: Path) -> None:
    """`.nomedia` and `.pixlsrveignore` hide and show at once while the daemon runs; what comes back has its id."""
    root = tmp_path / "photos"
    for folder in ("a", "b", "b/deep/er"):
        make_photos(root / folder, 4, first_seed=hash_of(folder))
    (root / "b/deep/er/IMG_0000.jpg").rename(root / "b/deep/er/screen.png")
    async with running_library(tmp_path / "data", root) as library:
        before = await library.ids()

        async def shows(*names: str) -> None:
            async def is_so() -> bool:
                return await library.ids() == {path: before[path] for path in names}

            await library.until(is_so)

        everything = tuple(before)
        (root / "b/.nomedia").touch()
        await shows(*(path for path in everything if not path.startswith("b/")))
        (root / "b/.nomedia").unlink()
        await shows(*everything)
        (root / ".pixlsrveignore").write_text("# screenshots\n*.png\n[\n/a/IMG_000[01].jpg\n")
        await shows(
            *(p for p in everything if p not in ("a/IMG_0000.jpg", "a/IMG_0001.jpg") and not p.endswith(".png"))
        )
        (root / ".pixlsrveignore").write_text("er/\n!a\n")
        await shows(*(path for path in everything if "/er/" not in path))
        (root / ".pixlsrveignore").unlink()
        (root / "a/.pixlsrveignore").touch()
        await shows(*(path for path in everything if not path.startswith("a/")))
        (root / "a/.pixlsrveignore").unlink()
        await shows(*everything)


def hash_of(text: str) -> int:
    """A seed that is the same in every run."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:3])


async def test_hidden_and_appliance_folders_are_passed_over(tmp_path: Path) -> None:
    """Dot files and what network storage leaves behind are never listed, neither at start nor when they change."""
    root = tmp_path / "photos"
    make_photos(root, 2)
    passed_over = [".hidden", "@eaDir/IMG_0000.jpg", "#recycle", "@Recycle", "$RECYCLE.BIN", ".thumbnails", "a/@eaDir"]
    for number, folder in enumerate(passed_over):
        make_photo(root / folder / "x.jpg", 100 + number)
    make_photo(root / "._IMG_0000.jpg", 300)
    async with running_library(tmp_path / "data", root) as library:
        assert set(await library.ids()) == {"IMG_0000.jpg", "IMG_0001.jpg"}
        make_photo(root / "@eaDir/later.jpg", 301)
        make_photo(root / "last.jpg", 302)
        await library.until(lambda: is_shown(library, "last.jpg"))
        await library.scan()
        assert set(await library.ids()) == {"IMG_0000.jpg", "IMG_0001.jpg", "last.jpg"}


async def is_shown(library: RunningLibrary, path: str) -> bool:
    return path in await library.ids()


def namespace_with_few_watches(command: list[str]) -> list[str]:
    """`command` where only three inotify watches may be had."""
    shell = 'echo 3 > /proc/sys/user/max_inotify_watches && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "sh", "-c", shell, "sh", *command]


def can_limit_watches() -> bool:
    if shutil.which("unshare") is None:
        return False
    command = namespace_with_few_watches([sys.executable, "-c", ""])
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_limit_watches(), reason="needs user namespaces (unshare) to limit inotify watches")
def test_no_watches_left(daemons: StartDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no watches left, that and its remedy are one line in the log, and scans go on."""
    root = tmp_path / "photos"
    for number in range(8):
        make_photos(root / f"f{number}", 1, first_seed=number)
    monkeypatch.setattr("tests.daemon.COMMAND", namespace_with_few_watches([sys.executable, "-m", "pixlsrve"]))
    daemon: Daemon = daemons("--photos", str(root)).start()
    monkeypatch.undo()
    assert daemon.wait_indexed()["indexing_status"]["photos_indexed"] == 8
    lines = [line for line in daemon.log_lines if "can't be watched" in line]
    assert len(lines) >= 1
    assert "max_user_watches" in lines[0]
    make_photo(root / "f0/new.jpg", 99)
    assert daemon.wait_indexed()["indexing_status"]["photos_indexed"] == 9
    assert daemon.get("/healthz")[0] == 200
