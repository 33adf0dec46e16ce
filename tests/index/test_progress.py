"""When indexing counts as done (DESIGN section 4)."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pixlsrve.index.progress import Progress, Stage
from tests.daemon import StartDaemon, daemons

__all__ = ["daemons"]


def test_positions_wait_for_names_that_are_coming() -> None:
    """A position without its name keeps indexing in progress, as long as names are expected at all."""
    progress = Progress()
    progress.are_names_coming = True
    assert not progress.in_progress
    progress.has_unnamed = True
    assert (progress.status().in_progress, progress.status().stage) == (True, Stage.NAMING)
    progress.are_names_coming = False
    assert (progress.status().in_progress, progress.status().stage) == (False, Stage.IDLE)


def test_first_scan_ends_with_places(tmp_path: Path, daemons: StartDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the very first start, which makes the names of places, what `scan --wait` says is done is found by place."""
    monkeypatch.setattr("tests.daemon._give_places", lambda _: None)
    photos = tmp_path / "photos"
    photos.mkdir()
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (38.0, 43.0, 20.0), 3: "W", 4: (9.0, 8.0, 21.0)})
    Image.new("RGB", (64, 48), "blue").save(photos / "a.jpg", exif=exif)
    daemon = daemons("--photos", str(photos)).start()
    daemon.wait_indexed()
    status, found = daemon.get("/api/v1/photos/search?q=lisbon", daemon.token())
    assert (status, found["results_count"]) == (200, 1)
