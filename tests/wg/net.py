"""A home in network namespaces: a daemon with its tunnel, and phones with the stock WireGuard tools.

Control sockets of userspace WireGuard are files that namespaces do not separate: every interface here has a name of its
own. Needs root and Linux.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.daemon import Daemon
from tests.mdns.lan import LIMIT_S, Lan, run

NEEDED = ("ip", "wg", "wg-quick", "wireguard-go", "nft", "curl", "ping", "sysctl")
SOCKETS = Path("/var/run/wireguard")
HOST_ADDRESS = "192.0.2.10"
_RESOLVCONF = """#!/bin/sh
# wg-quick gives the resolver's lines on standard input.
[ "$1" = -a ] && cat > /etc/resolv.conf
exit 0
"""
_numbers = itertools.count(1)


def why_not() -> str:
    """Why these tests can't run here; empty where they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "TUNNEL TESTS DO NOT RUN: they need Linux and root"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"TUNNEL TESTS DO NOT RUN: install {', '.join(missing)} (docs/development.md)"
    if not Path("/dev/net/tun").exists():
        return "TUNNEL TESTS DO NOT RUN: there is no /dev/net/tun"
    name = f"px-try-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode != 0:
        return "TUNNEL TESTS DO NOT RUN: network namespaces are not possible here"
    subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=True)
    return ""


def require() -> None:
    """Skip the module, aloud, where it can't run."""
    reason = why_not()
    if reason:
        pytest.skip(reason, allow_module_level=True)


def unique_interface() -> str:
    """An interface's name that nobody else on this computer uses."""
    return f"pw{os.getpid()}x{next(_numbers)}"


def until(wanted: Callable[[], bool], what: str = "it", limit_s: float = LIMIT_S) -> None:
    """Wait until `wanted` says yes; fails when it never does."""
    end_s = time.monotonic() + limit_s
    while not wanted():
        assert time.monotonic() < end_s, f"{what} did not come"
        time.sleep(0.02)


def inside(namespace: str, *command: str) -> tuple[int, str]:
    """Exit code and output of a command in a namespace, which may fail."""
    full = ["ip", "netns", "exec", namespace, *command]
    done = subprocess.run(full, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180, check=False)
    return done.returncode, done.stdout


def new_keys() -> tuple[str, str]:
    """A private and a public key, base64."""
    private = X25519PrivateKey.generate()
    pair = private.private_bytes_raw(), private.public_key().public_bytes_raw()
    return base64.b64encode(pair[0]).decode(), base64.b64encode(pair[1]).decode()


