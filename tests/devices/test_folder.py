"""What the agent knows of its folder from one walk to the next."""

from __future__ import annotations

from pathlib import Path

from pixlsrve.devices.agent.folder import Folder


def test_hash_follows_a_renamed_file(tmp_path: Path) -> None:
    """A file that is renamed is not read again."""
    folder = Folder(tmp_path, tmp_path, frozenset({"mp3"}))
    (tmp_path / "one.mp3").write_bytes(b"1")
    (entry,) = folder.walk()
    sha256 = folder.hash_file(entry)
    (tmp_path / "one.mp3").rename(tmp_path / "two.mp3")
    assert [(entry.path, entry.sha256) for entry in folder.walk()] == [(b"two.mp3", sha256)]


def test_file_that_changes_all_the_time_fills_no_memory(tmp_path: Path) -> None:
    """Of a recording that grows for hours only the last version is known."""
    folder = Folder(tmp_path, tmp_path, frozenset({"mp3"}))
    for size in range(1, 50):
        (tmp_path / "one.mp3").write_bytes(b"1" * size)
        assert [entry.size_bytes for entry in folder.walk()] == [size]
    assert len(folder._by_version) == 1
