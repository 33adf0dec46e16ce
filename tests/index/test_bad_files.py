"""Broken and hostile files cost nobody else anything (DESIGN sections 7 and 9, T25), with a real daemon."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon, StartDaemon, daemons
from tests.index.library import make_photo, make_photos

__all__ = ["daemons"]

MEDIA = os.environ.get("PIXLSRVE_TEST_MEDIA")
LIMITS = {f"PIXLSRVE_RATE_LIMITS__{name}": "off" for name in ("PHOTOS", "BROWSE", "THUMBNAILS", "OTHER")}
BAD = {
    "empty.jpg": b"",
    "text.jpg": b"this is no picture\n",
    "half.jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "zeros.png": bytes(4_096),
    "film.mp4": b"\0\0\0\x18ftypisom" + b"\xa5" * 5_000,
    "song.mp3": b"ID3\x04\0\0\x7f\x7f\x7f\x7f",
}


def pages(daemon: Daemon, token: str, path: str, key: str) -> Iterator[dict[str, Any]]:
    """Every entry of a list of the API, following its cursors."""
    cursor = ""
    while True:
        code, answer = daemon.get(f"{path}{'&' if '?' in path else '?'}limit=200{cursor}", token)
        assert code == 200, answer
        yield from answer[key]
        if not answer["pagination"]["next_cursor"]:
            return
        cursor = f"&cursor={answer['pagination']['next_cursor']}"


def quarantine(daemon: Daemon, token: str) -> dict[str, str]:
    """Name to reason of the files in quarantine."""
    found = pages(daemon, token, "/api/v1/host/quarantine", "files")
    return {entry["path"].rpartition("/")[2]: entry["reason"] for entry in found}


def listed(daemon: Daemon, token: str) -> list[str]:
    """The names of the photos, films and sounds that are shown."""
    return sorted(
        entry["filename"]
        for kind in ("photo", "video", "audio")
        for entry in pages(daemon, token, f"/api/v1/photos?kind={kind}", "photos")
    )


def quarantine_lines(daemon: Daemon) -> list[dict[str, Any]]:
    """The log's lines about files put into quarantine."""
    lines = [json.loads(line) for line in daemon.log_lines if line.startswith("{")]
    return [line for line in lines if line["event"] == "file is in quarantine"]


def test_bad_files_are_quarantined_once_and_good_ones_listed(daemons: StartDaemon, tmp_path: Path) -> None:
    """T25: each bad file has a reason and one line in the log, a restart does not try it again, a change does."""
    photos = tmp_path / "photos"
    make_photos(photos, 3)
    for name, data in BAD.items():
        (photos / name).write_bytes(data)
    daemon = daemons("--photos", str(photos), env=LIMITS).start()
    token = daemon.token()
    assert daemon.wait_indexed()["indexing_status"]["quarantined"] == len(BAD)
    assert set(quarantine(daemon, token)) == set(BAD)
    assert all(quarantine(daemon, token).values())
    assert listed(daemon, token) == [f"IMG_{i:04}.jpg" for i in range(3)]
    assert len(quarantine_lines(daemon)) == len(BAD)
    daemon.wait_indexed()
    assert len(quarantine_lines(daemon)) == len(BAD)
    daemon.stop()
    daemon.start()
    daemon.wait_indexed()
    assert set(quarantine(daemon, token)) == set(BAD)
    assert quarantine_lines(daemon) == []
    make_photo(photos / "half.jpg", 42)
    daemon.wait_indexed()
    assert set(quarantine(daemon, token)) == BAD.keys() - {"half.jpg"}
    assert "half.jpg" in listed(daemon, token)


def test_what_is_no_regular_file_is_passed_over(daemons: StartDaemon, tmp_path: Path) -> None:
    """T19: pipes, sockets, devices, folders and links with a picture's name are not listed; nobody waits for them."""
    photos = tmp_path / "photos"
    make_photos(photos, 2)
    make_photo(tmp_path / "elsewhere/secret.jpg", 9)
    os.mkfifo(photos / "pipe.jpg")
    os.mkfifo(photos / ".pixlsrveignore")
    (photos / "folder.jpg").mkdir()
    make_photo(photos / "folder.jpg/inside.jpg", 10)
    (photos / "out.jpg").symlink_to(tmp_path / "elsewhere/secret.jpg")
    (photos / "in.jpg").symlink_to("IMG_0000.jpg")
    (photos / "dangling.jpg").symlink_to("nowhere")
    (photos / "outside").symlink_to(tmp_path / "elsewhere")
    (photos / "loop").symlink_to(".")
    (photos / "null.jpg").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(photos / "socket.jpg"))
        daemon = daemons("--photos", str(photos), env=LIMITS).start()
        daemon.wait_indexed()
        token = daemon.token()
        assert listed(daemon, token) == ["IMG_0000.jpg", "IMG_0001.jpg", "inside.jpg"]
        assert quarantine(daemon, token) == {}


@pytest.mark.skipif(MEDIA is None, reason="PIXLSRVE_TEST_MEDIA does not name the folder of test media")
def test_whole_media_set(daemons: StartDaemon, tmp_path: Path) -> None:
    """Every file of the media set is listed or in quarantine with a reason; nothing crashes, nobody is left out."""
    assert MEDIA is not None
    photos = tmp_path / "photos"
    shutil.copytree(MEDIA, photos)
    with tarfile.open(photos / "awkward-names.tar") as archive:
        archive.extractall(photos, filter="fully_trusted")  # noqa: S202  # the set is ours
    expected = json.loads((photos / "expected.json").read_text("utf-8"))
    daemon = daemons("--photos", str(photos), env=LIMITS).start()
    daemon.cli("status")
    token = daemon.token()
    daemon.wait_indexed()
    shown, refused = listed(daemon, token), quarantine(daemon, token)
    assert daemon.get("/healthz")[0] == 200
    # What no other reader could decode is in quarantine, or we can and its picture is there.
    corrupt = {entry["path"].rpartition("/")[2] for entry in expected if entry["kind"] == "corrupt"}
    for photo in pages(daemon, token, "/api/v1/photos?kind=photo", "photos"):
        if photo["filename"] in corrupt:
            assert daemon.get(f"/api/v1/photos/{photo['id']}/thumbnail", token)[0] == 200, photo["filename"]
            corrupt.discard(photo["filename"])
    assert corrupt - set(refused) == set()
    sound = [entry for entry in expected if entry["kind"] in ("photo", "video", "audio") and entry["pixels_clean"]]
    assert [entry["path"] for entry in sound if entry["path"].rpartition("/")[2] in refused] == []
    assert len(quarantine_lines(daemon)) == json.loads(daemon.cli("status", "--json"))["indexing_status"]["quarantined"]
    assert "Traceback" not in daemon.log
    daemon.stop()
    daemon.start()
    daemon.wait_indexed()
    assert quarantine_lines(daemon) == []
    assert listed(daemon, token) == shown
