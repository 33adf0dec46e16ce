"""A LAN of network namespaces: a switch, hosts on it, and avahi as somebody else's eyes. Needs root and Linux."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.patience import PATIENCE

SERVICE = "_pixlsrve._tcp"
LIMIT_S = 120.0 * PATIENCE
"""For a busy machine; nothing is asserted about times."""
NEEDED = ("ip", "avahi-daemon", "avahi-browse", "avahi-resolve", "curl", "dbus-daemon", "mount", "stdbuf", "sysctl")
REPOSITORY = Path(__file__).parents[2]
_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
  </policy>
</busconfig>
"""
_AVAHI = """[server]
host-name={name}
use-ipv4=yes
use-ipv6=yes
enable-dbus=yes
[wide-area]
enable-wide-area=no
"""


def why_not() -> str:
    """Why these tests can't run here; empty where they can."""
    if sys.platform != "linux":
        return "network namespaces are not possible here: NETWORK TESTS DO NOT RUN, they are Linux's"
    if os.geteuid() != 0:
        return "network namespaces are not possible here: NETWORK TESTS DO NOT RUN, they need root"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"NETWORK TESTS DO NOT RUN: install {', '.join(missing)} (docs/development.md)"
    name = f"px-try-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode != 0:
        return "network namespaces are not possible here: NETWORK TESTS DO NOT RUN"
    subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=True)
    return ""


def require() -> None:
    """Skip the module, aloud, where it can't run."""
    reason = why_not()
    if reason:
        pytest.skip(reason, allow_module_level=True)


