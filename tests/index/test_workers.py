"""The worker pool with real processes: results, blame, deadlines, memory, priorities, and nothing left behind."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pixlsrve.errors import Unavailable
from pixlsrve.index import process, workers
from pixlsrve.index.workers import WorkerPool
from pixlsrve.model import Content, Facts, Kind, Refusal

PATIENCE_S = 180.0
"""How long a test waits for what must happen; reached only when it never does."""


@asynccontextmanager
async def running(
    *, workers: int = 1, memory_mb: int = 192, seconds: float = 30, max_pixels: int = 300_000_000
) -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(workers=workers, memory_mb=memory_mb, seconds=seconds, max_pixels=max_pixels, zone="Europe/Rome")
    service = asyncio.create_task(pool.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield pool
    finally:
        pids = pool.pids
        service.cancel()
        with suppress(asyncio.CancelledError):
            await service
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


Opener = Callable[[Path], int]


@pytest.fixture
def opened() -> Iterator[Opener]:
    handles: list[int] = []

    def open_file(path: Path) -> int:
        handles.append(os.open(path, os.O_RDONLY))
        return handles[-1]

    yield open_file
    for handle in handles:
        os.close(handle)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    Image.linear_gradient("L").resize((1600, 1200)).convert("RGB").save(path)
    return path


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


def is_whole(found: Content | Refusal, path: Path) -> bool:
    """Whether the content's hash is that of the file."""
    return isinstance(found, Content) and found.sha256 == hashlib.sha256(path.read_bytes()).digest()


async def test_facts_content_hash_and_conversion(photo: Path, opened: Opener) -> None:
    """One open file gives its facts, its content, its hash and a conversion, and the caller keeps the descriptor."""
    file = opened(photo)
    async with running() as pool:
        (facts,) = await pool.read_facts([(file, "photo.jpg")])
        content = await pool.read_content(file, "photo.jpg")
        hashed = await pool.hash_only(file)
        full = await pool.render(file, "photo.jpg")
    assert isinstance(facts, Facts)
    assert (facts.kind, facts.width_px) == (Kind.PHOTO, 1600)
    assert isinstance(content, Content)
    assert is_whole(content, photo)
    assert sorted(content.thumbnails) == [200, 400, 800]
    assert isinstance(hashed, Content)
    assert (hashed.sha256, hashed.thumbnails) == (content.sha256, {})
    assert isinstance(full, bytes)
    with Image.open(io.BytesIO(full)) as jpeg:
        assert (jpeg.format, jpeg.size) == ("JPEG", (1600, 1200))
    assert os.fstat(file).st_size == content.size_bytes


async def test_more_files_than_one_message_carries(photo: Path, opened: Opener) -> None:
    """A long list of files is answered in its order, whatever the size of one batch."""
    file, other = opened(photo), photo.with_name("text.jpg")
    other.write_bytes(b"not a picture at all, only text " * 9)
    no_picture = opened(other)
    async with running(workers=2) as pool:
        found = await pool.read_facts([(file if i % 3 else no_picture, f"{i}.jpg") for i in range(70)])
    assert [isinstance(item, Facts) for item in found] == [bool(i % 3) for i in range(70)]


async def test_name_that_is_not_utf8(photo: Path, opened: Opener) -> None:
    """A file name with bytes that are no UTF-8 is read like any other."""
    async with running() as pool:
        (facts,) = await pool.read_facts([(opened(photo), os.fsdecode(b"\xff\xfe.jpg"))])
    assert isinstance(facts, Facts)


async def test_killed_worker_costs_one_retry(photo: Path, opened: Opener) -> None:
    """A worker that dies in the middle of a job is replaced and the job done again (T25)."""
    file = opened(photo)
    async with running() as pool:
        await pool.hash_only(file)
        (pid,) = pool.pids
        os.kill(pid, signal.SIGSTOP)
        task = asyncio.create_task(pool.read_content(file, "photo.jpg"))
        await until(lambda: pool.active == 1)
        os.kill(pid, signal.SIGKILL)
        assert is_whole(await task, photo)
        assert pool.pids != [pid]


