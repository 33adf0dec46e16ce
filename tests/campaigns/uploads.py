"""Kill the daemon again and again while eight clients upload, and look at what it had acknowledged.

    python -m tests.campaigns.uploads --rounds 500 [--clients 8] [--seed N] [--minutes N]

prints one JSON object: rounds, acknowledged uploads, how many of those were lost (0), files that a door showed while
they were not whole (0), uploads that could not be completed by sending them again (0), and how long starts took. Each
client sends pictures of its own, by tus in pieces or by `PUT /image`; after each death it goes on where HEAD says that
it is, or sends the file again. After each start everything acknowledged so far in that round is read back from the
disk, and in the end all of it through the API.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import math
import random
import signal
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.daemon import Daemon
from tests.uploading import DROPPED, ROOMY, Phone, digests_in, files_in, picture

LONGEST_LIFE_S = 1.2
PATIENCE_S = 20.0
RETRY_S = 0.02
GIVE_UP_S = 180.0


@dataclass
class Report:
    """What the campaign found."""

    rounds: int = 0
    acknowledged: int = 0
    duplicates: int = 0
    stored_twice: int = 0
    lost: int = 0
    half_written_visible: int = 0
    failed_retries: int = 0
    failed_starts: int = 0
    left_over: int = 0
    start_median_s: float = 0.0
    start_slowest_s: float = 0.0
    seconds: float = 0.0
    seed: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether nothing was lost, shown too early, or in need of a hand."""
        bad = (self.lost, self.half_written_visible, self.failed_retries, self.failed_starts, self.left_over)
        return self.acknowledged > 0 and not any(bad)


class Client(threading.Thread):
    """Sends one file after the other until it is told to stop, whatever happens to the daemon."""

    def __init__(self, campaign: Campaign, number: int) -> None:
        super().__init__(daemon=True, name=f"client {number}")
        self._campaign = campaign
        self._number = number
        self._dice = random.Random(campaign.report.seed * 1_000 + number)
        self._files = 0
        self.acknowledged: dict[str, str] = {}
        """SHA-256 to photo id."""
        self.sent: set[str] = set()
        self.duplicates = 0
        self.failures: list[str] = []

    def run(self) -> None:
        """Send until the campaign is over."""
        while not self._campaign.is_over.is_set():
            self._files += 1
            data = picture(self._number * 1_000_000 + self._files, self._dice.randrange(2_000, 400_000))
            self.sent.add(hashlib.sha256(data).hexdigest())
            began = time.monotonic()
            while not self._has_sent(data):
                if self._campaign.is_over.is_set():
                    return
                if time.monotonic() - began > GIVE_UP_S:
                    self.failures.append(f"{self.name}: file {self._files} could not be sent")
                    return
                time.sleep(RETRY_S)

    def _has_sent(self, data: bytes) -> bool:
        """Whether a whole attempt was answered well."""
        phone = Phone(self._campaign.daemon, self._campaign.token)
        name = f"c{self._number}-{self._files}.jpg"
        try:
            if self._files % 3 == 0:
                return self._put(phone, name, data)
            return self._tus(phone, name, data)
        except (*DROPPED, OSError, ValueError):  # the daemon is dead, or not yet back
            return False

    def _put(self, phone: Phone, name: str, data: bytes) -> bool:
        answer = phone.ask("PUT", f"/image/{name}", data)
        if answer.status not in (200, 201):
            return self._is_refused(answer.status, answer.body)
        self.duplicates += answer.status == 200
        self._note(data, "")
        return True

    def _tus(self, phone: Phone, name: str, data: bytes) -> bool:
        answer = phone.create(len(data), name)
        if answer.status != 201:
            return self._is_refused(answer.status, answer.body)
        place, tries = answer.headers["Location"], 0
        while tries < 200:
            tries += 1
            try:
                head = phone.ask("HEAD", place)
                if head.status == 404:
                    return False
                if head.status != 200:
                    time.sleep(RETRY_S)
                    continue
                offset = int(head.headers["Upload-Offset"])
                piece = data[offset : offset + self._dice.randrange(10_000, 150_000)]
                answer = phone.patch(place, offset, piece)
            except (*DROPPED, OSError, ValueError):
                time.sleep(RETRY_S)
                continue
            if "Pixlsrve-Photo-Id" in answer.headers:
                self.duplicates += answer.headers["Pixlsrve-Duplicate"] == "true"
                self._note(data, answer.headers["Pixlsrve-Photo-Id"])
                return True
            if answer.status not in (204, 409, 423):
                return self._is_refused(answer.status, answer.body)
        return False

    def _is_refused(self, status: int, body: bytes) -> bool:
        """An answer that tells to try again later is none to count; any other refusal is a failure."""
        if status not in (404, 423, 503):
            self.failures.append(f"{self.name}: {status} {body[:200]!r}")
        return False

    def _note(self, data: bytes, photo_id: str) -> None:
        self.acknowledged[hashlib.sha256(data).hexdigest()] = photo_id


