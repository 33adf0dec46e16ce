"""One daemon for the tests of uploads that need no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import Daemon, StartDaemon, daemons
from tests.uploading import ROOMY, Phone

__all__ = ["daemons"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A running daemon with one empty photo folder."""
    folder = tmp_path_factory.mktemp("uploads")
    (folder / "photos").mkdir()
    daemon = Daemon(folder / "data", "--photos", str(folder / "photos"), env=ROOMY).start()
    yield daemon
    daemon.stop()


@pytest.fixture(scope="module")
def phone(shared: Daemon) -> Phone:
    """A client of it."""
    return Phone(shared)


@pytest.fixture
def started(daemons: StartDaemon, tmp_path: Path) -> Daemon:
    """A running daemon of the test's own."""
    (tmp_path / "photos").mkdir()
    return daemons("--photos", str(tmp_path / "photos"), env=ROOMY).start()