def run(*command: str) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Lan:
    """One LAN: a bridge in a namespace of its own. `host` plugs another namespace into it."""

    _count = 0

    def __init__(self, folder: Path) -> None:
        Lan._count += 1
        self.folder = folder
        self._prefix = f"px{os.getpid() % 10_000}{chr(97 + Lan._count % 26)}"
        self._stack = contextlib.ExitStack()
        self._plugs = 0
        self._ports: dict[str, str] = {}
        self.switch = self._namespace("sw")
        self.ip(self.switch, "link", "add", "bridge", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        self.ip(self.switch, "link", "set", "bridge", "up")

    def close(self) -> None:
        """End everything that was started."""
        self._stack.close()

    def ip(self, namespace: str, *arguments: str) -> str:
        """ip(8) in a namespace."""
        return run("ip", "-n", namespace, *arguments)

    def host(self, name: str, *addresses: str, interface: str = "eth0", has_ipv6: bool = True) -> str:
        """A namespace with an interface on this LAN (none without addresses); its name."""
        namespace = self._namespace(name)
        if not has_ipv6:
            run("ip", "netns", "exec", namespace, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        if addresses:
            self.plug(namespace, interface, *addresses)
        return namespace

    def plug(self, namespace: str, interface: str, *addresses: str) -> None:
        """Give a namespace an interface on this LAN; it is up when this returns."""
        self._plugs += 1
        port = self._ports[namespace] = f"port{self._plugs}"
        self.ip(self.switch, "link", "add", port, "type", "veth", "peer", "name", interface, "netns", namespace)
        self.ip(self.switch, "link", "set", port, "master", "bridge", "up")
        for address in addresses:
            extra = ["nodad"] if ":" in address else []
            self.ip(namespace, "addr", "add", address, "dev", interface, *extra)
        self.ip(namespace, "link", "set", interface, "up")

    def part(self, namespace: str) -> None:
        """Take the port of a namespace's latest interface out of the LAN; its own end sees no difference."""
        self.ip(self.switch, "link", "set", self._ports[namespace], "nomaster")

    def join(self, namespace: str) -> None:
        """The opposite of `part`."""
        self.ip(self.switch, "link", "set", self._ports[namespace], "master", "bridge")

    def start(self, namespace: str, *command: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """A program in a namespace, ended with the LAN at the latest."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, **(env or {})},
        )
        self._stack.callback(end, process)
        return process

    def advertise(self, namespace: str, name: str, *options: str) -> Advertised:
        """An advertiser in a process of its own."""
        return Advertised(self.start(namespace, sys.executable, "-m", "tests.mdns.host", name, *options))

    def avahi(self, namespace: str, host_name: str = "witness") -> Avahi:
        """avahi-daemon in a namespace, ready to be asked."""
        return Avahi(self, namespace, host_name)

    def _namespace(self, name: str) -> str:
        namespace = f"{self._prefix}-{name}"
        run("ip", "netns", "add", namespace)
        self._stack.callback(run, "ip", "netns", "delete", namespace)
        self.ip(namespace, "link", "set", "lo", "up")
        return namespace


class Lines:
    """What a program writes, line by line."""

    def __init__(self, stream: IO[str] | None) -> None:
        assert stream is not None
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.seen: list[str] = []
        threading.Thread(target=self._pump, daemon=True).start()

    def wait(self, wanted: Callable[[str], bool], limit_s: float = LIMIT_S) -> str:
        """The next line that is wanted; fails when none comes."""
        until_s = time.monotonic() + limit_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, until_s - time.monotonic()))
            except queue.Empty:
                line = None
            assert line is not None, "it did not come; there was:\n" + "".join(self.seen)
            self.seen.append(line)
            if wanted(line):
                return line.rstrip("\n")

    def so_far(self) -> list[str]:
        """All lines that have come by now."""
        with contextlib.suppress(AssertionError):
            self.wait(lambda _: False, 0.2)
        return self.seen

    def _pump(self) -> None:
        with contextlib.suppress(ValueError):
            for line in self._stream:
                self._lines.put(line)
        self._lines.put(None)


class Advertised:
    """The advertiser of `tests.mdns.host`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines = Lines(process.stdout)

    def name(self) -> str:
        """The name under which it has announced itself next."""
        return self.lines.wait(lambda line: line.startswith("announced ")).removeprefix("announced ")

    def wait_named(self, name: str) -> None:
        """Wait until it announced itself under `name`; late addresses make it announce more than once."""
        self.lines.wait(lambda line: line.rstrip("\n") == f"announced {name}")

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(LIMIT_S)


class Avahi:
    """avahi-daemon with a bus of its own, and avahi-browse beside it."""

    def __init__(self, lan: Lan, namespace: str, host_name: str) -> None:
        self._lan = lan
        self._namespace = namespace
        folder = lan.folder / f"avahi-{namespace}"
        folder.mkdir()
        socket, bus, settings = folder / "bus", folder / "bus.conf", folder / "avahi.conf"
        bus.write_text(_BUS.format(path=socket))
        settings.write_text(_AVAHI.format(name=host_name))
        self._env = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={socket}", "LC_ALL": "C.UTF-8"}
        started = lan.start(namespace, "dbus-daemon", f"--config-file={bus}", "--nofork", "--print-address=1")
        Lines(started.stdout).wait(lambda line: line.startswith("unix:"))
        Path("/run/avahi-daemon").mkdir(exist_ok=True)
        # Its file with the process id has a fixed place: each daemon gets its own one there.
        script = (
            'mount -t tmpfs none /run/avahi-daemon && exec avahi-daemon --no-rlimits --no-drop-root --no-chroot -f "$0"'
        )
        self.process = lan.start(namespace, "sh", "-c", script, str(settings), env=self._env)
        self.lines = Lines(self.process.stdout)
        self.lines.wait(lambda line: "Server startup complete" in line)

    def watch(self) -> Lines:
        """Everything about our service from now on, as `avahi-browse -rp` writes it."""
        command = ("stdbuf", "-oL", "avahi-browse", "-rp", SERVICE)
        return Lines(self._lan.start(self._namespace, *command, env=self._env).stdout)

    def ask(self) -> list[list[str]]:
        """What is there just now: the resolved lines of `avahi-browse -rpt`, split."""
        process = self._lan.start(self._namespace, "avahi-browse", "-rpt", SERVICE, env=self._env)
        out, _ = process.communicate(timeout=LIMIT_S)
        return [line.split(";") for line in out.splitlines() if line.startswith("=")]

    def resolve(self, name: str, family: int = 4) -> str:
        """The address that a name in .local has, by `avahi-resolve`."""
        process = self._lan.start(self._namespace, "avahi-resolve", f"-{family}", "-n", name, env=self._env)
        out, _ = process.communicate(timeout=LIMIT_S)
        return out.split()[-1]

    def ask_until(self, wanted: Callable[[list[list[str]]], bool]) -> list[list[str]]:
        """The first answer that is wanted; fails when none comes."""
        until_s = time.monotonic() + LIMIT_S
        while True:
            found = self.ask()
            if wanted(found):
                return found
            assert time.monotonic() < until_s, f"last seen: {found}"


def end(process: subprocess.Popen[str]) -> None:
    """End a program, by force in the end."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


@contextlib.contextmanager
def lan_in(folder: Path) -> Iterator[Lan]:
    """A LAN for the length of the block."""
    made = Lan(folder)
    try:
        yield made
    finally:
        made.close()
