"""A town of network namespaces: homes behind routers that translate addresses, with miniupnpd, and the internet.

Public addresses here are real ones, for programs that check; nothing leaves the namespaces. Needs root and Linux.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.mdns.lan import LIMIT_S, Lan, Lines, end, run
from tests.mdns.lan import why_not as lan_why_not

NEEDED = ("miniupnpd", "nft", "sysctl", "ip")
INTERNET = "81.2.69."
"""The internet's network, /24."""
_RULES = """
table inet filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "in0" accept
    jump miniupnpd
  }
  chain miniupnpd { }
  chain prerouting { type nat hook prerouting priority -100; policy accept; jump prerouting_miniupnpd; }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    jump postrouting_miniupnpd
    oifname "out0" masquerade
  }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
}
"""
_MINIUPNPD = {
    "ext_ifname": "out0",
    "listening_ip": "in0",
    "http_port": "5000",
    "enable_upnp": "yes",
    "enable_natpmp": "yes",
    "secure_mode": "yes",
    "min_lifetime": "2",
    "upnp_table_name": "filter",
    "upnp_nat_table_name": "filter",
    "upnp_forward_chain": "miniupnpd",
    "upnp_nat_chain": "prerouting_miniupnpd",
    "upnp_nat_postrouting_chain": "postrouting_miniupnpd",
    "uuid": "2cad5fe1-b850-45ce-b47e-a5e8e094f81b",
}
_numbers = itertools.count(1)


def why_not() -> str:
    """Why these tests can't run here; empty where they can."""
    reason = lan_why_not()
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if not reason and missing:
        return f"NETWORK TESTS DO NOT RUN: install {', '.join(missing)} (docs/development.md)"
    return reason


def require() -> None:
    """Skip the module, aloud, where it can't run."""
    reason = why_not()
    if reason:
        pytest.skip(reason, allow_module_level=True)


class Router:
    """Between two networks; it translates addresses, and lets nobody in unless miniupnpd was told to."""

    def __init__(self, inside: Lan, outside: Lan, inner: str, outer: str, *, way_out: str = "") -> None:
        self._inside = inside
        self.inner, self.outer = inner.partition("/")[0], outer.partition("/")[0]
        self.namespace = inside.host(f"rt{next(_numbers)}", inner, interface="in0")
        outside.plug(self.namespace, "out0", outer)
        self.exec("sysctl", "-qw", "net.ipv4.ip_forward=1")
        if way_out:
            inside.ip(self.namespace, "route", "add", "default", "via", way_out)
        rules = inside.folder / f"{self.namespace}.nft"
        rules.write_text(_RULES)
        self.exec("nft", "-f", str(rules))
        self._process: subprocess.Popen[str] | None = None
        self._started = 0

    def exec(self, *command: str) -> str:
        """The output of a command in the router."""
        return run("ip", "netns", "exec", self.namespace, *command)

    def serve(self, **settings: str) -> None:
        """miniupnpd, answering; `settings` are those of its file."""
        self._started += 1
        file = self._inside.folder / f"{self.namespace}-{self._started}.conf"
        deny = [f"deny {settings.pop('deny')}"] if "deny" in settings else []
        lines = [f"{key}={value}" for key, value in {**_MINIUPNPD, **settings}.items()] + deny
        file.write_text("\n".join([*lines, "allow 1024-65535 0.0.0.0/0 1024-65535", ""]))
        pid = file.with_suffix(".pid")
        self._process = self._inside.start(
            self.namespace, "stdbuf", "-oL", "-eL", "miniupnpd", "-d", "-f", str(file), "-P", str(pid)
        )
        ready = "NAT-PMP" if settings.get("enable_upnp") == "no" else "HTTP listening on port"
        Lines(self._process.stdout).wait(lambda line: ready in line and "istening" in line)

    def restart(self, **settings: str) -> None:
        """The router's program ends, and its mappings with it; then it is there again."""
        self.fall_silent()
        self.forget()
        self.serve(**settings)

    def fall_silent(self) -> None:
        """miniupnpd ends without a word."""
        if self._process is not None:
            self._process.kill()
            end(self._process)
            self._process = None

    def forget(self) -> None:
        """All mappings are gone, unnoticed."""
        for chain in ("miniupnpd", "prerouting_miniupnpd", "postrouting_miniupnpd"):
            self.exec("nft", "flush", "chain", "inet", "filter", chain)

    def forward(self, protocol: str, port: int, host: str, host_port: int) -> None:
        """What the owner does by hand in the router's own page."""
        table = "rule inet filter"
        self.exec("nft", f"add {table} prerouting iifname out0 {protocol} dport {port} dnat ip to {host}:{host_port}")
        self.exec("nft", f"insert {table} forward iifname out0 ip daddr {host} {protocol} dport {host_port} accept")

    def mapped(self) -> dict[int, str]:
        """The UDP ports that lead inside: `HOST:PORT` by outer port, as nftables has them."""
        listed = self.exec("nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd")
        rules = re.findall(r"(?:udp|0x11) .*dport (\d+) dnat ip to (\S+)", listed)
        return {int(port): target for port, target in rules}

    def move_to(self, old: str, new: str) -> None:
        """Another outer address."""
        self._inside.ip(self.namespace, "addr", "del", old, "dev", "out0")
        self._inside.ip(self.namespace, "addr", "add", new, "dev", "out0")


class Asking:
    """`tests.wg.asking` in a namespace: the port mapping by itself."""

    def __init__(self, lan: Lan, namespace: str, port: int = 51_820, *options: str) -> None:
        self.process = lan.start(namespace, sys.executable, "-m", "tests.wg.asking", str(port), *options)
        self.lines = Lines(self.process.stdout)

    def state(self, **wanted: Any) -> dict[str, Any]:
        """The next state that has these values."""

        def is_it(line: str) -> bool:
            if not line.startswith("{"):
                return False
            found = json.loads(line)
            return all(found.get(key) == value for key, value in wanted.items())

        found: dict[str, Any] = json.loads(self.lines.wait(is_it))
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(LIMIT_S)


def give_default_route(lan: Lan, namespace: str, router: str) -> None:
    """The way out of a namespace."""
    lan.ip(namespace, "route", "add", "default", "via", router)


def scratch(folder: Path, name: str) -> Path:
    """A folder of its own for one network."""
    made = folder / name
    made.mkdir()
    return made
