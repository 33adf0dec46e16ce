"""The resolvers that questions are forwarded to: the setting's, else the system's."""

from __future__ import annotations

import ipaddress
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixlsrve.errors import ConfigError

PORT = 53
RESOLV_CONF = Path("/etc/resolv.conf")
MOST = 4
_SCUTIL_LIMIT_S = 5.0
_PORTS = range(1, 65_536)
_BRACKETED = re.compile(r"\[(?P<host>[^\]]+)\](?::(?P<port>[0-9]{1,5}))?")
_SCUTIL_SERVER = re.compile(r"^\s*nameserver\[\d+\] : (\S+)$", re.M)


@dataclass(frozen=True)
class Server:
    """A resolver's address, ready to be connected to."""

    host: str
    port: int = PORT
    zone: str = ""
    """The interface of a link-local address (RFC 4007 §11)."""

    def __str__(self) -> str:
        host = f"{self.host}%{self.zone}" if self.zone else self.host
        if self.port == PORT:
            return host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET or AF_INET6."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    def address(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """For a socket of `family`. Raises OSError when the zone's interface is gone."""
        if ":" not in self.host:
            return self.host, self.port
        index = 0
        if self.zone:
            index = int(self.zone) if self.zone.isdecimal() else socket.if_nametoindex(self.zone)
        return self.host, self.port, 0, index


def parse_server(text: str) -> Server:
    """`ADDRESS`, `IPV4:PORT` or `[IPV6]:PORT`, where IPv6 may have a zone. Raises ValueError."""
    text = text.strip()
    host, port = text, PORT
    bracketed = _BRACKETED.fullmatch(text)
    if bracketed is not None:
        host, port = bracketed["host"], int(bracketed["port"] or PORT)
    elif text.count(":") == 1:
        host, _, number = text.partition(":")
        port = int(number) if number.isdecimal() and number.isascii() else 0
    address = ipaddress.ip_address(host.partition("%")[0])
    _, has_zone, zone = host.partition("%")
    if port not in _PORTS or (has_zone and not (zone and address.version == 6)):
        raise ValueError(text)
    if address.is_unspecified or address.is_multicast:
        raise ValueError(text)
    return Server(str(address), port, zone)


def parse_setting(upstream: Iterable[str]) -> tuple[Server, ...]:
    """The setting `dns.upstream`. Raises ConfigError."""
    found = []
    for text in upstream:
        try:
            found.append(parse_server(text))
        except ValueError as error:
            raise ConfigError(
                f'dns.upstream must list addresses such as "192.168.1.1", "192.168.1.1:5353" or "[fd00::1]:53", '
                f"not {text!r}."
            ) from error
    return tuple(found)


def parse_resolv_conf(text: str) -> list[Server]:
    """The name servers in resolv.conf(5); what is no address is skipped, as the system does."""
    words = [line.split() for line in text.splitlines()]
    return _parsed(line[1] for line in words if len(line) > 1 and line[0] == "nameserver")


def parse_scutil(text: str) -> list[Server]:
    """The name servers in macOS's `scutil --dns`: of the resolvers that any question may go to."""
    general = text.partition("DNS configuration (for scoped queries)")[0]
    found = []
    for part in general.split("resolver #")[1:]:
        if not re.search(r"^\s*(domain|options)\s*:", part, re.M):  # for one domain only, or multicast
            found += _SCUTIL_SERVER.findall(part)
    return _parsed(found)


def system_servers() -> list[Server]:
    """The resolvers that this computer uses just now; blocks."""
    if sys.platform == "darwin":
        try:
            done = subprocess.run(
                ["/usr/sbin/scutil", "--dns"], capture_output=True, text=True, timeout=_SCUTIL_LIMIT_S, check=False
            )
        except (OSError, subprocess.SubprocessError):
            return []
        return parse_scutil(done.stdout)
    try:
        return parse_resolv_conf(RESOLV_CONF.read_text("utf-8", "replace"))
    except OSError:
        return []


class Resolvers:
    """The resolvers in force, at most four; never the one at `own`, which is ours."""

    def __init__(
        self,
        upstream: Sequence[str],
        own: ipaddress.IPv4Address,
        system: Callable[[], list[Server]] = system_servers,
    ) -> None:
        self._setting = parse_setting(upstream)
        self._own = str(own)
        self._system = system
        self.servers: tuple[Server, ...] = ()

    def refresh(self) -> bool:
        """Look again; whether something has changed. Blocks."""
        found = self._setting or self._system()
        servers = tuple(dict.fromkeys(server for server in found if server.host != self._own))[:MOST]
        has_changed = servers != self.servers
        self.servers = servers
        return has_changed


def _parsed(texts: Iterable[str]) -> list[Server]:
    found = []
    for text in texts:
        try:
            found.append(parse_server(text))
        except ValueError:
            continue
    return found
