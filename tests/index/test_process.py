"""What a worker process is started with."""

from __future__ import annotations

import sys

import pytest

from pixlsrve.index import process


def test_packed_worker_finds_the_libraries_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without a library that Python itself needs, such as libexpat, starts packed workers too."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "_MEIPASS", "/usr/lib/pixlsrve/_internal", raising=False)
    monkeypatch.setenv("_PYI_ARCHIVE_FILE", "/usr/lib/pixlsrve/pixlsrve")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/elsewhere")
    found = process.environment()
    assert found["LD_LIBRARY_PATH"] == "/usr/lib/pixlsrve/_internal"
    assert found["_PYI_ARCHIVE_FILE"] == "/usr/lib/pixlsrve/pixlsrve"


def test_worker_from_sources_gets_no_library_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sets it for the daemon does not choose what strangers' files are read with."""
    monkeypatch.setenv("LD_LIBRARY_PATH", "/elsewhere")
    assert "LD_LIBRARY_PATH" not in process.environment()
