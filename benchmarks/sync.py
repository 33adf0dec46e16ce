"""A device's first sync and its second, against rsync of the same files from an rsync daemon over loopback.

1,000 small files of 100 KB and 10 large ones of 100 MB: songs of random content with a valid header. The host hashes,
fsyncs, indexes and records each before it says so; rsync does none of that (`--fsync` has a row of its own). Before the
second sync nothing changes. Takes turns; medians. Plain HTTP on both sides.

    python -m benchmarks.sync
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import median, parser, report, rounded, scratch, serving, timed

FRAME = bytes.fromhex("fffb9064") + bytes(413)


def make_songs(folder: Path, small: int, large: int, large_bytes: int) -> int:
    """The files; their bytes together."""
    folder.mkdir()
    dice, total = random.Random(5), 0
    for number in range(small + large):
        path = folder / f"{'small' if number < small else 'large'}-{number:05}.mp3"
        size = 100_000 if number < small else large_bytes
        with path.open("wb") as file:
            # Frames first, then noise that no frame begins in.
            file.write(FRAME * 4)
            left = size - 4 * len(FRAME)
            while left > 0:
                block = dice.randbytes(min(left, 1 << 20)).replace(b"\xff", b"\x00")
                file.write(block)
                left -= len(block)
        total += path.stat().st_size
    return total


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def rsync_once(source: Path, folder: Path, *options: str) -> float:
    """Seconds that rsync takes from a daemon of its own to an empty folder."""
    folder.mkdir()
    port, conf = free_port(), folder / "rsyncd.conf"
    conf.write_text(f"use chroot = no\n[songs]\npath = {source}\nread only = yes\n")
    daemon = subprocess.Popen(
        ["rsync", "--daemon", "--no-detach", f"--port={port}", "--address=127.0.0.1", f"--config={conf}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"rsync://127.0.0.1:{port}/songs/"
        while subprocess.run(["rsync", url], capture_output=True, check=False).returncode != 0:
            time.sleep(0.05)
        return timed(lambda: subprocess.run(["rsync", "-a", *options, url, str(folder / "to")], check=True))
    finally:
        daemon.terminate()
        daemon.wait()
        shutil.rmtree(folder)


def sync_once(source: Path, folder: Path) -> tuple[float, float]:
    """Seconds that the first and the second sync of a new pairing take."""
    folder.mkdir()
    (folder / "photos").mkdir()
    with serving(folder / "data", folder / "photos", RATE_LIMITS__OTHER="off") as daemon:
        window = subprocess.run(
            [sys.executable, "-m", "pixlsrve", "pair", "--json", "--no-wait", "--data-dir", str(folder / "data")],
            capture_output=True,
            check=True,
        )
        code = json.loads(window.stdout)["code"]
        command = [sys.executable, "-m", "pixlsrve", "agent", "--server", daemon.url, "--root", str(source)]
        command += ["--data-dir", str(folder / "agent"), "--port", "0", "--pair", code]
        with (folder / "agent.log").open("w") as log:
            agent = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env={**os.environ})
        try:
            token = daemon.token()
            while b"the host knows of the files" not in (folder / "agent.log").read_bytes():
                time.sleep(0.05)
            idle = time.monotonic() + 120
            while _cpu_moves(agent.pid) and time.monotonic() < idle:  # it hashes the files that it has found
                pass
            first = timed(lambda: _sync(daemon.url, token))
            daemon.wait_idle()
            second = timed(lambda: _sync(daemon.url, token))
        finally:
            agent.terminate()
            agent.wait()
    shutil.rmtree(folder)
    return first, second


def _cpu_moves(pid: int) -> bool:
    def ticks() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    time.sleep(1.0)
    return ticks() - before > 10


def _sync(url: str, token: str) -> None:
    request = urllib.request.Request(f"{url}/pisync/devices/1", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["message"] == "Device synced successfully"


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--small", type=int, default=1_000)
    options.add_argument("--large", type=int, default=10)
    options.add_argument("--large-mb", type=int, default=100)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args(arguments)
    with scratch() as folder:
        source = folder / "songs"
        total = make_songs(source, given.small, given.large, given.large_mb * 1_000_000)
        first: list[float] = []
        second: list[float] = []
        rsync: list[float] = []
        rsync_fsync: list[float] = []
        for number in range(given.rounds):
            rsync.append(rsync_once(source, folder / f"rsync-{number}"))
            rsync_fsync.append(rsync_once(source, folder / f"rsync-fsync-{number}", "--fsync"))
            one, two = sync_once(source, folder / f"sync-{number}")
            first.append(one)
            second.append(two)
    report(
        files=given.small + given.large,
        bytes=total,
        first_sync_s=median(first),
        rsync_s=median(rsync),
        rsync_fsync_s=median(rsync_fsync),
        pace_of_rsync=median([reference / own for reference, own in zip(rsync, first, strict=True)]),
        pace_of_rsync_fsync=median([reference / own for reference, own in zip(rsync_fsync, first, strict=True)]),
        wanted_pace=0.5,
        second_sync_s=median(second, 3),
        wanted_second_s=1.0,
        all_first_s=rounded(first),
        all_rsync_s=rounded(rsync),
        all_rsync_fsync_s=rounded(rsync_fsync),
        all_second_s=rounded(second, 3),
    )


if __name__ == "__main__":
    main()
