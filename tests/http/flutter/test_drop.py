"""The drop directory, with real files of every kind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from pixlsrve.http.flutter.drop import FILE_MAX_BYTES, DropDirectory
from tests.daemon import is_root

WAIT_S = 60.0
SOMEBODY = 65534
needs_root = pytest.mark.skipif(not is_root(), reason="gives files to other users, which takes root")


class Drop:
    """A watched folder, what was sent from it, and what was logged."""

    def __init__(self, folder: Path, logs: list[Any]) -> None:
        self.folder = folder
        self.logs = logs
        self.sent: asyncio.Queue[str] = asyncio.Queue()
        self.watched = DropDirectory(folder, "", self.sent.put)

    async def next(self) -> str:
        """The next message."""
        return await asyncio.wait_for(self.sent.get(), WAIT_S)

    async def marker(self) -> None:
        """Drop a good file and wait for it: whatever was complete before has had its turn."""
        file = self.folder / "zz-marker.txt"
        file.write_text("marker")
        assert await self.next() == "marker"
        await until(lambda: not file.exists())  # so that the next one is not deleted in its place

    def skipped(self, name: str) -> list[str]:
        """Why a file was skipped, once for each line of the log."""
        return [line["reason"] for line in self.logs if line.get("name") == name]

    async def skips(self, name: str) -> str:
        """The reason of a file that is about to be skipped."""
        await until(lambda: bool(self.skipped(name)))
        return self.skipped(name)[0]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that comes by itself."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def watching(folder: Path) -> AsyncIterator[Drop]:
    """The folder, watched."""
    structlog.reset_defaults()
    with capture_logs() as logs:
        drop = Drop(folder, logs)
        task = asyncio.create_task(drop.watched.run())
        try:
            await until(lambda: folder.is_dir() or bool(drop.watched.trouble))
            yield drop
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def drop(tmp_path: Path) -> AsyncIterator[Drop]:
    """A watched folder that was not there before."""
    async with watching(tmp_path / "drop") as made:
        yield made


async def test_text_is_sent_verbatim_once_and_deleted(drop: Drop) -> None:
    """A text file is sent as it is, with every space and line end, and is gone afterwards."""
    text = " \ufeffÄ\r\n\t{}\0 ✓\n\n"
    (drop.folder / "a.txt").write_bytes(text.encode())
    assert await drop.next() == text
    await until(lambda: not (drop.folder / "a.txt").exists())
    await drop.marker()
    assert drop.sent.empty()


async def test_renamed_file_is_sent(drop: Drop) -> None:
    """A file that is renamed into place is sent; other names are never looked at."""
    (drop.folder / "b.tmp").write_text("whole")
    await drop.marker()
    (drop.folder / "b.tmp").rename(drop.folder / "b.txt")
    assert await drop.next() == "whole"


async def test_half_written_file_waits(drop: Drop) -> None:
    """A file that is still being written is not sent before it is complete."""
    with (drop.folder / "slow.txt").open("w") as file:
        for number in range(40):
            file.write(f"{number};")
            file.flush()
            await asyncio.sleep(0.02)
            assert drop.sent.empty()
    assert await drop.next() == "".join(f"{number};" for number in range(40))


async def test_empty_file_waits_for_its_text(drop: Drop) -> None:
    """A file without content is left until something is in it."""
    (drop.folder / "later.txt").touch()
    await drop.marker()
    assert (drop.folder / "later.txt").exists()
    (drop.folder / "later.txt").write_text("now")
    assert await drop.next() == "now"


async def test_files_are_sent_in_their_order(drop: Drop) -> None:
    """Files that come together are sent the oldest first."""
    for number in range(5):
        file = drop.folder / f"{9 - number}.part"
        file.write_text(str(number))
        os.utime(file, ns=(0, number))
        file.rename(file.with_suffix(".txt"))
    assert [await drop.next() for _ in range(5)] == list("01234")


async def test_links_are_left(drop: Drop, tmp_path: Path) -> None:
    """T23: neither symbolic nor hard links are followed; they are named in the log once, and left."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (drop.folder / "soft.txt").symlink_to(secret)
    (drop.folder / "hard.txt").hardlink_to(secret)
    assert await drop.skips("soft.txt") == "a link"
    assert "hard links" in await drop.skips("hard.txt")
    await drop.marker()
    await drop.marker()
    assert len(drop.skipped("soft.txt")) == len(drop.skipped("hard.txt")) == 1
    assert secret.read_text() == "secret"
    assert {path.name for path in drop.folder.iterdir()} >= {"soft.txt", "hard.txt"}