async def test_file_that_kills_twice_is_blamed(photo: Path, opened: Opener) -> None:
    """A file whose reading ends two workers is refused as crashed, and the next file is read (T25)."""
    file = opened(photo)
    async with running() as pool:
        task = asyncio.create_task(pool.read_facts([(file, "photo.jpg")]))
        killed: set[int] = set()
        while not task.done():
            for pid in set(pool.pids) - killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            await asyncio.sleep(0)
        (refusal,) = await task
        assert isinstance(refusal, Refusal)
        assert refusal.reason == "crashed"
        assert len(killed) == 2
        assert is_whole(await pool.read_content(file, "photo.jpg"), photo)


async def test_batch_that_kills_is_tried_file_by_file(photo: Path, opened: Opener) -> None:
    """When a batch ends its worker, its innocent files still get their facts (T25)."""
    file = opened(photo)
    async with running() as pool:
        await pool.hash_only(file)
        (pid,) = pool.pids
        os.kill(pid, signal.SIGSTOP)
        task = asyncio.create_task(pool.read_facts([(file, f"{i}.jpg") for i in range(5)]))
        await until(lambda: pool.active == 1)
        os.kill(pid, signal.SIGKILL)
        assert all(isinstance(item, Facts) for item in await task)


async def test_deadline(photo: Path, opened: Opener) -> None:
    """A worker that does not answer by the deadline is killed, its file refused as too slow, its hash still made."""
    file = opened(photo)
    async with running(seconds=0.3) as pool:
        await pool.hash_only(file)
        os.kill(pool.pids[0], signal.SIGSTOP)
        content = await pool.read_content(file, "photo.jpg")
    assert isinstance(content, Content)
    assert is_whole(content, photo)
    assert content.refusal is not None
    assert content.refusal.reason == "too_slow"


async def test_memory_cap(photo: Path, opened: Opener) -> None:
    """A header that makes the decoder take more memory than allowed costs that file only (T25)."""
    data = photo.read_bytes()
    frame = data.index(b"\xff\xc0")
    hostile = photo.with_name("hostile.jpg")
    hostile.write_bytes(data[: frame + 5] + b"\xff\xdc\xff\xdc" + data[frame + 9 :])
    async with running(memory_mb=64, max_pixels=4_300_000_000) as pool:
        content = await pool.read_content(opened(hostile), "hostile.jpg")
        assert is_whole(await pool.read_content(opened(photo), "photo.jpg"), photo)
    assert isinstance(content, Content)
    assert is_whole(content, hostile)
    assert content.refusal is not None
    assert content.refusal.reason == "out_of_memory"


@pytest.mark.parametrize(("memory_mb", "reason"), [(192, None), (64, "needs_memory")])
async def test_heavy_picture(tmp_path: Path, opened: Opener, memory_mb: int, reason: str | None) -> None:
    """A picture that takes much memory is decoded alone if it fits a worker at all, else refused as too large."""
    path = tmp_path / "heavy.gif"
    Image.new("L", (8000, 6000), 200).save(path)
    files = [opened(path) for _ in range(3)]
    async with running(workers=2, memory_mb=memory_mb) as pool:
        found = await asyncio.gather(*(pool.read_content(file, "heavy.gif") for file in files))
    for content in found:
        assert isinstance(content, Content)
        assert is_whole(content, path)
        assert (content.refusal.reason if content.refusal else None) == reason
        assert bool(content.thumbnails) == (reason is None)


async def test_interactive_job_does_not_wait(photo: Path, opened: Opener) -> None:
    """What somebody opens is made while every worker is busy in the background."""
    file = opened(photo)
    async with running() as pool:
        await pool.hash_only(file)
        (pid,) = pool.pids
        os.kill(pid, signal.SIGSTOP)
        waiting = [asyncio.create_task(pool.read_content(opened(photo), "photo.jpg")) for _ in range(4)]
        await until(lambda: pool.active == 1)
        assert is_whole(await pool.read_content(file, "photo.jpg", interactive=True), photo)
        assert not any(task.done() for task in waiting)
        os.kill(pid, signal.SIGCONT)
        assert all(is_whole(found, photo) for found in await asyncio.gather(*waiting))


