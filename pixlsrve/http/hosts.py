"""The names that this host answers to, so that no foreign name can be pointed at it (THREATS T27: DNS rebinding)."""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path

HOME_NAME = "pixlsrve.home.arpa"
RESOLVER_FILE = Path("/etc/resolv.conf")
READ_AGAIN_S = 5.0
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
    """Decides whether a Host header names us. `further` are the names of `http.hosts`, with or without a port.

    Without `names` they are what `read` finds, and again where a name is unknown: they come with the network.
    """

    def __init__(
        self,
        further: Iterable[str] = (),
        *,
        names: Iterable[str] | None = None,
        read: Callable[[], Iterable[str]] = own_names,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._further = frozenset({"localhost", HOME_NAME, *(name_of(host) or host for host in further)})
        self._read = read if names is None else None
        self._clock = clock
        self._read_s = clock()
        self._names = frozenset(read() if names is None else names) | self._further
        self._known: set[str] = set()

    def is_ours(self, host: str) -> bool:
        """Whether `host` (a Host header's value, RFC 9110 §7.2) is an address or one of our names."""
        if host in self._known:
            return True
        name = name_of(host)
        if name is None or not (name in self._names or _is_address(name) or self._is_new(name)):
            return False
        if len(self._known) < _REMEMBERED:
            self._known.add(host)
        return True

    def _is_new(self, name: str) -> bool:
        """Whether the system has got this name since it was asked last, which is some seconds ago at least."""
        now_s = self._clock()
        if self._read is None or now_s - self._read_s < READ_AGAIN_S:
            return False
        self._names, self._read_s = frozenset(self._read()) | self._further, now_s
        return name in self._names


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
