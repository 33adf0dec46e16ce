"""The broadcast websocket of a real daemon, with the `websockets` library as a client that nobody here wrote."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import websockets

from pixlsrve.cli.control import Control
from tests.daemon import Daemon, StartDaemon, daemon, daemons, is_root

__all__ = ["daemon", "daemons"]
WAIT_S = 60.0
HEARTBEAT = "[ping] Server heartbeat"


def status(daemon: Daemon) -> dict[str, Any]:
    """What the daemon says of itself."""
    answer: dict[str, Any] = json.loads(daemon.cli("status", "--json"))
    return answer


def connect(daemon: Daemon, host: str = "127.0.0.1", path: str = "/", **options: Any) -> Any:
    """A client of the broadcast."""
    return websockets.connect(f"ws://{host}:{status(daemon)['ports']['websocket']}{path}", **options)


async def next_text(client: Any) -> str:
    """The next message that is no heartbeat."""
    while (text := await asyncio.wait_for(client.recv(), WAIT_S)) == HEARTBEAT:
        pass
    return str(text)


def drops(daemon: Daemon) -> Path:
    """The drop directory."""
    return daemon.data_dir / "storage" / "websocket_messages"


async def test_echo_reaches_everybody(daemon: Daemon) -> None:
    """What one client says comes back to all, with `Echo: ` before it; whatever they send as credential is taken."""
    async with (
        connect(daemon) as one,
        connect(daemon, "localhost", "/anything?token=abc") as two,
        connect(daemon, additional_headers={"Authorization": "Bearer made-up", "Cookie": "sessionid=x"}) as three,
    ):
        await one.send("hello ✓")
        assert [await next_text(client) for client in (one, two, three)] == ["Echo: hello ✓"] * 3
        await two.send(b"bytes are nothing to echo")
        await two.send("again")
        assert await next_text(one) == "Echo: again"


async def test_heartbeat_comes(daemon: Daemon) -> None:
    """All clients hear the heartbeat, its text letter for letter."""
    async with connect(daemon) as one, connect(daemon) as two:
        assert await asyncio.wait_for(one.recv(), WAIT_S) == HEARTBEAT
        assert await asyncio.wait_for(two.recv(), WAIT_S) == HEARTBEAT


async def test_dropped_file_is_sent_and_deleted(daemon: Daemon) -> None:
    """A text file put into the drop directory goes verbatim to all, and is then deleted."""
    text = ' {"action": "PLAY", "value": "fake-uuuid"}\n'
    async with connect(daemon) as one, connect(daemon) as two:
        drops(daemon).joinpath("message.txt").write_text(text)
        assert [await next_text(client) for client in (one, two)] == [text] * 2
        await until(lambda: not list(drops(daemon).iterdir()))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that comes by itself."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.02)


async def test_drop_directory_is_private(daemon: Daemon) -> None:
    """T23: the drop directory is made 0700."""
    assert stat.S_IMODE(drops(daemon).stat().st_mode) == 0o700


async def test_stop_says_going_away(daemon: Daemon) -> None:
    """At the daemon's stop each client is closed with 1001, and the stop does not wait for a flood of theirs."""
    async with connect(daemon) as client:
        for _ in range(2_000):
            await client.send("x" * 100)
        stopping = asyncio.create_task(asyncio.to_thread(daemon.stop))
        with contextlib.suppress(websockets.ConnectionClosed):
            async with asyncio.timeout(WAIT_S):
                while True:
                    await client.recv()
        assert client.close_code == 1001
        assert await stopping == 0


async def test_files_that_were_there_are_sent(daemons: StartDaemon, tmp_path: Path) -> None:
    """A file that was dropped while nothing ran is sent after the start, to whoever is there by then."""
    first = daemons().start()
    folder = drops(first)
    first.stop()
    folder.joinpath("early.txt").write_text("early")
    daemons(data_dir=first.data_dir).start()
    await until(lambda: not list(folder.iterdir()))


