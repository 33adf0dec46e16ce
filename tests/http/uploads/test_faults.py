"""Disks that fail, fill up or turn read-only in the middle of uploads (THREATS T21, T32)."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import Daemon, StartDaemon
from tests.uploading import DROPPED, ROOMY, Answer, Phone, files_in, picture, sound

LIMIT_S = 180.0
CRASH = "signal=KILL"
"""strace's word for a process that ends as it makes the call."""
NEEDS_STRACE = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


@contextlib.contextmanager
def failing(daemon: Daemon, calls: str, error: str, path: Path | None = None) -> Iterator[None]:
    """These system calls of the running daemon fail for the length of the block, on `path` alone where one is given."""
    only = [] if path is None else ["-P", str(path)]
    options = ["-f", "-qq", *only, "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}", "-e", "signal=none"]
    tracer = subprocess.Popen(["strace", *options, "-o", "/dev/null", "-p", str(daemon.pid)], stderr=subprocess.PIPE)
    assert tracer.stderr is not None
    try:
        limit = time.monotonic() + LIMIT_S
        while "TracerPid:\t0" in Path(f"/proc/{daemon.pid}/status").read_text():
            if tracer.poll() is not None:
                pytest.skip(f"processes can't be traced here: {tracer.stderr.read().decode()}")
            assert time.monotonic() < limit
            time.sleep(0.01)
        yield
    finally:
        if CRASH in error:
            tracer.kill()  # it waits for threads that are no more
        else:
            tracer.terminate()
        tracer.wait()
        tracer.stderr.close()


def reason(answer: Answer) -> str:
    """The stable word of an error."""
    return str(answer.json["error"]["details"]["reason"])


def whole_files(daemon: Daemon) -> list[str]:
    """The names of finished files."""
    return [path.name for path in files_in(daemon) if ".incoming" not in path.parts]


def day_folder(daemon: Daemon) -> Path:
    """Where today's uploads are."""
    (folder,) = (path for path in (daemon.data_dir / "storage" / "uploads").iterdir() if path.name != ".incoming")
    return folder


@NEEDS_STRACE
@pytest.mark.parametrize("place", ["file", "folder", "state"])
@pytest.mark.parametrize(("error", "status"), [("EIO", 500), ("ENOSPC", 507)])
def test_a_failed_fsync_fails_the_upload(started: Daemon, place: str, error: str, status: int) -> None:
    """T21: whichever fsync fails, nobody is told that the file is there, none is, and sending again works."""
    phone, data = Phone(started), picture(1, 300_000)
    assert phone.upload(picture(2), "before.jpg").status == 201
    address = phone.create(len(data), "a.jpg").headers["Location"]
    number = address.rpartition("/")[2]
    paths = {
        "file": started.data_dir / "storage" / "uploads" / ".incoming" / f"{number}.part",
        "folder": day_folder(started),
        "state": started.data_dir / "state.db-wal",
    }
    with failing(started, "fsync,fdatasync", error, paths[place]):
        answer = phone.patch(address, 0, data)
        assert (answer.status, whole_files(started)) == (status if place != "state" else 500, ["before.jpg"])
        assert "Pixlsrve-Photo-Id" not in answer.headers
    again = phone.upload(data, "a.jpg")
    assert again.status == 201, again
    assert again.headers["Pixlsrve-Duplicate"] == "false"
    assert phone.original(again.headers["Pixlsrve-Photo-Id"]) == data
    assert whole_files(started) == ["a.jpg", "before.jpg"]


@NEEDS_STRACE
@pytest.mark.parametrize("calls", ["write", "mkdirat", "renameat2"])
def test_a_full_disk_at_any_step_leaves_nothing(started: Daemon, calls: str) -> None:
    """T32: 507 wherever the disk says that it is full, nothing left behind, and the next attempt succeeds."""
    phone, data = Phone(started), picture(3, 300_000)
    phone.create(1_000, "warm.wav")  # makes the folder for what arrives, so that only the day's is missing
    before = files_in(started)
    if calls == "write":
        address = phone.create(len(data), "a.jpg").headers["Location"]
        path = started.data_dir / "storage" / "uploads" / ".incoming" / f"{address.rpartition('/')[2]}.part"
        with failing(started, calls, "ENOSPC", path):
            answer = phone.patch(address, 0, data)
        assert phone.offset(address) == 0
        assert phone.ask("DELETE", address).status == 204
    else:
        with failing(started, calls, "ENOSPC"):
            answer = phone.ask("PUT", "/image/a.jpg", data)
    assert answer.status == 507, answer
    assert files_in(started) == before
    assert phone.ask("PUT", "/image/a.jpg", data).status == 201


