"""Full disks, damaged databases, missing rights, and originals that are only ever read (T20, T32, T39)."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon, StartDaemon, daemons
from tests.index.library import make_photo, make_photos

__all__ = ["daemons"]

LIMIT_S = 120.0
WRITING = ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC")
UNLIMITED = {f"PIXLSRVE_RATE_LIMITS__{name}": "off" for name in ("PHOTOS", "BROWSE", "THUMBNAILS", "OTHER")}


def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition()` holds."""
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.05)


def photos_of(daemon: Daemon, token: str) -> list[dict[str, Any]]:
    """The library's photos, at most 500."""
    code, answer = daemon.get("/api/v1/photos?limit=500", token)
    assert code == 200, answer
    photos: list[dict[str, Any]] = answer["photos"]
    return photos


def ids_of(daemon: Daemon, token: str) -> dict[str, str]:
    """File name to id."""
    return {photo["filename"]: photo["id"] for photo in photos_of(daemon, token)}


def state_of(daemon: Daemon) -> dict[str, Any]:
    """What `status --json` says."""
    answer: dict[str, Any] = json.loads(daemon.cli("status", "--json"))
    return answer


def assert_serves(daemon: Daemon, token: str) -> None:
    """Lists, thumbnails and originals are answered."""
    photo = photos_of(daemon, token)[0]
    assert daemon.get(f"/api/v1/photos/{photo['id']}/thumbnail", token)[0] == 200
    assert daemon.get(f"/api/v1/photos/{photo['id']}/full", token)[0] == 200
    assert daemon.get("/api/v1/albums", token)[0] == 200
    assert daemon.get("/healthz")[0] in (200, 503)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 80 MB for the data directory."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root: run the tests as root to cover this")
    folder = tmp_path / "data"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=80m,mode=0700", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("file systems can't be mounted here (no CAP_SYS_ADMIN)")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> Path:
    """Use up all room; the file to delete afterwards."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for piece in (1 << 20, 4_096, 1):
            while True:
                try:
                    file.write(bytes(piece))
                except OSError:
                    break
    return ballast


def test_full_disk_stops_no_reading_and_mends_itself(daemons: StartDaemon, tmp_path: Path, small_disk: Path) -> None:
    """T32: with no byte left everything indexed is served; when there is room again indexing goes on by itself."""
    root = tmp_path / "photos"
    make_photos(root, 20)
    daemon = daemons("--photos", str(root), data_dir=small_disk, env=UNLIMITED).start()
    token = daemon.token()
    daemon.wait_indexed()
    before = ids_of(daemon, token)
    ballast = fill(small_disk)
    for number in range(200):
        make_photo(root / "more" / f"new {number:03}.jpg", 1_000 + number, size=(320, 240))
    until(lambda: "can't be written" in daemon.log)
    for _ in range(20):
        assert_serves(daemon, token)
    assert before.items() <= ids_of(daemon, token).items()
    assert daemon.process is not None
    assert daemon.process.poll() is None
    assert len([line for line in daemon.log_lines if "can't be written" in line]) <= 2
    ballast.unlink()
    until(lambda: len(ids_of(daemon, token)) == 220)
    until(lambda: not state_of(daemon)["indexing_status"]["in_progress"])
    assert before.items() <= ids_of(daemon, token).items()
    assert_serves(daemon, token)
    assert "Traceback" not in daemon.log
    assert daemon.stop() == 0


def test_start_on_a_full_disk(daemons: StartDaemon, tmp_path: Path, small_disk: Path) -> None:
    """A start without room either works or says in one sentence that the disk is full, and then works with room."""
    root = tmp_path / "photos"
    make_photos(root, 5)
    daemon = daemons("--photos", str(root), data_dir=small_disk, env=UNLIMITED).start()
    token = daemon.token()
    daemon.wait_indexed()
    before = ids_of(daemon, token)
    assert daemon.stop() == 0
    ballast = fill(small_disk)
    code, out, err = daemons("--photos", str(root), data_dir=small_disk).run_to_end()
    assert (code, out) == (1, "")
    assert "full" in err.splitlines()[-1]
    assert "Traceback" not in err
    ballast.unlink()
    daemon.start()
    assert ids_of(daemon, token) == before


def damage_middle(path: Path) -> None:
    """Garbage from the second page on."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4_096)
        file.write(os.urandom(size - 4_096))


