"""`/media_post/` and `/media_get/` with curl (specs/flutter-app-backend.md, DESIGN sections 5 and 9)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import Daemon
from tests.uploading import ROOMY, Phone, files_in, picture, sound


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A running daemon."""
    folder = tmp_path_factory.mktemp("flutter")
    (folder / "photos").mkdir()
    running = Daemon(folder / "data", "--photos", str(folder / "photos"), env=ROOMY).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def token(daemon: Daemon) -> str:
    """What the door asks for."""
    return daemon.token()


def curl(daemon: Daemon, token: str, *arguments: str) -> tuple[int, bytes]:
    """Status and body of a request by curl, whose last argument is a path."""
    *options, path = arguments
    command = ["curl", "-sS", "-w", "\n%{http_code}", *(["-H", f"Authorization: Bearer {token}"] if token else [])]
    done = subprocess.run([*command, *options, daemon.url + path], capture_output=True, check=True)
    body, _, status = done.stdout.rpartition(b"\n")
    return int(status), body


def test_a_sound_goes_in_and_comes_out(daemon: Daemon, token: str, tmp_path: Path) -> None:
    """The specification's two curl calls, with a token: the answer letter for letter, and the very bytes back."""
    data = sound(50_000, seed=1)
    (tmp_path / "audio_test_1.wav").write_bytes(data)
    form = ["-F", f"file=@{tmp_path / 'audio_test_1.wav'}", "-F", "param1=test1", "-F", "param2=test2"]
    status, body = curl(daemon, token, "-X", "POST", *form, "/media_post/")
    answer = json.loads(body)
    media_id = answer["media_id"]
    assert status == 200
    assert list(answer.items()) == [
        ("status", "File saved"),
        ("media_id", media_id),
        ("filename", "audio_test_1.wav"),
        ("param1", "test1"),
        ("param2", "test2"),
        ("saved_to", "store/audio_test_1.wav"),
    ]
    assert curl(daemon, token, f"/media_get/?media_id={media_id}") == (200, data)
    assert curl(daemon, token, "-r", "10-19", f"/media_get/?media_id={media_id}") == (206, data[10:20])
    assert Phone(daemon, token).original(media_id) == data


def test_parameters_are_null_and_may_come_first(daemon: Daemon, token: str, tmp_path: Path) -> None:
    """Absent parameters are null; fields before the file count as well as those behind it; others are ignored."""
    (tmp_path / "a.jpg").write_bytes(picture(1))
    form = ["-F", "param2=zwei", "-F", f"file=@{tmp_path / 'a.jpg'}", "-F", "param3=drei"]
    answer = json.loads(curl(daemon, token, *form, "/media_post/")[1])
    assert (answer["param1"], answer["param2"]) == (None, "zwei")
    assert "param3" not in answer


def test_refusals(daemon: Daemon, token: str, tmp_path: Path) -> None:
    """The specification's words for what is missing, and nothing is left of what was refused."""
    before = files_in(daemon)
    (tmp_path / "a.txt").write_bytes(b"hello")
    asked = ["-F", "param1=x", "/media_post/"]
    assert curl(daemon, token, *asked) == (400, b'{"error":"No file part in the request"}')
    (tmp_path / "b.jpg").write_bytes(picture(77))
    wrong_name = ["-F", f"upload=@{tmp_path / 'b.jpg'}", "/media_post/"]
    assert curl(daemon, token, *wrong_name) == (400, b'{"error":"No file part in the request"}')
    assert curl(daemon, token, "-d", "x", "/media_post/") == (400, b'{"error":"No file part in the request"}')
    assert curl(daemon, token, "-F", f"file=@{tmp_path / 'a.txt'}", "/media_post/")[0] == 400
    assert curl(daemon, token, "/media_post/")[0] == 405
    assert curl(daemon, token, "-X", "PUT", "/media_post/")[0] == 405
    assert curl(daemon, token, "/media_get/") == (400, b'{"error":"media_id parameter is required"}')
    for unknown in ("none", "11111111-1111-1111-1111-111111111111"):
        assert curl(daemon, token, f"/media_get/?media_id={unknown}")[0] == 404
    for path in ("/media_post/", "/media_get/?media_id=x"):
        method = "POST" if "post" in path else "GET"
        assert curl(daemon, "", "-X", method, path) == (401, b'{"error":"Authentication required"}')
    assert files_in(daemon) == before


def test_damaged_media_is_there_for_who_sent_it(daemon: Daemon, token: str, tmp_path: Path) -> None:
    """What is in quarantine can still be fetched by its media id."""
    data = picture(9)[:50]
    (tmp_path / "a.jpg").write_bytes(data)
    media_id = json.loads(curl(daemon, token, "-F", f"file=@{tmp_path / 'a.jpg'}", "/media_post/")[1])["media_id"]
    assert curl(daemon, token, f"/media_get/?media_id={media_id}") == (200, data)