class Campaign:
    """One daemon, killed over and over, and its clients."""

    def __init__(self, folder: Path, *, clients: int, seed: int) -> None:
        self.report = Report(seed=seed)
        self.is_over = threading.Event()
        (folder / "photos").mkdir()
        self.daemon = Daemon(folder / "data", "--photos", str(folder / "photos"), env=ROOMY)
        self.token = ""
        self._dice = random.Random(seed)
        self._clients = [Client(self, number) for number in range(clients)]
        self._starts: list[float] = []
        self._digests: dict[Path, str] = {}
        self._missed: set[str] = set()

    def run(self, rounds: int, limit_s: float) -> Report:
        """The whole campaign; no round begins after `limit_s`."""
        began = time.monotonic()
        self.daemon.start()
        self.token = self.daemon.token(admin=True)
        for client in self._clients:
            client.start()
        for _ in range(rounds):
            if time.monotonic() - began > limit_s:
                break
            self._let_work()
            before = self._acknowledged()
            self.daemon.stop(signal.SIGKILL)
            self._check_disk(before)
            self._start()
            self.report.rounds += 1
        self._finish()
        self.report.seconds = round(time.monotonic() - began, 1)
        return self.report

    def _let_work(self) -> None:
        """Some time from the start on, or (mostly) from the first file that this life has acknowledged."""
        count, limit = len(self._acknowledged()), time.monotonic() + PATIENCE_S
        if self._dice.random() < 0.75:
            while len(self._acknowledged()) == count and time.monotonic() < limit:
                time.sleep(RETRY_S)
        time.sleep(self._dice.uniform(0, LONGEST_LIFE_S))

    def _orphans(self) -> set[str]:
        """Temporary files that belong to no unfinished upload."""
        with contextlib.closing(sqlite3.connect(self.daemon.data_dir / "state.db")) as state:
            rows = state.execute("SELECT id FROM upload_session WHERE finished_us IS NULL").fetchall()
        there = {path.name for path in files_in(self.daemon) if path.suffix == ".part"}
        return there - {f"{number}.part" for (number,) in rows}

    def _start(self) -> None:
        began = time.monotonic()
        try:
            self.daemon.start()
        except AssertionError as error:
            self.report.failed_starts += 1
            self.report.notes.append(str(error)[-500:])
            raise
        self._starts.append(time.monotonic() - began)

    def _acknowledged(self) -> set[str]:
        return {digest for client in self._clients for digest in list(client.acknowledged)}

    def _check_disk(self, before: set[str]) -> None:
        """What was acknowledged is on the disk, and every file that has its place is one that was sent, whole."""
        paths = [path for path in files_in(self.daemon) if ".incoming" not in path.parts]
        for path in paths:
            if path not in self._digests:
                self._digests[path] = hashlib.sha256(path.read_bytes()).hexdigest()
        there = {self._digests[path] for path in paths}
        lost = before - there - self._missed
        self._missed |= lost
        self.report.lost += len(lost)
        strange = there - self._sent() - self._missed
        self._missed |= strange
        self.report.half_written_visible += len(strange)

    def _sent(self) -> set[str]:
        return {digest for client in self._clients for digest in list(client.sent)}

    def _finish(self) -> None:
        """Let the clients end, and read everything back through the API."""
        self.is_over.set()
        for client in self._clients:
            client.join(GIVE_UP_S)
        self.daemon.cli("scan", "--wait")  # what a crash left unrecorded in its place gets its hash by a scan
        phone = Phone(self.daemon, self.token)
        known = {digest: photo for client in self._clients for digest, photo in client.acknowledged.items()}
        shown = self._listed(phone)
        for digest, photo_id in known.items():
            is_there = digest in shown and (not photo_id or photo_id in shown[digest])
            self.report.lost += not is_there
            if not is_there:
                self.report.notes.append(f"lost: {digest} {photo_id}, shown: {shown.get(digest)}")
        for digest, ids in shown.items():
            self.report.stored_twice += len(ids) > 1
            for photo_id in ids:
                content = phone.original(photo_id)
                self.report.half_written_visible += hashlib.sha256(content).hexdigest() != digest
        whole = digests_in(self.daemon)
        self.report.half_written_visible += len(shown.keys() - whole)
        self.report.acknowledged = len(known)
        self.report.duplicates = sum(client.duplicates for client in self._clients)
        failures = [failure for client in self._clients for failure in client.failures]
        self.report.failed_retries = len(failures)
        self.report.notes += failures[:5]
        self.report.start_median_s = round(statistics.median(self._starts), 2) if self._starts else 0.0
        self.report.start_slowest_s = round(max(self._starts, default=0.0), 2)
        self.daemon.stop()
        self.report.left_over = len(self._orphans())

    def _listed(self, phone: Phone) -> dict[str, set[str]]:
        """All photos: SHA-256 to ids."""
        found: dict[str, set[str]] = {}
        cursor = ""
        while True:
            answer = phone.ask("GET", f"/api/v1/photos?limit=500{cursor}").json
            for photo in answer["photos"]:
                found.setdefault(photo["sha256"], set()).add(photo["id"])
            if not answer["pagination"]["next_cursor"]:
                return found
            cursor = f"&cursor={answer['pagination']['next_cursor']}"


def campaign(folder: Path, *, rounds: int, clients: int = 8, seed: int = 1, limit_s: float = math.inf) -> Report:
    """The whole of it, in an empty folder."""
    made = Campaign(folder, clients=clients, seed=seed)
    try:
        return made.run(rounds, limit_s)
    finally:
        made.is_over.set()
        if made.daemon.process is not None and made.daemon.process.poll() is None:
            made.daemon.stop(signal.SIGKILL)


def main() -> int:
    """Run the campaign and print what it found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no round after so many")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pixlsrve-uploads-", dir=wanted.folder) as folder:
        report = campaign(
            Path(folder),
            rounds=wanted.rounds,
            clients=wanted.clients,
            seed=wanted.seed,
            limit_s=wanted.minutes * 60,
        )
    print(json.dumps(asdict(report)))
    return 0 if report.is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
