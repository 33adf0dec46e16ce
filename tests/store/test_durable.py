"""Secret files: whole, and read only where they are nobody else's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pixlsrve.store.durable import NotPrivate, read_private, write_whole


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A secret file of ours."""
    path = tmp_path / "secret"
    write_whole(path, b"old")
    write_whole(path, b"new")
    return path


def test_what_was_written_is_read(secret: Path) -> None:
    """The last content is there, alone in its folder, for the owner only."""
    assert (read_private(secret), secret.stat().st_mode & 0o777) == (b"new", 0o600)
    assert list(secret.parent.iterdir()) == [secret]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_open_to_others_is_refused(secret: Path, mode: int) -> None:
    """T36: a file that others could read or write is not used."""
    secret.chmod(mode)
    with pytest.raises(NotPrivate):
        read_private(secret)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_of_another_user_is_refused(secret: Path) -> None:
    """T36: a file that another user has put there is not used."""
    os.chown(secret, 65_534, 65_534)
    with pytest.raises(NotPrivate):
        read_private(secret)


def test_link_is_not_followed(secret: Path, tmp_path: Path) -> None:
    """T36: a link in the file's place leads nowhere, and a missing file is a missing file."""
    (tmp_path / "link").symlink_to(secret)
    with pytest.raises(OSError, match="symbolic link"):
        read_private(tmp_path / "link")
    with pytest.raises(FileNotFoundError):
        read_private(tmp_path / "nothing")
