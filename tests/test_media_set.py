"""The whole way, on the large media set: files on disk, a real daemon, and what its API says of each file.

Expected values are those of ExifTool and ffprobe in the set's `expected.json`; the differences that are allowed here
are the rules of `docs/formats.md`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon
from tests.media_set import SET, copy_set, needs_set

OPTIONS = ("--no-tls", "--no-mdns", "--no-vpn")

pytestmark = needs_set


class Library:
    """What a daemon says of the set."""

    def __init__(self, daemon: Daemon, root: Path) -> None:
        self.daemon = daemon
        self.token = daemon.token()
        self.root = root
        rows = json.loads((Path(SET) / "expected.json").read_text("utf-8"))
        self.expected: list[dict[str, Any]] = [row for row in rows if (root / row["path"]).exists()]
        self.shown = {item["path"]: item for kind in ("", "&kind=audio") for item in self.all("photos", kind)}
        self.quarantine = {item["path"]: item for item in self.all("host/quarantine", "")}

    def all(self, what: str, more: str) -> list[dict[str, Any]]:
        """Every item of a list, page by page."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            status, answer = self.daemon.get(f"/api/v1/{what}?limit=200{more}{cursor}", self.token)
            assert status == 200, answer
            found += answer["files" if "files" in answer else "photos"]
            if answer["pagination"]["next_cursor"] is None:
                return found
            cursor = f"&cursor={answer['pagination']['next_cursor']}"

    def pairs(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Each shown file with what is expected of it; what no reader could decode is left out."""
        for row in self.expected:
            item = self.shown.get(f"/{self.root.name}/{row['path']}")
            if item is not None and row["kind"] != "corrupt":
                yield row, item


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """The set, indexed by a daemon that runs for all tests of this module."""
    folder = tmp_path_factory.mktemp("set")
    root = copy_set(folder / "Media")
    daemon = Daemon(folder / "data", "--photos", str(root), *OPTIONS).start()
    try:
        daemon.wait_indexed()
        yield Library(daemon, root)
    finally:
        daemon.stop()


def test_every_sound_file_is_listed(library: Library) -> None:
    """Photos, films and songs that some decoder can show are in the library, except hidden ones and a film's photo."""
    missing = [
        row["path"]
        for row in library.expected
        if row["kind"] in ("photo", "video", "audio") and row["pixels_ok"]
        if f"/{library.root.name}/{row['path']}" not in library.shown
        if not _is_passed_over(row["path"])
    ]
    live = [row["path"] for row in library.expected if row["kind"] == "video" and row["content_identifier"]]
    assert sorted(missing) == sorted(path for path in live if path in missing)


def _is_passed_over(path: str) -> bool:
    """Hidden names, and names without an ending (docs/formats.md)."""
    return any(part.startswith(".") for part in path.split("/")) or "." not in path.rpartition("/")[2]


def test_what_no_reader_decodes_is_in_quarantine_with_a_reason(library: Library) -> None:
    """A file without recognisable or decodable content is listed with a reason, or shown as far as it goes."""
    for row in library.expected:
        path = f"/{library.root.name}/{row['path']}"
        if row["kind"] == "corrupt" and path not in library.shown:
            assert library.quarantine[path]["reason"], row["path"]


def test_bytes_and_kinds(library: Library) -> None:
    """Hash, size and kind of every file are what independent tools say."""
    wrong = [
        (row["path"], item["kind"])
        for row, item in library.pairs()
        if (item["sha256"], item["size_bytes"]) != (row["sha256"], row["size_bytes"])
        or (row["kind"] != "other" and item["kind"] != row["kind"])
    ]
    assert wrong == []


def test_sizes_are_as_displayed(library: Library) -> None:
    """Width and height have orientation applied; raw files are measured as shown, other readers disagree on some."""
    wrong = [
        (row["path"], (item["width"], item["height"]), (row["oriented_width"], row["oriented_height"]))
        for row, item in library.pairs()
        if row["kind"] in ("photo", "video") and not row["size_disputed"] and not row["path"].startswith("raw/")
        if (item["width"], item["height"]) != (row["oriented_width"], row["oriented_height"])
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("field", "expected"), [("camera", "camera_model"), ("lens", "lens"), ("exposure", "exposure"), ("iso", "iso")]
)
def test_camera_facts(library: Library, field: str, expected: str) -> None:
    """Camera, lens, exposure and ISO are those of the Exif block."""
    wrong = [
        (row["path"], item["metadata"][field], row[expected])
        for row, item in library.pairs()
        if not row["path"].startswith("raw/")
        if item["metadata"][field] != (row[expected].strip() if isinstance(row[expected], str) else row[expected])
    ]
    assert wrong == []


def test_positions(library: Library) -> None:
    """Positions agree to 0.00001 degree; impossible ones, and exactly 0, 0, count as absent."""
    wrong = []
    for row, item in library.pairs():
        gps, location = row["gps"], item["metadata"]["location"]
        if gps is None or row["note"] is not None or (gps["latitude"], gps["longitude"]) == (0, 0):
            continue
        expected = (round(gps["latitude"], 4), round(gps["longitude"], 4))
        if location is None or (round(location["latitude"], 4), round(location["longitude"], 4)) != expected:
            wrong.append((row["path"], location, gps))
    assert wrong == []


def test_capture_times(library: Library) -> None:
    """A valid DateTimeOriginal is the wall clock of the capture."""
    wrong = []
    for row, item in library.pairs():
        taken = row["date_time_original"]
        if taken is None or not taken[:4].isdigit() or taken.startswith("0000"):
            continue
        local = (item["taken_at_local"] or "").replace("-", ":").replace("T", " ")
        if local[:19] != taken[:19]:
            wrong.append((row["path"], item["taken_at_local"], taken))
    assert wrong == []


def test_durations(library: Library) -> None:
    """Films and songs last what ffprobe says, to 0.2 s; Opus leaves out its pre-skip (docs/formats.md)."""
    wrong = [
        (row["path"], item["duration_s"], row["duration_s"])
        for row, item in library.pairs()
        if row["duration_s"] is not None and item["format"] != "opus" and row["kind"] in ("video", "audio")
        if item["duration_s"] is None or abs(item["duration_s"] - row["duration_s"]) > 0.2
    ]
    assert wrong == []


def test_every_shown_picture_has_a_thumbnail(library: Library) -> None:
    """Whatever some decoder can show has a thumbnail in its own proportions."""
    for row, item in library.pairs():
        if row["kind"] in ("photo", "video") and row["pixels_ok"]:
            status, body = library.daemon.get(f"/api/v1/photos/{item['id']}/thumbnail?size=small", library.token)
            assert status == 200, (row["path"], body)
