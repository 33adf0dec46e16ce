"""Uploads, hashed and made durable, against nginx's WebDAV PUT: `python -m benchmarks.uploads [--megabytes 512]`.

Prints JSON. curl sends the same sound file (noise, other bytes in each round) to both in turn: by tus in one request to
the daemon, which checks a token, hashes, fsyncs file and folder, indexes and records it before it answers; by PUT to
nginx with one worker, which does none of that. `nginx_durable` adds the fsync of file and folder after nginx's answer.
`small` is the same with files of 3 MB, where the ways to the disk count most.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import harness
from benchmarks.harness import Daemon

MIB = 1024 * 1024
PORT = 18_976
NGINX = """
worker_processes 1;
daemon off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_max_body_size 0;
  client_body_temp_path {folder}/files/.body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}/files; location / {{ dav_methods PUT; create_full_put_path on; }} }}
}}
"""
_HEAD = bytes.fromhex(
    "52494646000000005741564566 6d7420 10000000 01000100 44ac0000 88580100 0200 1000 64617461 00000000"
)


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """nginx that takes files with PUT; its address."""
    (folder / "files").mkdir(parents=True)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=PORT))
    process = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")])
    try:
        while subprocess.run(["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{PORT}/"], check=False).returncode:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{PORT}"
    finally:
        process.terminate()
        process.wait()


def make_sound(path: Path, size_bytes: int, dice: random.Random) -> None:
    """A WAV file of noise with bytes of its own."""
    noise = dice.randbytes(MIB)
    head = bytearray(_HEAD)
    head[4:8] = (size_bytes - 8).to_bytes(4, "little")
    head[40:44] = (size_bytes - 44).to_bytes(4, "little")
    with path.open("wb") as file:
        file.write(head)
        left = size_bytes - 44
        while left > 0:
            block = (dice.randbytes(16) + noise)[: min(left, MIB)]
            file.write(block)
            left -= len(block)
        file.flush()
        os.fsync(file.fileno())


class Bench:
    """Both servers and the files that go to them."""

    def __init__(self, daemon: Daemon, reference: str, folder: Path, size_bytes: int) -> None:
        self._daemon = daemon
        self._reference = reference
        self._folder = folder
        self._token = daemon.token()
        self._dice = random.Random(1)
        self._file = folder / "sent.wav"
        self._size_bytes = size_bytes
        self._number = 0

    def _fresh(self) -> None:
        make_sound(self._file, self._size_bytes, self._dice)
        self._daemon.wait_idle()
        os.sync()

    def ours(self) -> float:
        """Seconds of one upload to the daemon."""
        self._fresh()
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(self._size_bytes),
            "Content-Type": "application/offset+octet-stream",
            "Upload-Metadata": "filename c2VudC53YXY=",
            "Expect": "",
        }
        options = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
        return self._send([*options, "-X", "POST", f"{self._daemon.url}/api/v1/uploads"], "201")

    def nginx(self) -> float:
        """Seconds of one upload to nginx."""
        self._fresh()
        return self._to_nginx()

    def nginx_durable(self) -> float:
        """The same, and the fsync that it leaves to luck."""
        self._fresh()
        began = time.perf_counter()
        self._to_nginx()
        files = self._folder / "nginx" / "files"
        for path in (files / f"{self._number}.wav", files):
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
        return time.perf_counter() - began

    def _to_nginx(self) -> float:
        # A new file each time, as with ours: memory that another file has just left is quicker to fill than fresh one.
        self._number += 1
        return self._send(["-H", "Expect:", f"{self._reference}/{self._number}.wav"], "201")

    def _send(self, options: list[str], expected: str) -> float:
        command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-T", str(self._file), *options]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        spent = time.perf_counter() - began
        assert done.stdout == expected, done.stdout
        return spent


def measure(folder: Path, size_bytes: int, count: int) -> dict[str, object]:
    """Throughput in 10^6 bytes a second, medians of `count` rounds, and the ratios."""
    (folder / "photos").mkdir(parents=True)
    settings = {"UPLOADS__RESERVE_MB": "0", "RATE_LIMITS__UPLOADS": "off"}
    with (
        nginx(folder / "nginx") as reference,
        harness.serving(folder / "data", folder / "photos", **settings) as daemon,
    ):
        bench = Bench(daemon, reference, folder, size_bytes)
        found = harness.rounds(count, ours=bench.ours, nginx=bench.nginx, nginx_durable=bench.nginx_durable)
    pace = {name: harness.median([size_bytes / spent / 1e6 for spent in values], 1) for name, values in found.items()}
    return {
        "size_bytes": size_bytes,
        "rounds": count,
        "mb_per_s": pace,
        "ratio": round(pace["ours"] / pace["nginx"], 2),
        "ratio_to_durable": round(pace["ours"] / pace["nginx_durable"], 2),
        "seconds": {name: harness.rounded(values) for name, values in found.items()},
    }


def main() -> None:
    """Measure and print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    with harness.scratch() as folder:
        large = measure(folder / "large", wanted.megabytes * MIB, wanted.rounds)
        small = measure(folder / "small", 3_000_000, wanted.rounds)
    harness.report(wanted={"ratio": 0.6}, large=large, small=small)


if __name__ == "__main__":
    main()
