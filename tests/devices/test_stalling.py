"""T29: whoever stalls at the agent's port is ended and keeps nobody else out; what is no HTTP gets its own answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from aiohttp import web

from pixlsrve.devices.agent.folder import Folder
from pixlsrve.devices.agent.sending import Sender
from pixlsrve.devices.agent.server import MiniServer
from pixlsrve.http.guard import Limits
from pixlsrve.http.mini_server import LIMITS, listen
from tests.daemon import Daemon
from tests.devices.kit import LIMIT_S, AgentProcess, fetch_json, pair_code, song

SECRET = "a credential of these tests"


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    """A paired agent in a process of its own, with a song."""
    folder = tmp_path_factory.mktemp("stalling")
    for name in ("photos", "music"):
        (folder / name).mkdir()
    (folder / "music" / "one.mp3").write_bytes(song(1))
    daemon = Daemon(folder / "data", "--photos", str(folder / "photos"), "--no-tls", "--no-vpn").start()
    made = AgentProcess(daemon.url, folder / "music", folder / "agent")
    try:
        yield made.start("--pair", pair_code(daemon))
    finally:
        made.stop(signal.SIGKILL)
        daemon.stop(signal.SIGKILL)


def connect(port: int, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), LIMIT_S, source_address=(source, 0))


def rest(connection: socket.socket) -> bytes:
    """What comes until the other side ends the connection."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65_536):
            received += piece
    return received


@contextlib.contextmanager
def many(port: int, count: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """So many connections from several addresses, each of which has sent this and stays."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(connect(port, f"127.0.0.{2 + number % 8}")) for number in range(count)]
        for connection in opened:
            with contextlib.suppress(ConnectionError):
                connection.sendall(sent)
        yield opened


def status_of_honest(port: int) -> int:
    """What a caller is answered who tries again when cut off, as the host does."""
    for _ in range(20):
        with contextlib.suppress(ConnectionError):
            return fetch_json(f"http://127.0.0.1:{port}/manifest")[0]
    raise AssertionError("nobody honest gets in")


def descriptors(agent: AgentProcess) -> int:
    assert agent.process is not None
    return len(list(Path(f"/proc/{agent.process.pid}/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors in /proc")
def test_half_requests_fill_nothing(agent: AgentProcess) -> None:
    """T29: a thousand half requests keep no honest caller out and cost a bounded number of descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4_096), hard))
    try:
        before = descriptors(agent)
        with many(agent.port, 1_000, b"GET /manifest HTTP/1.1\r\nHost: a\r\n"):
            for _ in range(3):
                assert status_of_honest(agent.port) == 401
            assert descriptors(agent) <= before + LIMITS.total + 8
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_taken_port(agent: AgentProcess, tmp_path: Path) -> None:
    """An agent whose port is another program's ends at once, and says which option helps."""
    (tmp_path / "agent").mkdir(mode=0o700)
    shutil.copy(agent.data_dir / "agent.json", tmp_path / "agent" / "agent.json")
    second = AgentProcess(agent.url, agent.root, tmp_path / "agent", "--port", str(agent.port))
    code, text = second.run_to_end()
    assert code == 1
    assert f"Port {agent.port} is taken by another program; stop that one or choose another with --port." in text


def test_half_request_ends(agent: AgentProcess) -> None:
    """T29: half a request, and none at all, are ended after the header's time by the agent as it really runs."""
    with connect(agent.port) as silent, connect(agent.port) as half:
        half.sendall(b"GET /transfer/one.mp3 HTTP/1.1\r\nHost: a\r\n")
        assert (rest(silent), rest(half)) == (b"", b"")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"no HTTP at all\r\n\r\n", 400),
        (b"GET /manifest HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET /manifest HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", 400),
        (b"GET /manifest HTTP/1.1\r\nHost: a\r\nExpect: cake\r\nConnection: close\r\n\r\n", 417),
        (b"GET /nowhere HTTP/1.1\r\nHost: a\r\nExpect: cake\r\nConnection: close\r\n\r\n", 417),
        (b"GET /manifest HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 401),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 401),
    ],
)
def test_answers_are_its_own(agent: AgentProcess, sent: bytes, status: int) -> None:
    """T15: every answer, to what is no HTTP request too, has the specification's shape and names no framework."""
    with connect(agent.port) as connection:
        connection.sendall(sent)
        head, _, body = rest(connection).partition(b"\r\n\r\n")
    assert head.startswith((f"HTTP/1.1 {status} ".encode(), f"HTTP/1.0 {status} ".encode())), head
    assert json.loads(body)["error"] == "Upload failed"
    assert set(json.loads(body)) == {"error", "details"}
    assert b"aiohttp" not in head.lower()
    assert b"python" not in head.lower()


@pytest.mark.parametrize(("path", "method", "status"), [("/nowhere", "GET", 404), ("/manifest", "POST", 405)])
async def test_host_is_told_what_is_not_there(tmp_path: Path, path: str, method: str, status: int) -> None:
    """What is no address or no method of the mini-server is 404 and 405, also to the host."""
    async with listen(_application(tmp_path, tmp_path), 0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.bound_port)
        lines = [f"{method} {path} HTTP/1.1", "Host: a", f"Authorization: Bearer {SECRET}", "Connection: close"]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    assert f" {status} ".encode() in head
    assert (b"Allow: GET" in head) == (status == 405)
    assert set(json.loads(body)) == {"error", "details"}


async def test_answer_that_nobody_reads(tmp_path: Path) -> None:
    """T29: a manifest that is asked for and not read ends its connection, and the walk with it."""
    folder = tmp_path / "music"
    for depth in range(8):
        folder /= str(depth) * 200
    folder.mkdir(parents=True)
    for number in range(6_000):
        (folder / f"{number:0200}.mp3").write_bytes(b"x")
    limits = Limits(response_window_s=0.3, sweep_s=0.02)
    async with listen(_application(tmp_path / "music", tmp_path), 0, limits) as server:
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            lazy.connect(("127.0.0.1", server.bound_port))
            lazy.sendall(f"GET /manifest HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {SECRET}\r\n\r\n".encode())
            async with asyncio.timeout(LIMIT_S):
                while not server.open_count:
                    await asyncio.sleep(0.005)
                while server.open_count:
                    await asyncio.sleep(0.005)
            received = await asyncio.to_thread(rest, lazy)
        assert len(received) < 6_000 * 1_900, "it was not taken whole"
        assert not [task for task in asyncio.all_tasks() if "_manifest" in str(task)]


def _application(root: Path, data_dir: Path) -> web.Application:
    folder = Folder(root, data_dir, frozenset({"mp3"}))
    sender = cast(Sender, None)  # nothing is sent here
    return MiniServer(folder, sender, credential=lambda: SECRET, on_stranger=lambda: None).application()
