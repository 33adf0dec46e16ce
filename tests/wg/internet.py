"""A small internet around a home: its router with a forwarded port, a web server, and a mobile carrier's NAT.

home 192.0.2.0/24 -- router .1 | 198.51.100.1 -- internet 198.51.100.0/24 -- 198.51.100.9 | carrier 100.64.0.1/24
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.mdns.lan import LIMIT_S, Lan, Lines, run
from tests.wg.net import HOST_ADDRESS, Home, home_in

PORT = 51820
HOME_OUTSIDE = "198.51.100.1"
CARRIER_OUTSIDE = "198.51.100.9"
WEB = "198.51.100.80"
_HOME_NAT = f"""
table ip pixlsrve_test {{
    chain before {{
        type nat hook prerouting priority dstnat
        ip daddr {HOME_OUTSIDE} udp dport {PORT} dnat to {HOST_ADDRESS}
    }}
    chain after {{
        type nat hook postrouting priority srcnat
        oifname "wan" masquerade
        oifname "lan" ct status dnat ip saddr 192.0.2.0/24 masquerade
    }}
    chain forwarded {{
        type filter hook forward priority filter; policy drop
        ct state established,related accept
        iifname "lan" accept
        ct status dnat accept
    }}
}}
"""
_CARRIER_NAT = """
table ip pixlsrve_test {
    chain after {
        type nat hook postrouting priority srcnat
        oifname "wan" masquerade
    }
}
"""
_WEB_SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.client_address[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
print("ready", flush=True)
http.server.ThreadingHTTPServer(("", 80), Handler).serve_forever()
"""


class Internet:
    """What lies between a home and its phones outside. The web server answers with the address that it sees."""

    def __init__(self, home: Home) -> None:
        self._stack = contextlib.ExitStack()
        self.home = home
        self._wide = self._lan()
        self._carrier = self._lan()
        self.router = self._nat("router", home.lan, "192.0.2.1/24", f"{HOME_OUTSIDE}/24", _HOME_NAT)
        self._nat("carrier", self._carrier, "100.64.0.1/24", f"{CARRIER_OUTSIDE}/24", _CARRIER_NAT)
        home.lan.ip(home.host, "route", "add", "default", "via", "192.0.2.1")
        web = self._wide.host("web", f"{WEB}/24")
        Lines(self._wide.start(web, sys.executable, "-c", _WEB_SERVER).stdout).wait(lambda line: line == "ready\n")

    def close(self) -> None:
        """End everything that is not the home's."""
        self._stack.close()

    def add(self, name: str, address: str) -> str:
        """One more computer on the internet; its namespace."""
        return self._wide.host(name, f"{address}/24")

    def bring_home(self, namespace: str, address: str) -> None:
        """Put a phone on the home's LAN."""
        self._move(namespace, self.home.lan, f"{address}/24", "192.0.2.1")

    def take_outside(self, namespace: str) -> None:
        """Move a phone to the mobile carrier."""
        self._move(namespace, self._carrier, "100.64.0.7/24", "100.64.0.1")

    def _move(self, namespace: str, lan: Lan, address: str, gateway: str) -> None:
        subprocess.run(["ip", "-n", namespace, "link", "delete", "eth0"], capture_output=True, check=False)
        lan.plug(namespace, "eth0", address)
        lan.ip(namespace, "route", "add", "default", "via", gateway)

    def _nat(self, name: str, inner: Lan, inside: str, outside: str, rules: str) -> str:
        """A router between a LAN and the internet; its namespace."""
        namespace = inner.host(name, inside, interface="lan")
        self._wide.plug(namespace, "wan", outside)
        run("ip", "netns", "exec", namespace, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        command = ["ip", "netns", "exec", namespace, "nft", "-f", "-"]
        done = subprocess.run(command, input=rules, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert done.returncode == 0, done.stderr
        return namespace

    def _lan(self) -> Lan:
        made = Lan(self.home.folder)
        self._stack.callback(made.close)
        return made


@contextlib.contextmanager
def internet_in(folder: Path) -> Iterator[Internet]:
    """A home and an internet for the length of the block."""
    with home_in(folder) as home:
        made = Internet(home)
        try:
            yield made
        finally:
            made.close()
