"""Reading files again: what a disk has lost is found, and told from what people have changed."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from pixlsrve.store.rereading import RECORD, Verdict, read_again
from pixlsrve.store.verifying import Expected
from tests.daemon import Daemon, StartDaemon, daemons
from tests.index.library import make_photos

__all__ = ["daemons"]
KNOWN_US = 1_700_000_000_000_000


def _file(root: Path, name: str, content: bytes = b"content " * 1_000, *, is_upload: bool = False) -> Expected:
    root.mkdir(exist_ok=True)
    (root / name).write_bytes(content)
    facts = (root / name).stat()
    return Expected(
        path=root / name,
        root=root,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).digest(),
        known_us=KNOWN_US,
        mtime_ns=None if is_upload else facts.st_mtime_ns,
        latest_mtime_ns=facts.st_mtime_ns if is_upload else None,
    )


def flip(path: Path, count: int = 1) -> None:
    """Change bits in the middle as a failing disk does: nobody notices by size or time."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + count):
        content[place] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("is_upload", [True, False])
def test_flipped_bit_is_found_and_a_change_is_none(tmp_path: Path, is_upload: bool) -> None:
    """Bit-rot keeps size and time; whoever edits a file does not."""
    root = tmp_path / "root"
    names = ("good", "rotten", "edited", "gone")
    files = [_file(root, name, is_upload=is_upload) for name in names]
    flip(root / "rotten")
    (root / "edited").write_bytes(b"another")
    os.utime(root / "edited", ns=(1, time.time_ns() + 10**12))
    (root / "gone").unlink()
    found = read_again(files, tmp_path)
    assert [(bad.path.name, bad.verdict, bad.last_good_us) for bad in found.bad] == [
        ("rotten", Verdict.BIT_ROT, KNOWN_US)
    ]
    counts = {verdict: count for verdict, count in found.counts.items() if count}
    expected = {Verdict.GOOD: 1, Verdict.BIT_ROT: 1, Verdict.CHANGED: 1, Verdict.MISSING: 1}
    assert counts == expected


def test_date_when_a_file_was_last_good(tmp_path: Path) -> None:
    """A file that was good in the last whole pass was good then, and one that was bad already was not."""
    files = [_file(tmp_path / "root", name) for name in ("one", "two")]
    flip(files[0].path)
    before_us = time.time_ns() // 1000
    assert read_again(files, tmp_path).bad[0].last_good_us == KNOWN_US
    flip(files[1].path)
    first, second = read_again(files, tmp_path).bad
    assert (first.path, first.last_good_us) == (files[0].path, KNOWN_US)
    assert second.last_good_us >= before_us


def test_missing_disk_is_no_loss_and_links_are_not_followed(tmp_path: Path) -> None:
    """What lies on a disk that is away is offline; a link in a file's place is not read."""
    away = _file(tmp_path / "disk", "photo")
    link = _file(tmp_path / "root", "link")
    away.path.unlink()
    link.path.rename(tmp_path / "elsewhere")
    link.path.symlink_to(tmp_path / "elsewhere")
    counts = read_again([away, link], tmp_path).counts
    assert (counts[Verdict.OFFLINE], counts[Verdict.UNREADABLE]) == (1, 1)


def test_interrupted_pass_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    """Ctrl-C ends the reading with what was found so far, and the record stays as it was."""
    files = [_file(tmp_path / "root", name) for name in ("one", "two")]
    flip(files[0].path)

    def interrupted(_: int) -> None:
        if len(seen) == 1:
            raise KeyboardInterrupt
        seen.append(1)

    seen: list[int] = []
    found = read_again(files, tmp_path, interrupted)
    assert (found.is_complete, len(found.bad)) == (False, 1)
    assert not (tmp_path / RECORD).exists()


def test_verify_names_the_file_and_its_last_good_day(daemons: StartDaemon, tmp_path: Path) -> None:
    """`verify --read-data` finds a rotten original and a rotten backup, and writes nothing to either."""
    photos = make_photos(tmp_path / "photos", 3)
    daemon: Daemon = daemons("--photos", str(tmp_path / "photos")).start()
    daemon.wait_indexed()
    answer = json.loads(daemon.cli("verify", "--read-data", "--json"))
    assert (answer["ok"], answer["files"]["good"], answer["files"]["complete"]) == (True, 3, True)
    flip(photos[1])
    before = photos[1].read_bytes()
    text = daemon.cli("verify", "--read-data", code=1)
    assert f"{photos[1]} has other content than before" in text
    assert time.strftime("%Y-%m-%d", time.gmtime()) in text
    assert photos[1].read_bytes() == before
    daemon.stop()
    (shelf,) = (daemon.data_dir / "backups").glob("pixlsrve-*")
    flip(shelf, 64)  # of what is packed, one bit may mean nothing: zeros from here or from there
    answer = json.loads(daemon.cli("verify", "--json", code=1))
    assert [entry["ok"] for entry in answer["backups"]] == [False]
    assert answer["files"] is None
