"""T35: phones in the tunnel reach neither each other nor the LAN, also where the host forwards packets."""

from __future__ import annotations

import ipaddress
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvloop

from pixlsrve.wg import isolation
from pixlsrve.wg.interface import TunnelUnavailable
from pixlsrve.wg.isolation import Rules, ruleset, table_name
from tests.mdns.lan import Lines
from tests.wg.net import Home, HomeDaemon, Phone, home_in, inside, require, until

require()

OUTSIDE = "198.51.100"
NEIGHBOUR = "192.0.2.30"
ALLOWED = "10.100.0.0/24, 192.0.2.0/24"


@dataclass
class _Scene:
    """A host that forwards between its LAN and an outside; a neighbour on the LAN; phones outside."""

    home: Home
    daemon: HomeDaemon
    neighbour: str
    phones: list[Phone]

    def reaches_neighbour(self, number: int = 0) -> bool:
        return self.phones[number].reaches(f"http://{NEIGHBOUR}:8000/", 3)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with home_in(tmp_path) as made:
        yield made


def _scene(home: Home, *, lan_access: bool, forwards: bool = True) -> _Scene:
    """Everything set up, with two phones in the tunnel that send the LAN's packets into it."""
    neighbour = home.lan.host("neighbour", f"{NEIGHBOUR}/24")
    home.lan.ip(neighbour, "route", "add", "10.100.0.0/24", "via", "192.0.2.10")
    home.lan.plug(home.host, "eth1", f"{OUTSIDE}.1/24")
    web = home.lan.start(neighbour, sys.executable, "-u", "-m", "http.server", "-d", str(home.folder), "8000")
    Lines(web.stdout).wait(lambda line: line.startswith("Serving"))
    if forwards:
        inside(home.host, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    daemon = home.daemon(env={"PIXLSRVE_WIREGUARD__LAN_ACCESS": str(lan_access).lower()})
    daemon.start()
    daemon.wait_tunnel()
    phones = []
    for number in (20, 21):
        config: dict[str, Any] = daemon.pair(f"phone {number}")["wireguard_config"]
        phone = home.phone(f"phone{number}", f"{OUTSIDE}.{number}/24")
        phone.up(phone.conf({**config, "allowed_ips": ALLOWED}, endpoint=f"{OUTSIDE}.1:51820"))
        until(lambda phone=phone: phone.reaches(f"http://10.100.0.1:{daemon.port}/healthz"), "the host")  # type: ignore[misc]  # a default argument
        phones.append(phone)
    return _Scene(home, daemon, neighbour, phones)


def test_closed_though_the_host_forwards(home: Home) -> None:
    """A forwarding host lets nothing out of the tunnel or into it, also after somebody flushed all rules."""
    scene = _scene(home, lan_access=False)
    table = table_name(home.interface)
    switch = f"net.ipv4.conf.{home.interface}.forwarding"
    assert inside(home.host, "sysctl", "-n", switch)[1].strip() == "0"
    inside(home.host, "sysctl", "-qw", f"{switch}=1")  # so that what follows is the rules' doing alone
    assert not scene.reaches_neighbour()
    assert not scene.phones[0].pings("10.100.0.3")
    code, _ = inside(scene.neighbour, "ping", "-c", "2", "-W", "1", "10.100.0.2")
    assert code != 0
    code, _ = inside(scene.neighbour, "ping", "-c", "2", "-W", "1", "10.100.0.1")
    assert code != 0, "the host's address in the tunnel is nobody's outside"
    before = inside(home.host, "nft", "list", "table", "inet", table)[1]
    inside(home.host, "nft", "flush", "ruleset")
    until(lambda: inside(home.host, "nft", "list", "table", "inet", table) == (0, before), "the rules")
    inside(home.host, "nft", "flush", "chain", "inet", table, "passing")
    until(lambda: inside(home.host, "nft", "list", "table", "inet", table) == (0, before), "the rules")
    assert not scene.reaches_neighbour()


def test_open_to_the_lan(home: Home) -> None:
    """With lan_access phones reach the LAN, are told so in AllowedIPs, and still do not reach each other."""
    scene = _scene(home, lan_access=True)
    assert scene.daemon.status()["wireguard"]["lan_access"] is True
    told = scene.daemon.pair("third")["wireguard_config"]["allowed_ips"]
    assert told == "10.100.0.0/24, 192.0.2.0/24, 198.51.100.0/24"
    until(scene.reaches_neighbour, "the neighbour")
    assert not scene.phones[0].pings("10.100.0.3")
    code, _ = inside(scene.neighbour, "ping", "-c", "2", "-W", "1", "10.100.0.2")
    assert code != 0, "only answers come in"


def test_opens_a_host_that_does_not_forward(home: Home) -> None:
    """lan_access makes a host forward for its phones and for nobody else, and sets that back in the end."""
    scene = _scene(home, lan_access=True, forwards=False)
    until(scene.reaches_neighbour, "the neighbour")
    stranger = home.phone("stranger", f"{OUTSIDE}.66/24")
    home.lan.ip(stranger.namespace, "route", "add", "192.0.2.0/24", "via", f"{OUTSIDE}.1")
    home.lan.ip(scene.neighbour, "route", "add", f"{OUTSIDE}.0/24", "via", "192.0.2.10")
    assert not stranger.pings(NEIGHBOUR)
    assert scene.daemon.stop() == 0
    for name in ("eth0", "eth1"):
        assert inside(home.host, "sysctl", "-n", f"net.ipv4.conf.{name}.forwarding")[1].strip() == "0"
    assert inside(home.host, "nft", "list", "ruleset") == (0, "")


def test_rules_are_taken_for_every_name(home: Home) -> None:
    """Whatever wireguard.interface allows as a name, nft takes the rules for it, and each has a table of its own."""
    tables = set()
    for name in ("pixlsrve0", "a.b-c=d+e_f", "0", "-"):
        rules = Rules(
            interface=name,
            address=ipaddress.IPv4Interface("10.100.0.1/24"),
            lan=(ipaddress.IPv4Network("192.0.2.0/24"), ipaddress.IPv4Network("198.51.100.0/24")),
            opened=("eth0", "eth1"),
        )
        file = home.folder / "rules"
        file.write_text(ruleset(rules))
        assert inside(home.host, "nft", "-f", str(file)) == (0, "")
        assert inside(home.host, "nft", "-f", str(file)) == (0, ""), "a second time"
        listing = inside(home.host, "nft", "list", "table", "inet", table_name(name))[1]
        assert listing.count("\n\t\t") == ruleset(rules).count("\n\t\t"), "one line a rule"
        tables.add(table_name(name))
    assert len(tables) == 4


def test_nft_that_ends_unread_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """T35: where nft ends before it has read the rules, the tunnel says that they can't be set; no service fails."""
    monkeypatch.setattr(isolation, "find", lambda _: shutil.which("false"))
    rules = Rules(interface="px0", address=ipaddress.IPv4Interface("10.100.0.1/24"), lan=(), opened=())
    for _ in range(20):
        with pytest.raises(TunnelUnavailable, match="can't be set"):
            uvloop.run(isolation.NfTables().enforce(rules))
