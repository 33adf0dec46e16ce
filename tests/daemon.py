"""A real daemon in a process of its own, on a free port, for the tests that need one."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from tests.patience import PATIENCE

START_LIMIT_S = 300.0 * PATIENCE
STOP_LIMIT_S = 120.0 * PATIENCE
COMMAND = [sys.executable, "-m", "pixlsrve"]
PLACES = "PIXLSRVE_TEST_PLACES"
"""A folder where the file of place names is built already: an emulated processor needs minutes for it."""
QUIET = {"PIXLSRVE_MDNS__ENABLED": "false", "PIXLSRVE_WIREGUARD__ENABLED": "false"}
"""Nothing is announced on the network of whoever runs the tests, and no tunnel is made there."""


class Daemon:
    """`pixlsrve serve` on `data_dir`. Use `start` and `stop`, or let the fixture end it."""

    prefix: tuple[str, ...] = ()
    """What stands before the command: where it is run."""

    def __init__(self, data_dir: Path, *options: str, env: dict[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self.options = options
        self.env = env or {}
        self.url = ""
        self.process: subprocess.Popen[str] | None = None
        self._out: queue.Queue[str | None] = queue.Queue()
        self._threads: list[threading.Thread] = []
        self.log_lines: list[str] = []

    def start(self) -> Daemon:
        """Start, and wait for the line that says where it listens."""
        _give_places(self.data_dir)
        self.process = subprocess.Popen(
            [*self.prefix, *COMMAND, "serve", "--data-dir", str(self.data_dir), "--port", "0", *self.options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment(),
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._out, self.log_lines = queue.Queue(), []
        self._threads = [
            threading.Thread(target=_pump, args=(self.process.stdout, self._out.put), daemon=True),
            threading.Thread(target=_pump, args=(self.process.stderr, self._note), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        line = self._out.get(timeout=START_LIMIT_S)
        assert line is not None, f"the daemon did not start:\n{self.log}"
        assert line.startswith("listening on http://"), line
        self.url = line.removeprefix("listening on ").strip()
        return self

    def run_to_end(self) -> tuple[int, str, str]:
        """For a start that is meant to fail: exit code, standard output, standard error."""
        done = subprocess.run(
            [*self.prefix, *COMMAND, "serve", "--data-dir", str(self.data_dir), "--port", "0", *self.options],
            capture_output=True,
            text=True,
            env=self._environment(),
            timeout=START_LIMIT_S,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    @property
    def pid(self) -> int:
        """The process id."""
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        """What went to standard error so far."""
        return "\n".join(self.log_lines)

    def wait_logged(self, text: str) -> None:
        """Wait until the log has `text`: its lines come by a pipe, and so a little later than other signs."""
        until_s = time.monotonic() + START_LIMIT_S
        while text not in self.log:
            assert time.monotonic() < until_s, f"{text!r} was not logged:\n{self.log}"
            time.sleep(0.02)

    @property
    def port(self) -> int:
        """The port of HTTP."""
        return int(self.url.rsplit(":", 1)[1])

    def cli(self, *arguments: str, code: int = 0) -> str:
        """Run a command against this daemon; its standard output. Fails unless it exits with `code`."""
        group, *rest = arguments
        done = subprocess.run(
            [*self.prefix, *COMMAND, group, "--data-dir", str(self.data_dir), *rest],
            capture_output=True,
            text=True,
            env=self._environment(),
            timeout=START_LIMIT_S,
            check=False,
        )
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def token(self, *, admin: bool = False) -> str:
        """A bearer token from `pixlsrve token`."""
        return self.cli("token", *(["--admin"] if admin else [])).strip()

    def get(self, path: str, token: str = "", **headers: str) -> tuple[int, Any]:
        """Status and JSON answer (or text) of a GET."""
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.url + path, headers=headers)  # noqa: S310  # http to ourselves
        try:
            with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310  # http to ourselves
                return response.status, _decode(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _decode(error.read())

    def control(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The control socket's JSON answer, straight."""
        from pixlsrve.cli.control import Control

        control = Control(self.data_dir)
        return control.get(path) if method == "GET" else control.post(path, body or {})

    def wait_indexed(self) -> dict[str, Any]:
        """Scan, and wait until everything is indexed; the answer of `scan --wait --json`."""
        answer: dict[str, Any] = json.loads(self.cli("scan", "--wait", "--json"))
        return answer

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it with a signal; its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        for thread in self._threads:
            thread.join()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return code

    def further_output(self) -> list[str]:
        """The lines on standard output after the first; for a daemon that has ended."""
        lines = []
        while (line := self._out.get(timeout=1)) is not None:
            lines.append(line)
        return lines

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PIXLSRVE_")}
        return {**kept, "HOME": str(self.data_dir), "XDG_CONFIG_HOME": str(self.data_dir), **QUIET, **self.env}

    def _note(self, line: str | None) -> None:
        if line is not None:
            self.log_lines.append(line.rstrip("\n"))


@functools.cache
def _places_file() -> Path:
    """The file of place names, built once and kept for later sessions: building takes up to a minute."""
    from pixlsrve.media.places.build import ensure_places

    if os.environ.get(PLACES):
        return ensure_places(Path(os.environ[PLACES]))
    folder = Path(tempfile.gettempdir()) / f"pixlsrve-test-places-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    assert folder.lstat().st_uid == os.getuid(), f"{folder} is somebody else's"
    with (folder / "lock").open("w") as lock:  # sessions that run at once build it once
        fcntl.flock(lock, fcntl.LOCK_EX)
        return ensure_places(folder)


def _give_places(data_dir: Path) -> None:
    """Put the built file where a new daemon would build its own."""
    source = _places_file()
    target = data_dir / source.name
    if not target.exists():
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o600)


def _pump(stream: IO[str], put: Callable[[str | None], object]) -> None:
    """Hand on each line, then None."""
    for line in stream:
        put(line)
    put(None)


def _decode(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content


StartDaemon = Callable[..., Daemon]


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[StartDaemon]:
    """Makes daemons: `daemons(*options, data_dir=...)`, not yet started; all are ended after the test."""
    made: list[Daemon] = []

    def make(*options: str, data_dir: Path | None = None, env: dict[str, str] | None = None) -> Daemon:
        made.append(Daemon(data_dir or tmp_path / "data", *options, env=env))
        return made[-1]

    yield make
    for daemon in made:
        if daemon.process is not None:
            daemon.stop(signal.SIGKILL)


@pytest.fixture
def daemon(daemons: StartDaemon, tmp_path: Path) -> Daemon:
    """A running daemon with one empty photo folder, `tmp_path / "photos"`."""
    photos = tmp_path / "photos"
    photos.mkdir(exist_ok=True)
    return daemons("--photos", str(photos)).start()


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_root() -> bool:
    """Whether rights do not keep us from anything."""
    return os.geteuid() == 0


HAS_SETPRIV = shutil.which("setpriv") is not None