@NEEDS_STRACE
def test_a_file_is_not_told_as_there_before_it_is_stored(started: Daemon) -> None:
    """T21: an upload whose end the disk refused is at its end only once it is stored, which asking for it does."""
    phone, data = Phone(started), picture(5, 300_000)
    address = phone.create(len(data), "a.jpg").headers["Location"]
    with failing(started, "renameat2", "ENOSPC"):
        assert phone.patch(address, 0, data).status == 507
        assert phone.ask("HEAD", address).status == 507
    answer = phone.ask("HEAD", address)
    assert (answer.status, answer.headers["Upload-Offset"]) == (200, str(len(data)))
    assert phone.original(answer.headers["Pixlsrve-Photo-Id"]) == data


@NEEDS_STRACE
@pytest.mark.parametrize("door", ["tus", "put"])
def test_a_crash_between_place_and_record(started: Daemon, door: str) -> None:
    """T21: the file stands there whole; who sends it again is told that it is there, and it is there once."""
    phone, data = Phone(started), picture(6, 300_000)
    assert phone.upload(picture(7), "before.jpg").status == 201
    address = phone.create(len(data), "a.jpg").headers["Location"]
    with (
        contextlib.suppress(*DROPPED),
        failing(started, "fsync,fdatasync", f"EIO:{CRASH}", day_folder(started)),
    ):
        if door == "put":
            phone.ask("PUT", "/image/a.jpg", data)
        else:
            phone.patch(address, 0, data)
    started.stop(signal.SIGKILL)
    assert whole_files(started) == ["a.jpg", "before.jpg"]
    started.start()
    assert phone.ask("HEAD", address).status == (404 if door == "tus" else 200)
    again = phone.ask("PUT", "/image/a.jpg", data)
    assert (again.status, again.json["message"]) == (200, "Image content already exists.")
    assert phone.ask("GET", f"/image/{again.json['sha256']}").body == data
    assert whole_files(started) == ["a.jpg", "before.jpg"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MB."""
    folder = tmp_path / "storage"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m,mode=0700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not possible here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_fills_up_and_is_emptied_again(daemons: StartDaemon, tmp_path: Path, small_disk: Path) -> None:
    """T32: what can't fit is refused at once, what meets a full disk is 507 and is resumed once there is room."""
    (tmp_path / "photos").mkdir()
    daemon = daemons("--photos", str(tmp_path / "photos"), "--storage-dir", str(small_disk), env=ROOMY).start()
    phone, data = Phone(daemon), sound(6_000_000, seed=4)
    refused = phone.create(20_000_000, "huge.wav")
    assert (refused.status, reason(refused)) == (507, "disk_full")
    assert phone.ask("PUT", "/image/a.jpg", picture(1, 20_000_000)).status == 507
    place = phone.create(len(data), "a.wav").headers["Location"]
    assert phone.patch(place, 0, data[:2_000_000]).status == 204
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb") as file:
        while True:
            file.write(bytes(65_536))
    assert phone.patch(place, 2_000_000, data[2_000_000:]).status == 507
    assert phone.ask("GET", "/api/v1/photos").status == 200
    ballast.unlink()
    offset = phone.offset(place)
    last = phone.patch(place, offset, data[offset:])
    assert last.status == 204, last
    assert phone.original(last.headers["Pixlsrve-Photo-Id"]) == data
    assert [path.name for path in small_disk.rglob("*.part")] == []


def test_the_reserve_stays_free(daemons: StartDaemon, tmp_path: Path, small_disk: Path) -> None:
    """T32: uploads leave the free space that the setting says."""
    (tmp_path / "photos").mkdir()
    env = {**ROOMY, "PIXLSRVE_UPLOADS__RESERVE_MB": "10"}
    daemon = daemons("--photos", str(tmp_path / "photos"), "--storage-dir", str(small_disk), env=env).start()
    phone = Phone(daemon)
    assert phone.create(4_000_000, "a.wav").status == 507
    assert phone.upload(picture(1), "a.jpg").status == 201


def test_a_read_only_disk_is_told(daemons: StartDaemon, tmp_path: Path, small_disk: Path) -> None:
    """T32: uploads are refused with a reason, reading goes on, and a disk that is writable again needs no restart."""
    (tmp_path / "photos").mkdir()
    daemon = daemons("--photos", str(tmp_path / "photos"), "--storage-dir", str(small_disk), env=ROOMY).start()
    phone = Phone(daemon)
    photo_id = phone.upload(picture(1), "a.jpg").headers["Pixlsrve-Photo-Id"]
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for answer in (phone.create(100, "b.wav"), phone.upload(picture(2), "b.jpg")):
        assert (answer.status, reason(answer)) == (500, "read_only")
    assert phone.ask("PUT", "/image/b.jpg", picture(2)).status == 500
    assert phone.original(photo_id) == picture(1)
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    assert phone.upload(picture(2), "b.jpg").status == 201
