"""10,000 websocket clients on one event: how late the last ones hear of it, and what each costs.

Clients are processes of their own, which speak the protocol over plain sockets, so that they cost as little as possible
and the reference, the same event to 100 clients, is measured in the same way. A tenth of them never read. The event is
a real one: the token that they listen with is an admin's, and a scan is asked for. Times are those of the clock that
all processes share, from the event's own `at` (for the broadcast: from the file's renaming into place, 300 ms of which
are the rule that it must not change) to each client's reading of it.

The rate limit of handshakes and the bound on open files are raised for this; the caps on connections are the defaults.
"""

from __future__ import annotations

import asyncio
import base64
import multiprocessing
import os
import re
import resource
import socket
import statistics
import time
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.harness import Daemon, parser, report, scratch, serving
from pixlsrve.cli.control import Control

PROCESSES = 4
AT_ONCE = 50
_AT = re.compile(rb'"at":"([^"]+)"')


def _request(port: int, path: str, token: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()


class Listener(asyncio.Protocol):
    """A client that notes when it first reads the event that is waited for; a pong is all that it sends."""

    def __init__(self, marks: list[float], needle: bytes, *, is_reading: bool) -> None:
        self.opened = asyncio.get_running_loop().create_future()
        self.is_lost = False
        self._marks = marks
        self._needle = needle
        self._is_reading = is_reading
        self._is_marked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """The handshake's answer first, then frames."""
        now_s = time.time()
        if not self.opened.done():
            self.opened.set_result(data.startswith(b"HTTP/1.1 101"))
            if not self._is_reading:
                self._transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport has it
        if data.startswith(b"\x89\x00"):
            self._transport.write(b"\x8a\x80\0\0\0\0")  # type: ignore[attr-defined]  # as above
        if not self._is_marked and self._needle in data:
            self._is_marked = True
            happened = _AT.search(data, data.index(self._needle))
            at_s = datetime.fromisoformat(happened[1].decode()).timestamp() if happened else 0.0
            self._marks.append(now_s - at_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note it."""
        self.is_lost = True
        if not self.opened.done():
            self.opened.set_result(False)


async def _listen(pipe: Connection, port: int, path: str, token: str, count: int, silent: int, needle: bytes) -> None:
    """One process' clients: open them, say so, wait for the word, report."""
    loop = asyncio.get_running_loop()
    marks: list[float] = []
    listeners: list[Listener] = []

    async def one(number: int) -> None:
        for _ in range(5):
            listener = Listener(marks, needle, is_reading=number >= silent)
            with socket.socket() as made:
                made.setblocking(False)
                await loop.sock_connect(made, ("127.0.0.1", port))
                transport, _ = await loop.create_connection(lambda made=listener: made, sock=made.dup())
            transport.write(_request(port, path, token))
            if await listener.opened:
                listeners.append(listener)
                return
            transport.close()
            await asyncio.sleep(0.2)

    for start in range(0, count, AT_ONCE):
        await asyncio.gather(*(one(number) for number in range(start, min(start + AT_ONCE, count))))
    pipe.send(len(listeners))
    while not pipe.poll():  # noqa: ASYNC110  # the word comes from another process
        await asyncio.sleep(0.05)
    pipe.recv()
    pipe.send((marks, sum(listener.is_lost for listener in listeners)))


def _work(pipe: Connection, *arguments: Any) -> None:
    _raise_limit()
    asyncio.run(_listen(pipe, *arguments))


def _raise_limit() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _rss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise RuntimeError("the system does not tell")


def measure(daemon: Daemon, door: str, clients: int, silent: int) -> dict[str, Any]:
    """Open the clients, cause one event, and see when they hear of it."""
    token = daemon.token()
    if door == "events":
        port, path, needle = int(daemon.url.rsplit(":", 1)[1]), "/api/v1/ws", b'"scan.finished"'
    else:
        port, path, needle = daemon.control.get("/status")["ports"]["websocket"], "/", b"benchmark message"
    before_kb = _rss_kb(daemon.pid)
    processes, pipes = [], []
    for number in range(PROCESSES):
        ours, theirs = multiprocessing.Pipe()
        share = clients // PROCESSES + (number < clients % PROCESSES)
        quiet = silent // PROCESSES + (number < silent % PROCESSES)
        arguments = (theirs, port, path, token, share, quiet, needle)
        processes.append(multiprocessing.Process(target=_work, args=arguments, daemon=True))
        pipes.append(ours)
    begun_s = time.monotonic()
    for process in processes:
        process.start()
    opened = sum(pipe.recv() for pipe in pipes)
    opening_s = time.monotonic() - begun_s
    with_clients_kb = _rss_kb(daemon.pid)
    sent_s = _cause(daemon, door)
    time.sleep(10)
    for pipe in pipes:
        pipe.send("report")
    answers = [pipe.recv() for pipe in pipes]
    for process in processes:
        process.terminate()
        process.join()
    late = sorted(mark - sent_s for marks, _ in answers for mark in marks)
    return {
        "clients": opened,
        "never_reading": silent,
        "heard": len(late),
        "lost": sum(lost for _, lost in answers),
        "opening_s": round(opening_s, 1),
        "kb_per_client": round((with_clients_kb - before_kb) / opened, 1),
        "first_ms": round(late[0] * 1e3),
        "p50_ms": round(statistics.median(late) * 1e3),
        "p99_ms": round(late[min(len(late) - 1, len(late) * 99 // 100)] * 1e3),
        "last_ms": round(late[-1] * 1e3),
    }


def _cause(daemon: Daemon, door: str) -> float:
    """Cause one event; when, or 0 where the event itself says so."""
    if door == "events":
        Control(daemon.data_dir).post("/scan", {"full_scan": False, "accept_removals": False})
        return 0.0
    drop = daemon.data_dir / "storage" / "websocket_messages"
    part = drop / "message.part"
    part.write_text("benchmark message")
    part.rename(drop / "message.txt")
    return time.time()


def main() -> None:
    """Measure both websockets, each beside 100 clients of the same kind."""
    options = parser(__doc__)
    options.add_argument("--clients", type=int, default=10_000)
    options.add_argument("--silent", type=int, default=1_000)
    options.add_argument("--door", choices=["events", "broadcast"], help="which websocket; both unless given")
    given = options.parse_args()
    _raise_limit()
    found: dict[str, Any] = {}
    for door in [given.door] if given.door else ["events", "broadcast"]:
        with scratch() as folder:
            (folder / "photos").mkdir()
            with serving(folder / "data", folder / "photos", RATE_LIMITS__OTHER="off") as daemon:
                daemon.wait_idle()
                few = measure(daemon, door, 100, 10)
            with serving(folder / "data", folder / "photos", RATE_LIMITS__OTHER="off") as daemon:
                daemon.wait_idle()
                found[door] = {"reference": few, "many": measure(daemon, door, given.clients, given.silent)}
    report(benchmark="push", descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[0], **found)


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
