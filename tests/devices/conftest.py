"""A daemon without extras, and agents for it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.daemon import Daemon, StartDaemon, daemons
from tests.devices.kit import AgentProcess, pair_code
from tests.mdns.lan import Lines

__all__ = ["daemons"]
THIRD_PARTY = Path(__file__).with_name("third_party.py")
AT_ANY_PACE = {"PIXLSRVE_RATE_LIMITS__AUTH": "off"}
StartAgent = Callable[..., AgentProcess]
StartThirdParty = Callable[..., int]


@pytest.fixture
def host(daemons: StartDaemon, tmp_path: Path) -> Daemon:
    """A running daemon, without HTTPS and the tunnel."""
    (tmp_path / "photos").mkdir()
    return daemons("--photos", str(tmp_path / "photos"), "--no-tls", "--no-vpn", env=AT_ANY_PACE).start()


@pytest.fixture(scope="module")
def shared_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One like it for all tests of a module, each with a device of its own."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "photos").mkdir()
    daemon = Daemon(
        folder / "data", "--photos", str(folder / "photos"), "--no-tls", "--no-vpn", env=AT_ANY_PACE
    ).start()
    yield daemon
    daemon.stop()


@pytest.fixture
def agents(tmp_path: Path) -> Iterator[StartAgent]:
    """Makes paired and started agents: `agents(daemon, root)`."""
    made: list[AgentProcess] = []

    def make(daemon: Daemon, root: Path, *pair_options: str, name: str = "agent") -> AgentProcess:
        agent = AgentProcess(daemon.url, root, tmp_path / name)
        made.append(agent)
        return agent.start("--pair", pair_code(daemon, *pair_options))

    yield make
    for agent in made:
        if agent.process is not None:
            agent.stop(signal.SIGKILL)


@pytest.fixture
def third_party() -> Iterator[StartThirdParty]:
    """Starts the foreign mini-server: `third_party(folder, server, device_id, port, *songs)`; its port."""
    made: list[subprocess.Popen[str]] = []

    def start(folder: Path, server: str, device_id: str, port: int, *songs: str) -> int:
        command = [sys.executable, str(THIRD_PARTY), str(folder), server, device_id, str(port), *songs]
        made.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return int(Lines(made[-1].stdout).wait(lambda line: line.startswith("port ")).split()[1])

    yield start
    for process in made:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
