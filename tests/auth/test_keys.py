"""The signing key: made once, private, never replaced by a constant."""

from __future__ import annotations

from pathlib import Path

import pytest

from pixlsrve.auth.keys import load_signing_key
from pixlsrve.errors import StartError


def test_key_is_made_once(tmp_path: Path) -> None:
    """T10: the key has 256 bits, is private, and stays the same."""
    key = load_signing_key(tmp_path)
    assert len(key.secret) == 32
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "keys" / "token.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["token.key"]
    assert load_signing_key(tmp_path) == key


def test_two_hosts_have_two_keys(tmp_path: Path) -> None:
    """T10: no constant key exists."""
    keys = []
    for name in "ab":
        (tmp_path / name).mkdir()
        keys.append(load_signing_key(tmp_path / name))
    assert keys[0].secret != keys[1].secret
    assert keys[0].kid != keys[1].kid


@pytest.mark.parametrize("content", [b"", b"short", b"\0" * 32, b"x" * 33])
def test_damaged_key_stops_the_start(tmp_path: Path, content: bytes) -> None:
    """T10: there is nothing to fall back on."""
    load_signing_key(tmp_path)
    (tmp_path / "keys" / "token.key").write_bytes(content)
    with pytest.raises(StartError, match="damaged"):
        load_signing_key(tmp_path)


def test_key_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    """T36: a key that may have leaked is not used silently."""
    load_signing_key(tmp_path)
    (tmp_path / "keys" / "token.key").chmod(0o644)
    with pytest.raises(StartError, match="other users"):
        load_signing_key(tmp_path)


def test_linked_key_stops_the_start(tmp_path: Path) -> None:
    """A link in the key's place is not followed."""
    load_signing_key(tmp_path)
    path = tmp_path / "keys" / "token.key"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartError):
        load_signing_key(tmp_path)


def test_secret_is_not_shown(tmp_path: Path) -> None:
    """T37: printing a key prints no secret."""
    key = load_signing_key(tmp_path)
    assert repr(key.secret) not in repr(key)
