"""Agents in processes of their own, paired with a real daemon, and small songs for them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.daemon import COMMAND, QUIET, Daemon
from tests.mdns.lan import Lines

LIMIT_S = 180.0
_FRAME = bytes.fromhex("fffb9064") + bytes(413)
"""One silent frame of MPEG-1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes (ISO 11172-3 §2.4.1)."""


def song(number: int, frames: int = 40) -> bytes:
    """A playable MP3 of its own content."""
    title = f"Song {number}".encode()
    frame = b"TIT2" + (len(title) + 1).to_bytes(4, "big") + b"\0\0\3" + title
    size = bytes((len(frame) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + frame + _FRAME * frames


class AgentProcess:
    """`pixlsrve agent` for a daemon; `start` it, and `stop` it in the end."""

    def __init__(self, url: str, root: Path, data_dir: Path, *options: str, prefix: tuple[str, ...] = ()) -> None:
        self.url = url
        self.root = root
        self.data_dir = data_dir
        self.options = options
        self.prefix = prefix
        self.port = 0
        self.process: subprocess.Popen[str] | None = None
        self.log: Lines | None = None

    def start(self, *more: str) -> AgentProcess:
        """Start, and wait until the host knows of its files."""
        self.begin(*more)
        self.wait("the host knows of the files" if any(self.root.rglob("*.mp3")) else '"registered"')
        return self

    def begin(self, *more: str) -> None:
        """Start, and wait until it listens."""
        self.process = subprocess.Popen(
            [*self.prefix, *self.command(), *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(),
        )
        line = Lines(self.process.stdout).wait(lambda text: text.startswith("listening on port "), LIMIT_S)
        self.port = int(line.split()[3])
        self.log = Lines(self.process.stderr)

    def command(self) -> list[str]:
        """The command line without further options."""
        return [
            *COMMAND,
            "agent",
            "--server",
            self.url,
            "--root",
            str(self.root),
            "--data-dir",
            str(self.data_dir),
            *(self.options or ("--port", "0")),
        ]

    def run_to_end(self, *more: str) -> tuple[int, str]:
        """For a start that is meant to fail: exit code and standard error."""
        done = subprocess.run(
            [*self.prefix, *self.command(), *more],
            capture_output=True,
            text=True,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            timeout=LIMIT_S,
            check=False,
        )
        return done.returncode, done.stderr

    def wait(self, text: str) -> str:
        """The next line of its log with this text."""
        assert self.log is not None
        return self.log.wait(lambda line: text in line, LIMIT_S)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return code


def pair_code(daemon: Daemon, *options: str) -> str:
    """A one-time code of the daemon."""
    code: str = json.loads(daemon.cli("pair", "--json", "--no-wait", *options))["code"]
    return code


def fetch(
    url: str, *, method: str = "GET", token: str = "", body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of any answer."""
    if token:
        headers["Authorization"] = f"Bearer {token}"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data=body, method=method, headers=named)  # noqa: S310  # http to ourselves
    try:
        with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:  # noqa: S310  # as above
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def fetch_json(url: str, *, method: str = "GET", token: str = "", body: object = None) -> tuple[int, Any]:
    """Status and JSON of any answer."""
    data = None if body is None else json.dumps(body).encode()
    more = {} if data is None else {"Content_Type": "application/json"}
    status, _, content = fetch(url, method=method, token=token, body=data, **more)
    return status, json.loads(content)


def wait_until(wanted: Callable[[], bool]) -> None:
    """Look again until it is so; fails when it never is."""
    until_s = time.monotonic() + LIMIT_S
    while not wanted():
        assert time.monotonic() < until_s, "it never came to that"
        time.sleep(0.02)


def ending(agents: list[AgentProcess]) -> Iterator[None]:
    """For fixtures: end what was started."""
    yield
    for agent in agents:
        if agent.process is not None:
            agent.stop(signal.SIGKILL)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIXLSRVE_")}
    return {**kept, **QUIET}
