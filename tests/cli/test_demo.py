"""`serve --demo`: a library that shows something at once, and touches nobody's own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pixlsrve.errors import StartError
from pixlsrve.media import demo
from tests.daemon import StartDaemon, daemons

__all__ = ["daemons"]


def test_demo_shows_something_at_once(daemons: StartDaemon, tmp_path: Path) -> None:
    """The demo has albums with dates and places, and three pieces of music, one with the specification's id."""
    daemon = daemons("--demo").start()
    daemon.wait_indexed()
    token = daemon.token()
    _, albums = daemon.get("/api/v1/albums", token)
    assert {album["name"]: album["photo_count"] for album in albums["albums"]} == {
        "Demo": 0,
        "Cape Town": 6,
        "Kyoto": 6,
        "Lisbon": 6,
        "Zermatt": 6,
    }
    _, found = daemon.get("/api/v1/photos/search?q=kyoto%20april", token)
    assert found["results_count"] == 6
    _, listed = daemon.get("/api/v1/photos?kind=audio", token)
    sounds = {photo["filename"]: photo for photo in listed["photos"]}
    assert sorted(sounds) == ["audio_test_1.mp3", "audio_test_2.mp3", "audio_test_3.mp3"]
    assert sounds["audio_test_1.mp3"]["id"] == "904cb473-5d17-4885-9363-46f466a7d140"
    assert all(sound["format"] == "mp3" and 4 < sound["duration_s"] < 5 for sound in sounds.values())


def test_demo_is_the_same_each_time(tmp_path: Path) -> None:
    """Two demos hold the same bytes; one that is there is left as it is."""

    def contents(folder: Path) -> dict[str, str]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    one, two = demo.make(tmp_path / "one"), demo.make(tmp_path / "two")
    assert one == tmp_path / "one-photos" / "Demo"
    assert contents(one) == contents(two)
    (one / "Music" / "audio_test_2.mp3").unlink()
    demo.make(tmp_path / "one")
    assert not (one / "Music" / "audio_test_2.mp3").exists()


def test_demo_touches_no_library(tmp_path: Path) -> None:
    """Neither a data directory in use nor a folder of somebody's own becomes a demo."""
    (tmp_path / "own-photos").mkdir()
    with pytest.raises(StartError, match="no folder of --demo"):
        demo.make(tmp_path / "own")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "state.db").touch()
    with pytest.raises(StartError, match="library of its own"):
        demo.make(tmp_path / "used")


def test_demo_brings_its_own_photos(daemons: StartDaemon, tmp_path: Path) -> None:
    """--photos and --demo together are a mistake, and exit with 2."""
    code, _, error = daemons("--demo", "--photos", str(tmp_path)).run_to_end()
    assert code == 2
    assert "--demo" in error
