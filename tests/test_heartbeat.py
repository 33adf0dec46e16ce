"""What systemd hears of the daemon: that it is ready, what it does, that its loop turns, that it takes new settings."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixlsrve.heartbeat import Heartbeat
from pixlsrve.notify import notify, watchdog_s
from tests.daemon import START_LIMIT_S, StartDaemon, daemons

__all__ = ["daemons"]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")


class Listener:
    """systemd's end of the notification socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(START_LIMIT_S)

    def wait(self, *words: str) -> str:
        """The first message from now on that has all these words."""
        until_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < until_s:
            message = self.socket.recv(65_536).decode()
            if all(word in message for word in words):
                return message
        raise AssertionError(f"nothing was told of {words}")


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    made = Listener(tmp_path / "notify")
    yield made
    made.socket.close()


def _settings(path: Path, *photos: Path) -> None:
    path.write_text(f"photos = {[str(each) for each in photos]}\n[http]\ntls = false\n")


def test_daemon_tells_what_it_does(daemons: StartDaemon, listener: Listener, tmp_path: Path) -> None:
    """It asks for time while it starts, says ready with a line of what it does, and shows life until it stops."""
    (tmp_path / "photos").mkdir()
    env = {"NOTIFY_SOCKET": str(listener.path), "WATCHDOG_USEC": "200000"}
    daemon = daemons("--photos", str(tmp_path / "photos"), env=env).start()
    ready = listener.wait("READY=1", "STATUS=")
    assert f"listening on {daemon.url}" in ready
    listener.wait("WATCHDOG=1", "STATUS=idle; 0 photos")  # told once, for it stays so
    for _ in range(3):
        listener.wait("WATCHDOG=1")
    daemon.stop()
    listener.wait("STOPPING=1")


def test_new_settings_are_in_force_after_a_reload(daemons: StartDaemon, listener: Listener, tmp_path: Path) -> None:
    """SIGHUP: other settings are in force without another process, at the same port; bad ones change nothing."""
    first, second, settings = tmp_path / "first", tmp_path / "second", tmp_path / "pixlsrve.toml"
    first.mkdir()
    second.mkdir()
    _settings(settings, first)
    daemon = daemons("--config", str(settings), env={"NOTIFY_SOCKET": str(listener.path)}).start()
    listener.wait("READY=1")
    url = daemon.url
    _settings(settings, first, second)
    os.kill(daemon.pid, signal.SIGHUP)
    listener.wait("RELOADING=1")
    listener.wait("READY=1", url)
    assert {root["name"] for root in daemon.control("GET", "/status")["photo_roots"]} >= {"first", "second"}
    settings.write_text("photso = []\n")
    os.kill(daemon.pid, signal.SIGHUP)
    listener.wait("RELOADING=1")
    listener.wait("READY=1")
    daemon.wait_logged("photso")
    assert daemon.get("/healthz")[0] == 200
    assert daemon.stop() == 0


def test_settings_that_do_not_start_are_taken_back(daemons: StartDaemon, listener: Listener, tmp_path: Path) -> None:
    """A reload with settings that look right and don't work leaves the daemon with those from before."""
    settings = tmp_path / "pixlsrve.toml"
    settings.write_text("[http]\ntls = false\n")
    daemon = daemons("--config", str(settings), env={"NOTIFY_SOCKET": str(listener.path)}).start()
    listener.wait("READY=1")
    settings.write_text('[http]\ntls = true\ntls_cert = "/nowhere.pem"\ntls_key = "/nowhere.key"\n')
    os.kill(daemon.pid, signal.SIGHUP)
    listener.wait("RELOADING=1")
    listener.wait("READY=1")
    daemon.wait_logged("the new settings don't work")
    assert daemon.get("/healthz")[0] == 200


async def test_a_loop_that_hangs_shows_no_life(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signs of life come from the event loop itself: while it is held up there is none."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(listener.path))
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    beating = asyncio.create_task(Heartbeat().run())
    await asyncio.sleep(0)
    listener.wait("WATCHDOG=1")
    listener.socket.settimeout(0.2)  # five times the limit, in which the loop stands still
    with pytest.raises(TimeoutError):
        listener.wait("WATCHDOG=1")
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)


async def test_nothing_beats_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without systemd there is no heart."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    await asyncio.wait_for(Heartbeat().run(), 10)


def test_watchdog_is_for_the_process_that_is_named() -> None:
    """sd_watchdog_enabled(3): another process's watchdog, and nonsense, are none."""
    assert watchdog_s({"WATCHDOG_USEC": "2500000"}) == 2.5
    assert watchdog_s({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": str(os.getpid())}) == 2.5
    assert watchdog_s({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "1"}) is None
    assert watchdog_s({"WATCHDOG_USEC": "0"}) is None
    assert watchdog_s({}) is None


def test_abstract_sockets_are_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notification socket whose name begins with @ is in the abstract namespace; a status has one line."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0pixlsrve-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@pixlsrve-{os.getpid()}")
        notify("READY=1", "two\nlines")
        assert heard.recv(100) == b"READY=1\nSTATUS=two lines"