def test_port_can_be_switched_off(daemons: StartDaemon) -> None:
    """Port 0 switches the part off, and nothing touches the drop directory then."""
    off = daemons(env={"PIXLSRVE_COMPAT__WEBSOCKET_PORT": "0"}).start()
    answer = status(off)
    assert answer["websocket"] == {"enabled": False, "reason": "switched off"}
    assert "websocket" not in answer["ports"]
    assert not drops(off).exists()


def test_taken_port_is_reported(daemons: StartDaemon, tmp_path: Path) -> None:
    """A taken port is in the log, in `status` and in `doctor`, and the rest of the daemon works."""
    with socket.socket() as taken, socket.socket() as free:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        free.bind(("127.0.0.1", 0))
        http_port, port = free.getsockname()[1], taken.getsockname()[1]
        free.close()
        env = {"PIXLSRVE_COMPAT__WEBSOCKET_PORT": str(port), "PIXLSRVE_HTTP__TLS": "false"}
        # A later --port is the one that counts: with 0 this part's port would be free to choose too.
        daemon = daemons("--port", str(http_port), "--host", "127.0.0.1", env=env)
        checked = json.loads(daemon.cli("doctor", "--json", code=1))
        assert f"Port {port} is taken" in str(checked)
        daemon.start()
        answer = status(daemon)
        assert not answer["websocket"]["enabled"]
        assert any(f"Port {port} is taken" in notice["message"] for notice in answer["notices"])
        daemon.wait_logged("compat.websocket_port")
        assert daemon.get("/healthz")[0] == 200


async def test_beyond_loopback_a_credential_is_required(daemons: StartDaemon) -> None:
    """T28: bound beyond loopback nobody listens without a token, and its revocation closes within a second (T7)."""
    daemon = daemons(env={"PIXLSRVE_COMPAT__WEBSOCKET_HOST": "0.0.0.0"}).start()  # noqa: S104  # it is what the test is about
    for path, headers in (("/", {}), ("/?token=made-up", {}), ("/", {"Authorization": "Bearer made-up"})):
        with pytest.raises(websockets.InvalidStatus) as caught:
            await connect(daemon, path=path, additional_headers=headers)
        assert caught.value.response.status_code == 401
    token = daemon.token()
    async with (
        connect(daemon, path=f"/?token={token}") as one,
        connect(daemon, additional_headers={"Authorization": f"Bearer {token}"}) as two,
    ):
        await one.send("hello")
        assert [await next_text(client) for client in (one, two)] == ["Echo: hello"] * 2
        listed = await asyncio.to_thread(daemon.control, "GET", "/tokens")
        begun = asyncio.get_running_loop().time()
        await asyncio.to_thread(Control(daemon.data_dir).delete, f"/tokens/{listed['tokens'][0]['id']}")
        for client in (one, two):
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await next_text(client)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
        assert asyncio.get_running_loop().time() - begun < 3
    assert token not in daemon.log


@pytest.mark.skipif(not is_root(), reason="gives files to other users, which takes root")
async def test_group_may_drop_files(daemons: StartDaemon) -> None:
    """T23: with `compat.drop_group` its members' files are taken, and other people's still are not."""
    daemon = daemons(env={"PIXLSRVE_COMPAT__DROP_GROUP": "games"}).start()
    folder = drops(daemon)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o770
    async with connect(daemon) as client:
        for name, uid, gid in (("stranger.txt", 65534, 65534), ("member.txt", 65534, folder.stat().st_gid)):
            folder.joinpath(f"{name}.part").write_text(name)
            os.chown(folder / f"{name}.part", uid, gid)
            folder.joinpath(f"{name}.part").rename(folder / name)
        assert await next_text(client) == "member.txt"
        await until(lambda: "belongs to somebody else" in daemon.log)
    assert [path.name for path in folder.iterdir()] == ["stranger.txt"]
