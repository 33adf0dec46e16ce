"""Whether an interface's packets are forwarded at all: Linux's switch for each one, beside the rules of `isolation`.

Off for the tunnel's it is a second line of defence that no flushed table takes away. On, where `lan_access` asks for
it, also for the LAN's interfaces, through which the answers come.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_SWITCHES = Path("/proc/sys/net/ipv4")


class Forwarding:
    """Sets the switches, and sets back what it set."""

    def __init__(self, switches: Path = _SWITCHES) -> None:
        self._switches = switches
        self._opened: set[str] = set()

    @property
    def is_router(self) -> bool:
        """Whether the host forwards for everybody, by its owner's own setting."""
        return self._read(self._switches / "ip_forward") == "1"

    @property
    def opened(self) -> frozenset[str]:
        """The interfaces that forward because of us, beside the tunnel's."""
        return frozenset(self._opened)

    def close(self, interface: str) -> None:
        """Nothing that arrives here is forwarded; where that may not be written, the rules alone see to it."""
        self._write(interface, "0")

    def open(self, interface: str, lan: Iterable[str]) -> list[str]:
        """Have these interfaces forward; those that still don't, because the system does not let us."""
        names = sorted(set(lan))
        closed = [name for name in (interface, *names) if not self._write(name, "1")]
        self._opened |= set(names) - set(closed)
        return closed

    def restore(self) -> None:
        """Close what was opened, unless the host's owner has meanwhile made it a router."""
        if not self.is_router:
            for name in self._opened:
                self._write(name, "0")
        self._opened.clear()

    def _write(self, interface: str, value: str) -> bool:
        """Whether the switch stands so afterwards."""
        path = self._switches / "conf" / interface / "forwarding"
        if self._read(path) == value:
            return True
        try:
            path.write_text(value)
        except OSError:
            return False
        return self._read(path) == value

    def _read(self, path: Path) -> str:
        try:
            return path.read_text().strip()
        except OSError:
            return ""
