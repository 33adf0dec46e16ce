"""The bounded folder of PNG thumbnails."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixlsrve.media import png_thumbnails


def test_a_file_that_goes_meanwhile_ends_no_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thumbnails are written while others are counted; the oldest beyond the bound are deleted all the same."""
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(b"x" * 10)
        os.utime(tmp_path / f"{number}.png", (number, number))
    unfinished = tmp_path / ".0.part"
    unfinished.touch()
    original = os.scandir

    @contextlib.contextmanager
    def scandir(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
        with original(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        unfinished.unlink()
        yield iter(found)

    monkeypatch.setattr(png_thumbnails, "CACHE_BYTES", 20)
    monkeypatch.setattr(os, "scandir", scandir)
    png_thumbnails._sweep(tmp_path)
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.png", "3.png"]