async def test_pipes_sockets_and_folders_are_left(drop: Drop) -> None:
    """T23: a pipe does not hold anything up, and nothing but files is opened."""
    os.mkfifo(drop.folder / "pipe.txt")
    (drop.folder / "folder.txt").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(drop.folder / "s.txt"))
        for name in ("pipe.txt", "folder.txt", "s.txt"):
            assert await drop.skips(name) == "not a regular file"
        await drop.marker()


async def test_what_is_no_text_is_left(drop: Drop) -> None:
    """T23: a file that is not UTF-8 is skipped; once it is mended it is sent."""
    file = drop.folder / "latin.txt"
    file.write_bytes(b"caf\xe9")
    assert await drop.skips("latin.txt") == "not UTF-8"
    file.write_text("café")
    assert await drop.next() == "café"


async def test_size_is_bounded(drop: Drop) -> None:
    """T23: 64 KiB are sent, a byte more is skipped and left."""
    (drop.folder / "most.txt").write_text("x" * FILE_MAX_BYTES)
    (drop.folder / "more.txt").write_text("x" * (FILE_MAX_BYTES + 1))
    assert len(await drop.next()) == FILE_MAX_BYTES
    assert await drop.skips("more.txt") == "larger than 64 KiB"
    assert (drop.folder / "more.txt").exists()


@needs_root
async def test_files_of_others_are_left(drop: Drop) -> None:
    """T23: a file of another user is skipped, although he may have been able to put it there."""
    part = drop.folder / "theirs.part"
    part.write_text("theirs")
    os.chown(part, SOMEBODY, SOMEBODY)
    part.rename(drop.folder / "theirs.txt")
    assert await drop.skips("theirs.txt") == "belongs to somebody else"


async def test_files_that_were_there_are_sent(tmp_path: Path) -> None:
    """What was dropped before the start is sent after it."""
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "early.txt").write_text("early")
    async with watching(tmp_path / "drop") as drop:
        assert await drop.next() == "early"


async def test_folder_loses_what_others_may_do(tmp_path: Path) -> None:
    """T23: a folder of ours that others could write to is made private first."""
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop").chmod(0o777)
    async with watching(tmp_path / "drop") as drop:
        await drop.marker()
        assert drop.folder.stat().st_mode & 0o777 == 0o700


async def test_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """T23: a link in the folder's place is not followed, and the trouble is told."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.txt").write_text("a")
    (tmp_path / "drop").symlink_to(tmp_path / "elsewhere")
    async with watching(tmp_path / "drop") as drop:
        await until(lambda: bool(drop.watched.trouble))
        assert "is a link" in drop.watched.trouble
    assert (tmp_path / "elsewhere" / "a.txt").exists()


@needs_root
async def test_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """T23: a folder that belongs to another user is not watched."""
    (tmp_path / "drop").mkdir()
    os.chown(tmp_path / "drop", SOMEBODY, SOMEBODY)
    async with watching(tmp_path / "drop") as drop:
        await until(lambda: "belongs to another user" in drop.watched.trouble)


async def test_folder_that_is_replaced_is_watched_anew(drop: Drop) -> None:
    """A folder that is removed is made again and watched."""
    await drop.marker()
    await until(lambda: not list(drop.folder.iterdir()))
    drop.folder.rmdir()
    await until(drop.folder.is_dir)
    await drop.marker()


async def test_what_takes_a_sent_files_place_is_sent_too(drop: Drop) -> None:
    """A file that is put in the place of one that is just being sent is not deleted with it."""
    for number in range(20):
        new = drop.folder / f"new-{number}"
        new.write_text(str(number))
        new.replace(drop.folder / "same.txt")
        assert await drop.next() == str(number)


async def test_what_takes_its_place_in_the_last_moment_is_sent_too(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is put there just when the one before it is deleted stays, and has its turn."""
    rename, late = os.rename, drop.folder / "late"
    late.write_text("second")

    def overtaken(*args: Any, **kwargs: Any) -> None:
        if late.exists():
            late.replace(drop.folder / "same.txt")
        rename(*args, **kwargs)

    monkeypatch.setattr(os, "rename", overtaken)
    (drop.folder / "same.txt").write_text("first")
    assert [await drop.next(), await drop.next()] == ["first", "second"]
    await until(lambda: not list(drop.folder.iterdir()))
