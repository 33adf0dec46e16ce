"""Cut one large upload at random places, and count what had to be sent twice.

    python -m tests.campaigns.resume --megabytes 2048 --cuts 20 [--seed N]

prints one JSON object. A relay between the client and the daemon breaks the connection after a random number of bytes;
the client asks with HEAD how far the upload has come, as tus says, and goes on from there.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import random
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.daemon import Daemon
from tests.uploading import ROOMY, Phone, digests_in, wav_head

MIB = 1024 * 1024
BLOCK_BYTES = 1 * MIB


@dataclass
class Report:
    """What the campaign found."""

    size_bytes: int = 0
    cuts: int = 0
    sent_bytes: int = 0
    sent_twice_share: float = 0.0
    wrong_offsets: int = 0
    is_whole: bool = False
    seconds: float = 0.0
    seed: int = 0
    offsets: list[int] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether the file is whole and hardly anything was sent twice."""
        return self.is_whole and self.sent_twice_share <= 0.02 and self.wrong_offsets == 0


class Relay:
    """Passes bytes on between a client and the daemon, and breaks the connection when a budget is used up."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.budget_bytes: int | None = None
        self.passed_bytes = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server:
            threading.Thread(target=_copy, args=(server, client), daemon=True).start()
            with contextlib.suppress(OSError):
                while data := client.recv(BLOCK_BYTES):
                    if self.budget_bytes is not None:
                        data = data[: self.budget_bytes]
                        self.budget_bytes -= len(data)
                    self.passed_bytes += len(data)
                    server.sendall(data)
                    if self.budget_bytes == 0:
                        self.budget_bytes = None
                        break


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(BLOCK_BYTES):
            target.sendall(data)


def blocks(path: Path, offset: int) -> Iterator[bytes]:
    """The rest of a file."""
    with path.open("rb") as file:
        file.seek(offset)
        while data := file.read(BLOCK_BYTES):
            yield data


def make_file(path: Path, size_bytes: int, seed: int) -> str:
    """A sound of noise; its SHA-256."""
    dice, digest = random.Random(seed), hashlib.sha256()
    noise = dice.randbytes(BLOCK_BYTES)
    with path.open("wb") as file:
        left, data = size_bytes - 44, wav_head(size_bytes)
        while data:
            file.write(data)
            digest.update(data)
            data = (dice.randbytes(16) + noise)[: min(left, BLOCK_BYTES)]
            left -= len(data)
    return digest.hexdigest()


def campaign(folder: Path, *, size_bytes: int, cuts: int, seed: int) -> Report:
    """The whole of it, in an empty folder."""
    report, dice = Report(size_bytes=size_bytes, seed=seed), random.Random(seed)
    (folder / "photos").mkdir()
    source = folder / "large.wav"
    digest = make_file(source, size_bytes, seed)
    daemon = Daemon(folder / "data", "--photos", str(folder / "photos"), env=ROOMY).start()
    relay = Relay(daemon.port)
    try:
        began = time.monotonic()
        phone = Phone(daemon)
        place = phone.create(size_bytes, "large.wav").headers["Location"]
        ends = sorted(dice.sample(range(1, size_bytes), cuts))
        relayed = Phone(daemon, phone.token)
        offset, status = 0, 0
        for end in [*ends, size_bytes]:
            relay.budget_bytes = end - offset if end < size_bytes else None
            if relay.budget_bytes is not None and relay.budget_bytes <= 0:
                continue
            status = _send(relayed, relay.port, place, source, offset)
            if status:
                break
            report.cuts += 1
            new = phone.offset(place)
            report.wrong_offsets += not offset <= new <= end
            report.offsets.append(new)
            offset = new
        report.sent_bytes = relay.passed_bytes
        report.sent_twice_share = round(max(0, relay.passed_bytes - size_bytes) / size_bytes, 5)
        report.seconds = round(time.monotonic() - began, 1)
        report.is_whole = status == 204 and digests_in(daemon) == {digest}
    finally:
        relay.close()
        daemon.stop()
    return report


def _send(phone: Phone, port: int, place: str, source: Path, offset: int) -> int:
    """PATCH the rest of the file through the relay; the status, 0 where the connection broke."""
    headers = {
        "Authorization": f"Bearer {phone.token}",
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": str(offset),
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(source.stat().st_size - offset),
        "Host": "127.0.0.1",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", port), timeout=600) as connection:
        try:
            connection.sendall(f"PATCH {place} HTTP/1.1\r\n{head}\r\n".encode())
            for block in blocks(source, offset):
                connection.sendall(block)
            answer = connection.recv(65_536)
        except OSError:
            return 0
    return int(answer.split(b" ", 2)[1]) if answer else 0


def main() -> int:
    """Run the campaign and print what it found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=2_048)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pixlsrve-resume-", dir=wanted.folder) as folder:
        report = campaign(Path(folder), size_bytes=wanted.megabytes * MIB, cuts=wanted.cuts, seed=wanted.seed)
    print(json.dumps(asdict(report)))
    return 0 if report.is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