def damage_some_pages(path: Path) -> None:
    """Garbage in the pages of the last third, as a dying disk leaves it."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 3 * 2 // 4_096 * 4_096)
        file.write(os.urandom(size // 4))


def truncate(path: Path) -> None:
    """The second half is not there."""
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    """Nothing is left in it, as after a power cut."""
    os.truncate(path, 0)


def delete(path: Path) -> None:
    """It is gone."""
    path.unlink()


@pytest.mark.parametrize("harm", [damage_middle, damage_some_pages, truncate, empty, delete], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", ["index.db", "state.db", "thumbnails.db"])
def test_harmed_database_needs_no_hand(
    daemons: StartDaemon, tmp_path: Path, name: str, harm: Callable[[Path], None]
) -> None:
    """T39: a harmed index is made again, harmed state is restored from its copy; ids, tokens and pictures stay."""
    root = tmp_path / "photos"
    make_photos(root / "a", 12)
    daemon = daemons("--photos", str(root), env=UNLIMITED).start()
    token = daemon.token()
    daemon.wait_indexed()
    (root / "a/IMG_0003.jpg").rename(root / "moved.jpg")
    daemon.wait_indexed()
    before = ids_of(daemon, token)
    album_ids = {album["path"]: album["id"] for album in daemon.get("/api/v1/albums", token)[1]["albums"]}
    daemon.stop()
    daemon.start()  # the copy of the state is made at each start
    until((daemon.data_dir / "backup/state.db").exists)
    daemon.stop()
    harm(daemon.data_dir / name)
    daemon.start()
    daemon.wait_indexed()
    assert ids_of(daemon, token) == before
    assert {album["path"]: album["id"] for album in daemon.get("/api/v1/albums", token)[1]["albums"]} == album_ids
    for photo in photos_of(daemon, token):
        assert daemon.get(f"/api/v1/photos/{photo['id']}/thumbnail", token)[0] == 200
    assert daemon.stop() == 0
    for each in ("index.db", "state.db", "thumbnails.db"):
        with closing(sqlite3.connect(daemon.data_dir / each)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def tree(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything that can be told of a tree without changing it: kind, mode, size, times, owner, content."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [root, *sorted(root.rglob("*"))]:
        status = path.lstat()
        content = b""
        if path.is_file() and not path.is_symlink():
            with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOATIME", 0)), "rb") as file:
                content = file.read()
        times = (status.st_atime_ns if path.is_file() else 0, status.st_mtime_ns, status.st_ctime_ns)
        found[str(path)] = (status.st_mode, status.st_size, *times, status.st_uid, status.st_gid, content)
    return found


def use_everything(daemon: Daemon) -> None:
    """Index, browse, fetch, convert, search, scan, and ask for what is not there."""
    token = daemon.token()
    daemon.wait_indexed()
    for photo in photos_of(daemon, token):
        for size in ("small", "medium", "large"):
            daemon.get(f"/api/v1/photos/{photo['id']}/thumbnail?size={size}", token)
        daemon.get(f"/api/v1/photos/{photo['id']}/full", token, Range="bytes=0-9")
        daemon.get(f"/api/v1/photos/{photo['id']}/full?format=jpeg", token)
    for path in ("/api/v1/albums", "/api/v1/photos/search?q=img", "/api/v1/host/quarantine", "/api/v1/timeline"):
        assert daemon.get(path, token)[0] == 200
    daemon.get("/api/v1/photos/..%2f..%2fetc%2fpasswd/full", token)
    daemon.cli("scan", "--full", "--wait")
    daemon.cli("scan", "--accept-removals", "--wait")


def library_with_everything(root: Path) -> None:
    """Good, broken, linked, hidden and awkward files."""
    make_photos(root / "a", 5)
    make_photos(root / "b/c", 5, first_seed=50)
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff" + os.urandom(3_000))
    (root / "empty.png").touch()
    (root / "link.jpg").symlink_to("a/IMG_0000.jpg")
    os.mkfifo(root / "pipe.jpg")
    (root / ".pixlsrveignore").write_text("nothing\n")
    make_photo(root / os.fsdecode(b"\xff\n.jpg"), 77)
    for path in root.rglob("*.jpg"):
        if path.is_file() and not path.is_symlink():
            os.utime(path, ns=(1_000_000_000, 1_600_000_000_123_456_789))
    (root / "a").chmod(0o755)


def test_originals_are_as_they_were(daemons: StartDaemon, tmp_path: Path) -> None:
    """T20: after indexing, browsing and failing nothing below a root is different, not even an access time."""
    root = tmp_path / "photos"
    library_with_everything(root)
    before = tree(root)
    daemon = daemons("--photos", str(root), env=UNLIMITED).start()
    use_everything(daemon)
    daemon.stop(9)
    daemon.start()
    use_everything(daemon)
    assert daemon.stop() == 0
    assert tree(root) == before


def test_library_on_a_read_only_disk(daemons: StartDaemon, tmp_path: Path) -> None:
    """T20: everything works on a read-only mount."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root: run the tests as root to cover this")
    root, source = tmp_path / "photos", tmp_path / "source"
    library_with_everything(source)
    root.mkdir()
    if subprocess.run(["mount", "--bind", source, root], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not possible here (no CAP_SYS_ADMIN)")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", root], check=True)
        daemon = daemons("--photos", str(root), env=UNLIMITED).start()
        use_everything(daemon)
        assert state_of(daemon)["indexing_status"]["photos_indexed"] == 11
        assert daemon.stop() == 0
    finally:
        subprocess.run(["umount", "-l", root], check=True)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_nothing_below_a_root_is_opened_for_writing(
    daemons: StartDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T20: the system calls of daemon and workers name no file below a root other than for reading."""
    root, trace = tmp_path / "the-originals", tmp_path / "trace"
    library_with_everything(root)
    from tests.daemon import COMMAND

    calls = (
        "openat,open,openat2,creat,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,rmdir,chmod,fchmodat,chown,"
        "fchownat,utimensat,truncate,link,linkat,symlinkat,mknodat,setxattr"
    )
    tracer = ["strace", "-f", "-qq", "-y", "-s", "4096", "-o", str(trace), "-e", f"trace={calls}", "-e", "signal=none"]
    monkeypatch.setattr("tests.daemon.COMMAND", [*tracer, *COMMAND])
    daemon = daemons("--photos", str(root), env=UNLIMITED)
    try:
        daemon.start()
    except AssertionError:
        pytest.skip("processes can't be traced here")
    monkeypatch.undo()
    use_everything(daemon)
    # strace passes no signal on; the daemon is its only child.
    child = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()[0]
    os.kill(int(child), 15)
    daemon.stop()
    lines = [line for line in trace.read_text(errors="replace").splitlines() if str(root) in line]
    assert any("IMG_0000.jpg" in line for line in lines)
    reads = ("openat(", "openat2(", "open(")
    wrong = [
        line
        for line in lines
        if not any(f" {call}" in line for call in reads)
        or any(f in line for f in ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"))
    ]
    assert [line for line in wrong if "resumed" not in line] == []


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv")
def test_unreadable_files_and_folders(daemons: StartDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rights are missing, the rest is served; files get a reason, folders a line, and rights given later help."""
    from tests.daemon import COMMAND

    # Root without the two capabilities that let it pass over modes: as an ordinary owner.
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    if subprocess.run([*drop, *COMMAND, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("capabilities can't be dropped here")
    root = tmp_path / "photos"
    make_photos(root, 4)
    make_photos(root / "locked", 3, first_seed=50)
    make_photos(root / "unlisted", 3, first_seed=80)
    (root / "IMG_0002.jpg").chmod(0)
    (root / "locked").chmod(0)
    (root / "unlisted").chmod(0o311)
    monkeypatch.setattr("tests.daemon.COMMAND", [*drop, *COMMAND])
    daemon = daemons("--photos", str(root), env=UNLIMITED).start()
    token = daemon.token()
    assert daemon.wait_indexed()["indexing_status"]["quarantined"] == 1
    assert set(ids_of(daemon, token)) == {"IMG_0000.jpg", "IMG_0001.jpg", "IMG_0003.jpg"}
    (entry,) = daemon.get("/api/v1/host/quarantine", token)[1]["files"]
    assert (entry["filename"], entry["reason"]) == ("IMG_0002.jpg", "unreadable")
    daemon.wait_logged("locked")
    make_photo(root / "new.jpg", 99)
    until(lambda: "new.jpg" in ids_of(daemon, token))
    for path in ("IMG_0002.jpg", "locked", "unlisted"):
        (root / path).chmod(0o755)
    daemon.wait_indexed()
    assert len(photos_of(daemon, token)) == 11
    before = {photo["id"] for photo in photos_of(daemon, token)}
    (root / "locked").chmod(0)
    daemon.cli("scan", "--full", "--wait")
    assert {photo["id"] for photo in photos_of(daemon, token)} | before == before
    assert state_of(daemon)["photo_roots"][0]["state"] == "online"
    (root / "locked").chmod(0o755)
    daemon.wait_indexed()
    assert {photo["id"] for photo in photos_of(daemon, token)} == before
    daemon.stop()