async def test_cancelled_caller_leaves_the_pool_working(photo: Path, opened: Opener) -> None:
    """A caller that goes away takes its job along and disturbs nobody."""
    file = opened(photo)
    async with running() as pool:
        tasks = [asyncio.create_task(pool.read_content(opened(photo), "photo.jpg")) for _ in range(6)]
        await until(lambda: pool.active == 1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert is_whole(await pool.read_content(file, "photo.jpg"), photo)


async def test_full_queue_lets_callers_wait(photo: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """More jobs than the queue holds are all done."""
    monkeypatch.setattr(workers, "QUEUE_LENGTH", 2)
    file = opened(photo)
    async with running() as pool:
        found = await asyncio.gather(*(pool.hash_only(file) for _ in range(20)))
    assert all(is_whole(item, photo) for item in found)


async def test_idle_pool_has_no_processes(photo: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some time after the last job no worker process is left."""
    monkeypatch.setattr(workers, "IDLE_S", 0.05)
    file = opened(photo)
    async with running(workers=2) as pool:
        await asyncio.gather(*(pool.hash_only(file) for _ in range(8)))
        await until(lambda: not pool.pids)
        assert is_whole(await pool.hash_only(file), photo)


async def test_directory_is_unreadable(tmp_path: Path, opened: Opener) -> None:
    """A descriptor that cannot be read gives a refusal, not an exception."""
    async with running() as pool:
        found = await pool.read_content(opened(tmp_path), "folder.jpg")
        (facts,) = await pool.read_facts([(opened(tmp_path), "folder.jpg")])
    assert isinstance(found, Refusal)
    assert found.reason == "unreadable"
    assert isinstance(facts, Refusal)


async def test_sandbox_is_reported(photo: Path, opened: Opener) -> None:
    """The pool can say what its workers' sandbox has in force."""
    async with running() as pool:
        assert pool.sandbox_report == {}
        await pool.hash_only(opened(photo))
        assert {"memory", "limits", "priority"} <= set(pool.sandbox_report)


MEDIA = os.environ.get("PIXLSRVE_TEST_MEDIA")


@pytest.mark.skipif(not MEDIA, reason="PIXLSRVE_TEST_MEDIA does not name the folder of the large media set")
async def test_whole_media_set(opened: Opener) -> None:
    """Every sound picture and film of the set gets thumbnails of its shape, every damaged file an answer (T25)."""
    root = Path(MEDIA or "")
    entries = _entries(root)
    wrong: list[str] = []
    async with running(workers=2) as pool:
        for entry in entries:
            found = await pool.read_content(opened(root / entry["path"]), Path(entry["path"]).name)
            assert isinstance(found, Content), entry["path"]
            assert found.sha256.hex() == entry["sha256"]
            if entry["kind"] in {"photo", "video"} and entry["pixels_ok"] and not _fits(found, entry):
                wrong.append(f"{entry['path']}: {found.refusal}")
            if found.refusal is not None and found.refusal.reason in {"crashed", "too_slow", "out_of_memory"}:
                wrong.append(f"{entry['path']}: {found.refusal.reason}")
    assert wrong == []


def _entries(root: Path) -> list[dict[str, Any]]:
    return [entry for entry in json.loads((root / "expected.json").read_text()) if (root / entry["path"]).is_file()]


def _fits(found: Content, entry: dict[str, Any]) -> bool:
    width, height = entry["oriented_width"], entry["oriented_height"]
    if sorted(found.thumbnails) != [200, 400, 800] or not isinstance(width, int) or not isinstance(height, int):
        return False
    if entry["note"] or entry["size_disputed"]:
        return True
    scale = min(1, 400 / max(width, height))
    with Image.open(io.BytesIO(found.thumbnails[400]), formats=["JPEG"]) as image:
        return abs(image.width - width * scale) <= 1 and abs(image.height - height * scale) <= 1


async def test_what_keeps_workers_from_starting_is_told(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While no process can be started the notices say so with a remedy, and no longer once one can."""
    (tmp_path / "file").write_bytes(b"content")
    async with running() as pool:
        assert pool.notices() == []
        with monkeypatch.context() as patch:
            patch.setattr(process, "command", lambda: [str(tmp_path / "nothing")])
            with pytest.raises(Unavailable):
                await pool.hash_only(opened(tmp_path / "file"))
            (notice,) = pool.notices()
            assert notice["message"].startswith("Photos can't be read: ")
            assert "doctor" in notice["remedy"]
        assert isinstance(await pool.hash_only(opened(tmp_path / "file")), Content)
        assert pool.notices() == []
