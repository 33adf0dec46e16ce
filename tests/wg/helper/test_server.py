"""Whom the helper serves, and what it takes for a request (T38)."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from pixlsrve.wg.helper import frames
from pixlsrve.wg.helper.client import Link
from pixlsrve.wg.helper.server import Server
from pixlsrve.wg.interface import TunnelUnavailable
from tests.daemon import COMMAND

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the helper is Linux's")


async def _server(path: Path, uid: int, idle_s: float | None = None) -> asyncio.Task[None]:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(path))
    listening.listen()

    async def run() -> None:
        with listening:
            await Server(listening, uid, idle_s=idle_s).run(asyncio.Event())

    return asyncio.create_task(run())


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    task = await _server(tmp_path / "s", os.geteuid())
    yield tmp_path / "s"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _sent(path: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    try:
        return await reader.read(1 << 16)
    except (BrokenPipeError, ConnectionResetError):
        return b""
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_another_users_connection_is_closed(tmp_path: Path) -> None:
    """T38: the kernel says who is at the other end, and only the service's user gets an answer."""
    task = await _server(tmp_path / "s", os.geteuid() + 1)
    assert await _sent(tmp_path / "s", frames.encode(frames.Choose())) == b""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode({"type": "Shell", "command": "id"}),
        msgspec.msgpack.encode({"type": "Choose", "more": 1}),
        msgspec.msgpack.encode({"type": "Ensure", "name": "a/b", "private_key": b"k" * 32, "port": 1, "address": "x"}),
        msgspec.msgpack.encode({"type": "Ensure", "name": "a", "private_key": b"k" * 31, "port": 1, "address": "x"}),
        msgspec.msgpack.encode(
            {"type": "Ensure", "name": "a", "private_key": b"k" * 32, "port": 65_536, "address": ""}
        ),
        msgspec.msgpack.encode({"type": "Apply", "put": [[b"short", "10.0.0.2"]], "remove": []}),
        msgspec.msgpack.encode({"type": "Enforce", "interface": 'x" }', "address": "", "lan": [], "opened": []}),
    ],
)
async def test_what_is_no_request_ends_the_connection(path: Path, body: bytes) -> None:
    """T38: unknown words, wrong sizes and names with other characters are not even looked at."""
    assert await _sent(path, frames.LENGTH.pack(len(body)) + body) == b""


async def test_too_long_a_request_is_not_read(path: Path) -> None:
    """Who announces more than the longest request loses the connection before sending it."""
    assert await _sent(path, frames.LENGTH.pack(frames.MAX_REQUEST_BYTES + 1)) == b""


async def test_keys_do_not_show() -> None:
    """T37: a request's text has no private key in it."""
    assert "kkk" not in repr(frames.Ensure("a", b"k" * 32, 1, "10.0.0.1/24"))


async def test_refusals_arrive_as_they_are(path: Path) -> None:
    """The service hears in a person's words what the helper refuses."""
    link = Link(path)
    with pytest.raises(TunnelUnavailable, match="was not made yet"):
        await link.ask(frames.ListPeers(), frames.Peers)
    with pytest.raises(OSError, match="was not made yet"):
        await asyncio.to_thread(link.open_sockets, "10.0.0.1", 53, None)
    link.close()


async def test_nobody_there_is_said(tmp_path: Path) -> None:
    """A helper that is not there is told as the tunnel's reason."""
    with pytest.raises(TunnelUnavailable, match="helper is not there"):
        await Link(tmp_path / "s").ask(frames.Choose(), frames.Chosen)


async def test_helper_ends_when_nobody_needs_it(tmp_path: Path) -> None:
    """Without a service nothing with these rights keeps running."""
    task = await _server(tmp_path / "s", os.geteuid(), idle_s=0.05)
    await asyncio.wait_for(task, 30)


def test_without_systemds_socket_it_says_so() -> None:
    """Started by hand without a socket it explains itself."""
    command = [*COMMAND, "tunnel-helper", "--user", str(os.geteuid())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pixlsrve-tunnel.socket" in done.stderr
