"""Kill the daemon at random moments of a scan, again and again, and look at its databases after each start.

`python -m tests.campaigns.kill9 --rounds 200` prints one JSON object. A round changes the library a little, asks for a
scan, sends SIGKILL after a random time, checks both databases as the crash left them (read only, on copies), starts
again and checks that it answers and that nothing known has another id. At the end everything must be indexed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.daemon import Daemon
from tests.index.library import make_photo

LONGEST_LIFE_S = 1.5
DATABASES = ("state.db", "index.db", "thumbnails.db")
UNLIMITED = {f"PIXLSRVE_RATE_LIMITS__{name}": "off" for name in ("PHOTOS", "BROWSE", "THUMBNAILS", "OTHER")}


@dataclass
class Report:
    """What the campaign found."""

    rounds: int = 0
    killed_while_indexing: int = 0
    unsound_databases: int = 0
    failed_starts: int = 0
    repairs: int = 0
    changed_ids: int = 0
    lost_tokens: int = 0
    slowest_start_s: float = 0.0
    photos_at_the_end: int = 0
    missing_at_the_end: int = 0
    thumbnails_missing_at_the_end: int = 0
    seconds: float = 0.0
    seed: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether nothing was lost, damaged or in need of a hand."""
        bad = (self.unsound_databases, self.failed_starts, self.repairs, self.changed_ids, self.lost_tokens)
        return not any((*bad, self.missing_at_the_end, self.thumbnails_missing_at_the_end))


