"""A home's router and a computer behind it, for the tests of the port mapping."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.mdns.lan import Lan, lan_in
from tests.wg.town import INTERNET, Asking, Router, give_default_route, scratch

OUTER = f"{INTERNET}10"
HOST = "192.168.7.2"


class Place:
    """A LAN at 192.168.7.0/24 with a router and the computer that asks it."""

    def __init__(self, folder: Path, lan: Lan, internet: Lan, outer: str = f"{OUTER}/24") -> None:
        self.folder = folder
        self.lan = lan
        self.internet = internet
        self.router = Router(lan, internet, "192.168.7.1/24", outer)
        self.host = lan.host("host", f"{HOST}/24")
        give_default_route(lan, self.host, self.router.inner)

    def ask(self, *options: str, port: int = 51_820) -> Asking:
        """The port mapping, running on the computer."""
        return Asking(self.lan, self.host, port, *options)


@contextlib.contextmanager
def place_in(folder: Path, outer: str = f"{OUTER}/24") -> Iterator[Place]:
    """A place for the length of the block."""
    with lan_in(scratch(folder, "internet")) as internet, lan_in(scratch(folder, "lan")) as lan:
        yield Place(folder, lan, internet, outer)