class Home:
    """A LAN with a namespace `host` at 192.0.2.10, and whatever else a test plugs in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = contextlib.ExitStack()
        self.lan = Lan(folder)
        self._stack.callback(self.lan.close)
        self.host = self.lan.host("host", f"{HOST_ADDRESS}/24")
        self.interface = unique_interface()

    def close(self) -> None:
        """End everything."""
        self._stack.close()

    def daemon(self, *options: str, namespace: str = "", env: dict[str, str] | None = None) -> HomeDaemon:
        """A daemon with its tunnel in a namespace (`host`), not yet started; ended with the home."""
        made = HomeDaemon(self, namespace or self.host, *options, env=env)
        self._stack.callback(made.end)
        return made

    def phone(self, name: str, *addresses: str) -> Phone:
        """A phone on the LAN."""
        return self.phone_at(self.lan.host(name, *addresses))

    def phone_at(self, namespace: str) -> Phone:
        """A phone in a namespace that is somewhere already."""
        made = Phone(self.folder, namespace)
        self._stack.callback(made.close)
        return made


class HomeDaemon(Daemon):
    """A daemon inside a namespace, on port 8080 of it. Ask it by `call`, from whichever namespace."""

    def __init__(self, home: Home, namespace: str, *options: str, env: dict[str, str] | None = None) -> None:
        self.namespace, self.interface = namespace, home.interface
        self.prefix = ("ip", "netns", "exec", namespace)
        settings = {
            "PIXLSRVE_WIREGUARD__ENABLED": "true",
            "PIXLSRVE_WIREGUARD__INTERFACE": home.interface,
            "PIXLSRVE_RATE_LIMITS__AUTH": "10000/minute",
            "PIXLSRVE_INDEX__WORKERS": "1",
            **(env or {}),
        }
        super().__init__(home.folder / f"data-{namespace}", "--no-tls", *options, env=settings)

    def end(self) -> None:
        """End it by force, and take away what it could not."""
        if self.process is not None:
            self.stop(signal.SIGKILL)
        inside(self.namespace, "ip", "link", "delete", self.interface)
        (SOCKETS / f"{self.interface}.sock").unlink(missing_ok=True)

    def status(self) -> dict[str, Any]:
        """What `status --json` says."""
        answer: dict[str, Any] = self.control("GET", "/status")
        return answer

    def wait_tunnel(self) -> dict[str, Any]:
        """The tunnel's part of the status once it is up."""
        until(lambda: bool(self.status()["wireguard"]["enabled"]), f"the tunnel, {self.status()['wireguard']}")
        state: dict[str, Any] = self.status()["wireguard"]
        return state

    def call(
        self,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        token: str = "",
        namespace: str = "",
        base: str = "",
    ) -> tuple[int, Any]:
        """Status and JSON answer of a GET, or of a POST where there is a body, sent from a namespace (the host's)."""
        options = ["-sS", "-m", "60", "-w", "\n%{http_code}"]
        if token:
            options += ["-H", f"Authorization: Bearer {token}"]
        if body is not None:
            options += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        url = (base or f"http://127.0.0.1:{self.port}") + path
        code, out = inside(namespace or self.namespace, "curl", *options, url)
        assert code == 0, out
        text, _, status = out.rpartition("\n")
        return int(status), json.loads(text) if text.startswith(("{", "[")) else text

    def pair(self, name: str = "Phone", public_key: str | None = None) -> dict[str, Any]:
        """The answer to a device that joins with a code."""
        status, answer = self.try_pair(name, public_key)
        assert status == 200, answer
        joined: dict[str, Any] = answer
        return joined

    def try_pair(self, name: str = "Phone", public_key: str | None = None) -> tuple[int, Any]:
        """Status and answer of pairing."""
        offer = self.control("POST", "/pairing-windows", {"waits": False})
        body = {"device_name": name, "device_type": "ios", "pairing_code": offer["code"]}
        if public_key is not None:
            body["public_key"] = public_key
        return self.call("/api/v1/auth/pair", body)

    def witness(self) -> dict[str, str]:
        """Each peer's allowed IPs by its public key, as `wg show` has them; nothing where there is no interface."""
        code, out = inside(self.namespace, "wg", "show", self.interface, "allowed-ips")
        if code != 0:
            return {}
        rows = (line.split("\t") for line in out.splitlines())
        return {row[0]: row[1] for row in rows if len(row) == 2}

    def children(self) -> list[int]:
        """The processes of wireguard-go that drive this daemon's interface."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if b"wireguard-go" in words[0] and self.interface.encode() in words:
                    found.append(int(folder.name))
        return found


class Phone:
    """A device with the stock tools. `folder` takes its files, which have mode 0600."""

    def __init__(self, folder: Path, namespace: str) -> None:
        self.namespace = namespace
        self.interface = unique_interface()
        self._folder = folder
        self._tools = folder / f"tools-{self.interface}"
        self._tools.mkdir()
        (self._tools / "resolvconf").write_text(_RESOLVCONF)
        (self._tools / "resolvconf").chmod(0o755)
        self._etc = Path("/etc/netns") / namespace
        self._etc.mkdir(parents=True, exist_ok=True)
        (self._etc / "resolv.conf").write_text("")

    @staticmethod
    def conf(config: dict[str, Any], private_key: str | None = None, *, endpoint: str = "", dns: bool = False) -> str:
        """The `wg-quick` file for pairing's `wireguard_config`."""
        lines = [
            "[Interface]",
            f"PrivateKey = {private_key or config['private_key']}",
            f"Address = {config['device_ip']}",
            *([f"DNS = {config['dns']}"] if dns else []),
            "[Peer]",
            f"PublicKey = {config['server_public_key']}",
            f"Endpoint = {endpoint or config['server_endpoint']}",
            f"AllowedIPs = {config['allowed_ips']}",
            "PersistentKeepalive = 25",
        ]
        return "\n".join(lines) + "\n"

    def up(self, conf: str) -> None:
        """`wg-quick up` with the text of a configuration."""
        file = self._folder / f"{self.interface}.conf"
        file.touch(0o600)
        file.write_text(conf)
        path = f"{self._tools}:{os.environ['PATH']}"
        # In a session of its own, as if on a computer of its own: Linux shares the processor out among sessions.
        inside = ("ip", "netns", "exec", self.namespace, "env", f"PATH={path}")
        run("setsid", "--wait", *inside, "wg-quick", "up", str(file))

    def curl(self, url: str, *options: str, limit_s: float = 5.0) -> tuple[int, str]:
        """curl's exit code and output."""
        return inside(self.namespace, "curl", "-sS", "-m", str(limit_s), *options, url)

    def reaches(self, url: str, limit_s: float = 5.0) -> bool:
        """Whether an HTTP server answers there."""
        return self.curl(url, "-o", "/dev/null", limit_s=limit_s)[0] == 0

    def pings(self, address: str, *options: str) -> bool:
        """Whether an address answers one of three echo requests."""
        return inside(self.namespace, "ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", *options, address)[0] == 0

    def close(self) -> None:
        """Take the tunnel away, which ends its process, and what was written for it."""
        inside(self.namespace, "ip", "link", "delete", self.interface)
        (SOCKETS / f"{self.interface}.sock").unlink(missing_ok=True)
        shutil.rmtree(self._etc, ignore_errors=True)


@contextlib.contextmanager
def home_in(folder: Path) -> Iterator[Home]:
    """A home for the length of the block."""
    made = Home(folder)
    try:
        yield made
    finally:
        made.close()