class Campaign:
    """One library and its daemon, killed over and over."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._random = random.Random(seed)
        self._root = folder / "photos"
        self._copies = folder / "copies"
        self._daemon = Daemon(folder / "data", "--photos", str(self._root), env=UNLIMITED)
        self._next = 0
        self._ids: dict[bytes, bytes] = {}
        self.report = Report(seed=seed)

    def run(self, rounds: int) -> Report:
        """The whole campaign."""
        began = time.monotonic()
        self._add_photos(200)
        self._start()
        self.report.slowest_start_s = 0.0  # the first one may build the file of place names
        token = self._daemon.token()
        for _ in range(rounds):
            self._round(token)
        self._finish(token)
        self.report.seconds = round(time.monotonic() - began, 1)
        return self.report

    def _round(self, token: str) -> None:
        """Change, scan, kill, check, start."""
        self._change()
        wanted = {"full_scan": self._random.random() < 0.5, "accept_removals": False}
        self._daemon.control("POST", "/scan", wanted)
        time.sleep(self._random.uniform(0, LONGEST_LIFE_S))
        status = self._daemon.control("GET", "/status")["indexing_status"]
        self.report.killed_while_indexing += bool(status["in_progress"])
        self._daemon.stop(signal.SIGKILL)
        self.report.rounds += 1
        self._check()
        self._start()
        self.report.lost_tokens += self._daemon.get("/api/v1/albums", token)[0] != 200

    def _start(self) -> None:
        """A start that needs no hand."""
        began = time.monotonic()
        try:
            self._daemon.start()
        except AssertionError as error:
            self.report.failed_starts += 1
            self.report.notes.append(str(error)[-500:])
            raise
        self.report.slowest_start_s = max(self.report.slowest_start_s, round(time.monotonic() - began, 2))
        self.report.repairs += sum("a database was mended" in line for line in list(self._daemon.log_lines))

    def _check(self) -> None:
        """Look at what the crash left, on copies, so that looking changes nothing."""
        shutil.rmtree(self._copies, ignore_errors=True)
        self._copies.mkdir()
        for path in self._daemon.data_dir.iterdir():
            if path.name.startswith(DATABASES):
                shutil.copyfile(path, self._copies / path.name)
        for name in DATABASES:
            with contextlib.closing(sqlite3.connect(self._copies / name)) as database:
                verdict = database.execute("PRAGMA integrity_check").fetchall()
                broken = database.execute("PRAGMA foreign_key_check").fetchall()
                if verdict != [("ok",)] or broken:
                    self.report.unsound_databases += 1
                    self.report.notes.append(f"{name}: {verdict[:2]} {broken[:2]}")
                if name == "index.db":
                    self._check_index(database)

    def _check_index(self, index: sqlite3.Connection) -> None:
        """Ids are those of before, and counts agree with rows."""
        sql = "SELECT sha256, uuid FROM asset WHERE sha256 IS NOT NULL AND gone_us IS NULL AND shown = 1 AND stage = 2"
        for digest, uuid in index.execute(sql):
            if self._ids.setdefault(digest, uuid) != uuid:
                self.report.changed_ids += 1
                self.report.notes.append(f"{digest.hex()[:12]} was {self._ids[digest].hex()}, is {uuid.hex()}")
                self._ids[digest] = uuid
        wrong = index.execute(
            "SELECT count(*) FROM folder WHERE photo_count <> (SELECT count(*) FROM asset "
            "WHERE folder_id = folder.id AND shown IN (1, 2))"
        ).fetchone()[0]
        if wrong:
            self.report.unsound_databases += 1
            self.report.notes.append(f"{wrong} folders with wrong counts")

    def _add_photos(self, count: int) -> None:
        """New pictures, each with bytes of its own."""
        for _ in range(count):
            self._next += 1
            folder = self._root / f"f{self._random.randrange(8)}" / f"g{self._random.randrange(3)}"
            make_photo(folder / f"P_{self._next:05}.jpg", self._next, size=(320, 240))

    def _change(self) -> None:
        """Add, move and rename: files and folders."""
        self._add_photos(self._random.randrange(5, 25))
        files = sorted(self._root.rglob("*.jpg"))
        for path in self._random.sample(files, 5):
            target = self._random.choice(files).parent / f"M_{self._next:05}_{path.name[-9:]}"
            if path.exists() and not target.exists() and target.parent.exists():
                path.rename(target)
        if self._random.random() < 0.3:
            folder = self._random.choice(sorted(path for path in self._root.glob("f*/g*") if path.is_dir()))
            target = folder.parent / f"g{self._random.randrange(3, 50)}"
            if not target.exists():
                folder.rename(target)

    def _finish(self, token: str) -> None:
        """Let it work to its end and compare with the disk."""
        report = self.report
        self._daemon.wait_indexed()
        self._daemon.stop()
        self._check()
        on_disk = {hashlib.sha256(path.read_bytes()).digest() for path in self._root.rglob("*.jpg")}
        with contextlib.closing(sqlite3.connect(self._daemon.data_dir / "index.db")) as index:
            rows = index.execute("SELECT sha256 FROM asset WHERE shown = 1 AND stage = 2").fetchall()
        with contextlib.closing(sqlite3.connect(self._daemon.data_dir / "thumbnails.db")) as thumbnails:
            pictured = {row[0] for row in thumbnails.execute("SELECT DISTINCT sha256 FROM thumbnail")}
        report.photos_at_the_end = len(rows)
        report.missing_at_the_end = len(on_disk - {row[0] for row in rows}) + abs(len(rows) - len(on_disk))
        report.thumbnails_missing_at_the_end = len(on_disk - pictured)

    def close(self) -> None:
        """End the daemon."""
        if self._daemon.process is not None:
            self._daemon.stop(signal.SIGKILL)


def campaign(folder: Path, rounds: int, seed: int) -> Report:
    """Run a campaign in an empty folder."""
    runner = Campaign(folder, seed)
    try:
        return runner.run(rounds)
    finally:
        runner.close()


def main() -> int:
    """The command line; 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pixlsrve-kill9-") as folder:
        report = campaign(Path(folder), options.rounds, options.seed)
    print(json.dumps({**asdict(report), "is_sound": report.is_sound}, indent=2))
    return 0 if report.is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
