"""The names that this host answers to, so that no foreign name can be pointed at it (THREATS T27: DNS rebinding)."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from pathlib import Path

HOME_NAME = "pixlsrve.home.arpa"
RESOLVER_FILE = Path("/etc/resolv.conf")
_REMEMBERED = 64
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]/@?#\\\s]+)(?::[0-9]{0,5})?")


def own_names(host_name: str | None = None, resolver_file: Path = RESOLVER_FILE) -> frozenset[str]:
    """This host's name: as it is, bare, with `.local` and with the system's search domains; lower case."""
    name = (host_name or socket.gethostname()).lower().rstrip(".")
    bare = name.partition(".")[0]
    names = {name, bare, f"{bare}.local"}
    names.update(f"{bare}.{domain}" for domain in _search_domains(resolver_file))
    return frozenset(filter(None, names))


def _search_domains(file: Path) -> list[str]:
    """The `search` and `domain` entries of resolv.conf(5); none where it can't be read."""
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    words = [line.split() for line in lines]
    return [domain.lower().strip(".") for line in words if line[:1] in (["search"], ["domain"]) for domain in line[1:]]


class Hosts:
    """Decides whether a Host header names us. `further` are the names of `http.hosts`, with or without a port."""

    def __init__(self, further: Iterable[str] = (), *, names: Iterable[str] | None = None) -> None:
        ours = own_names() if names is None else names
        self._names = {"localhost", HOME_NAME, *ours, *(name_of(host) or host for host in further)}
        self._known: set[str] = set()

    def is_ours(self, host: str) -> bool:
        """Whether `host` (a Host header's value, RFC 9110 §7.2) is an address or one of our names."""
        if host in self._known:
            return True
        name = name_of(host)
        if name is None or not (name in self._names or _is_address(name)):
            return False
        if len(self._known) < _REMEMBERED:
            self._known.add(host)
        return True


def name_of(host: str) -> str | None:
    """The name in `NAME`, `NAME:PORT` or `[ADDRESS]:PORT`, lower case without a final dot; None when malformed."""
    match = _HOST.fullmatch(host)
    if match is None:
        return None
    return match[1].strip("[]").lower().removesuffix(".") or None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
