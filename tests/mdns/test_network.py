"""Announcing on a real network: namespaces for hosts, avahi as the witness."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mdns.host import HOST_ID
from tests.mdns.lan import LIMIT_S, Lan, Lines, lan_in, require

require()

OTHER_ID = "00000000-0000-4000-8000-000000000002"
TXT = {
    '"host_id=3f2b8c1e-0000-4000-8000-000000000001"',
    '"version=1.2.3"',
    '"api_port=8080"',
    '"secure=true"',
    '"name=attic"',
}
OTHER_SERVER = "pixlsrve-00000000.local"
APART = {("attic", "pixlsrve-3f2b8c1e.local"), (r"attic\032\0402\041", OTHER_SERVER)}
"""Two namesakes as avahi shows them; the one whose host's name is the earlier one has given way."""
PROTOCOL, NAME, SERVER, ADDRESS, PORT, TEXT = 2, 3, 6, 7, 8, 9


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    with lan_in(tmp_path) as made:
        yield made


def _addresses(rows: list[list[str]]) -> set[str]:
    return {row[ADDRESS] for row in rows}


def test_found_and_gone(lan: Lan) -> None:
    """avahi finds exactly the specification's record soon after the start, and loses it by the goodbye at the stop."""
    host, witness = lan.host("host", "192.0.2.10/24"), lan.avahi(lan.host("eyes", "192.0.2.20/24"))
    seen = witness.watch()
    attic = lan.advertise(host, "attic")
    line = seen.wait(lambda line: line.startswith("=")).split(";", TEXT)
    assert (line[NAME], line[SERVER], line[ADDRESS]) == ("attic", "pixlsrve-3f2b8c1e.local", "192.0.2.10")
    assert line[PORT] == "8080"
    assert set(line[TEXT].split()) == TXT
    attic.name()
    assert attic.stop() == 0
    seen.wait(lambda line: line.startswith("-"))
    assert witness.ask() == []


def test_address_changes_are_followed(lan: Lan) -> None:
    """A new address replaces the old one; one more is announced beside it."""
    host, witness = lan.host("host", "192.0.2.10/24"), lan.avahi(lan.host("eyes", "192.0.2.20/24"))
    lan.advertise(host, "attic").name()
    lan.ip(host, "addr", "del", "192.0.2.10/24", "dev", "eth0")
    lan.ip(host, "addr", "add", "192.0.2.11/24", "dev", "eth0")
    witness.ask_until(lambda rows: _addresses(rows) == {"192.0.2.11"})


def test_waits_for_a_network(lan: Lan) -> None:
    """Without any network the start is quiet, and a later interface is used; one that goes ends nothing."""
    host, witness = lan.host("host"), lan.avahi(lan.host("eyes", "192.0.2.20/24"))
    attic = lan.advertise(host, "attic")
    attic.lines.wait(lambda line: line == "waiting\n")
    lan.plug(host, "eth0", "192.0.2.10/24")
    attic.name()
    witness.ask_until(lambda rows: _addresses(rows) == {"192.0.2.10"})
    lan.ip(host, "link", "delete", "eth0")
    lan.plug(host, "eth1", "192.0.2.12/24")
    witness.ask_until(lambda rows: _addresses(rows) == {"192.0.2.12"})
    assert attic.stop() == 0


def test_pulled_cable(lan: Lan) -> None:
    """An interface that is down and up again is announced on again."""
    host, witness = lan.host("host", "192.0.2.10/24"), lan.avahi(lan.host("eyes", "192.0.2.20/24"))
    attic = lan.advertise(host, "attic")
    attic.name()
    lan.ip(host, "link", "set", "eth0", "down")
    lan.ip(host, "link", "set", "eth0", "up")
    witness.ask_until(lambda rows: _addresses(rows) == {"192.0.2.10"})
    assert attic.stop() == 0


def test_namesakes(lan: Lan) -> None:
    """Two hosts with the same name on one LAN are both found, under different names, however they were started."""
    one, two = lan.host("one", "192.0.2.10/24"), lan.host("two", "192.0.2.11/24")
    witness = lan.avahi(lan.host("eyes", "192.0.2.20/24"))
    # At the same time: neither has announced anything when the other asks for the name.
    lan.advertise(one, "attic", HOST_ID)
    lan.advertise(two, "attic", OTHER_ID)

    def both(rows: list[list[str]]) -> bool:
        names = {(row[NAME], row[SERVER]) for row in rows}
        servers = {"pixlsrve-3f2b8c1e.local", "pixlsrve-00000000.local"}
        return {name for name, _ in names} == {"attic", r"attic\032\0402\041"} and {at for _, at in names} == servers

    witness.ask_until(both)


def test_second_namesake_gives_way(lan: Lan) -> None:
    """Two hosts never share a name: one of them takes a number, the later one unless both are probing just then."""
    one, two = lan.host("one", "192.0.2.10/24"), lan.host("two", "192.0.2.11/24")
    first = lan.advertise(one, "attic", OTHER_ID)
    assert first.name() == "attic"
    second = lan.advertise(two, "attic", HOST_ID)
    until_s = time.monotonic() + LIMIT_S
    while "announced attic (2)\n" not in first.lines.so_far() + second.lines.so_far():
        assert time.monotonic() < until_s


def test_namesake_heard_while_announcing(lan: Lan) -> None:
    """A namesake that speaks once, between our first announcement and our last one, is not missed: one gives way."""
    host, other = lan.host("host", "192.0.2.10/24", has_ipv6=False), lan.host("other", "192.0.2.66/24", has_ipv6=False)
    rival = Lines(lan.start(other, sys.executable, "-m", "tests.mdns.rival", "192.0.2.66", "attic").stdout)
    rival.wait(lambda line: line == "listening\n")
    attic = lan.advertise(host, "attic")
    rival.wait(lambda line: line == "claimed\n")
    attic.wait_named("attic (2)")


def test_namesakes_whose_lans_are_joined(lan: Lan) -> None:
    """Hosts that could not hear each other when they took the same name are both found once they can."""
    one, two = lan.host("one", "192.0.2.10/24", has_ipv6=False), lan.host("two", "192.0.2.11/24", has_ipv6=False)
    # The one that keeps the name comes to the witness last, and has to correct what is believed there.
    witness = lan.avahi(lan.host("eyes", "192.0.2.20/24", has_ipv6=False))
    lan.part(one)
    assert lan.advertise(two, "attic", OTHER_ID).name() == "attic"
    witness.ask_until(lambda rows: {(row[NAME], row[SERVER]) for row in rows} == {("attic", OTHER_SERVER)})
    assert lan.advertise(one, "attic", HOST_ID).name() == "attic"
    lan.join(one)
    witness.ask_until(lambda rows: {(row[NAME], row[SERVER]) for row in rows} == APART)


def test_ipv6_only(lan: Lan) -> None:
    """On a LAN without IPv4 the host is found by IPv6."""
    host, witness = lan.host("host", "2001:db8::10/64"), lan.avahi(lan.host("eyes", "2001:db8::20/64"))
    lan.advertise(host, "attic")
    rows = witness.ask_until(lambda rows: bool(rows))
    assert {row[PROTOCOL] for row in rows} == {"IPv6"}
    assert _addresses(rows) == {"2001:db8::10"}


def test_ipv4_only(lan: Lan) -> None:
    """Where IPv6 is switched off the host is found by IPv4."""
    host = lan.host("host", "192.0.2.10/24", has_ipv6=False)
    witness = lan.avahi(lan.host("eyes", "192.0.2.20/24", has_ipv6=False))
    lan.advertise(host, "attic").name()
    rows = witness.ask_until(lambda rows: bool(rows))
    assert {row[PROTOCOL] for row in rows} == {"IPv4"}
    assert _addresses(rows) == {"192.0.2.10"}


def test_both_families(lan: Lan) -> None:
    """Addresses of both families are announced, link-local ones only where there are no others."""
    host = lan.host("host", "192.0.2.10/24", "2001:db8::10/64")
    witness = lan.avahi(lan.host("eyes", "192.0.2.20/24", "2001:db8::20/64"))
    lan.advertise(host, "attic").name()
    witness.ask_until(lambda rows: {row[PROTOCOL] for row in rows} == {"IPv4", "IPv6"})
    assert witness.resolve("pixlsrve-3f2b8c1e.local") == "192.0.2.10"
    assert witness.resolve("pixlsrve-3f2b8c1e.local", 6) == "2001:db8::10"


def test_never_in_the_tunnel(lan: Lan) -> None:
    """T35: the tunnel's interface and loopback hear nothing of it, and their addresses are told to nobody."""
    host = lan.host("host", "192.0.2.10/24")
    lan.plug(host, "pixlsrve0", "10.100.0.1/24")
    lan.ip(host, "addr", "add", "192.0.2.99/32", "dev", "lo")
    witness = lan.avahi(lan.host("eyes", "192.0.2.20/24"))
    lan.advertise(host, "attic").name()
    assert _addresses(witness.ask_until(lambda rows: bool(rows))) == {"192.0.2.10"}
    groups = lan.ip(host, "maddress", "show", "dev", "pixlsrve0") + lan.ip(host, "maddress", "show", "dev", "lo")
    assert "224.0.0.251" not in groups
    assert "ff02::fb" not in groups
    assert "224.0.0.251" in lan.ip(host, "maddress", "show", "dev", "eth0")


def test_beside_avahi(lan: Lan) -> None:
    """avahi-daemon on the same host keeps its name and is heard, and so are we, by others and by itself."""
    host = lan.host("host", "192.0.2.10/24")
    beside, witness = lan.avahi(host, "attic"), lan.avahi(lan.host("eyes", "192.0.2.20/24"))
    attic = lan.advertise(host, "attic")
    assert attic.name() == "attic"
    for eyes in (witness, beside):
        rows = eyes.ask_until(lambda rows: bool(rows))
        assert {row[SERVER] for row in rows} == {"pixlsrve-3f2b8c1e.local"}
    assert witness.resolve("attic.local") == "192.0.2.10"
    assert not [line for line in beside.lines.seen if "conflict" in line.lower()]
    attic.stop()
    witness.ask_until(lambda rows: not rows)
    assert witness.resolve("attic.local") == "192.0.2.10"


def test_one_lan_twice(lan: Lan) -> None:
    """A computer that is on one LAN by cable and by radio is there once, under its own name, with both addresses."""
    host, witness = lan.host("host", "192.0.2.10/24"), lan.avahi(lan.host("eyes", "192.0.2.20/24"))
    lan.plug(host, "wlan0", "192.0.2.11/24")
    assert lan.advertise(host, "attic").name() == "attic"
    rows = witness.ask_until(lambda rows: bool(rows))
    assert {row[NAME] for row in rows} == {"attic"}
    assert _addresses(rows) <= {"192.0.2.10", "192.0.2.11"}


def test_only_where_http_listens(lan: Lan) -> None:
    """With `http.host` set, other addresses are not announced; with loopback, nothing is."""
    host = lan.host("host", "192.0.2.10/24", "192.0.2.30/24")
    witness = lan.avahi(lan.host("eyes", "192.0.2.20/24"))
    lan.advertise(lan.host("local", "192.0.2.40/24"), "local", OTHER_ID, "127.0.0.1")
    lan.advertise(host, "attic", HOST_ID, "192.0.2.30")
    rows = witness.ask_until(lambda rows: bool(rows))
    assert _addresses(rows) == {"192.0.2.30"}


def _memory_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) / 1_000 for line in lines if line.startswith("VmRSS:"))


def test_hostile_packets(lan: Lan) -> None:
    """T34: malformed packets, 800,000 records, questions and lies about the name cost little memory and end nothing."""
    host, evil = lan.host("host", "192.0.2.10/24"), lan.host("evil", "192.0.2.66/24")
    witness = lan.avahi(lan.host("eyes", "192.0.2.20/24"))
    attic = lan.advertise(host, "attic")
    assert attic.name() == "attic"
    before = _memory_mb(attic.process.pid)
    flood = lan.start(evil, sys.executable, "-m", "tests.mdns.flood", "192.0.2.66", "20000")
    Lines(flood.stdout).wait(lambda line: line == "sent\n")
    rows = witness.ask_until(lambda rows: bool(rows))
    assert _addresses(rows) == {"192.0.2.10"}
    lies = lan.start(evil, sys.executable, "-m", "tests.mdns.flood", "192.0.2.66", "20", "attic")
    Lines(lies.stdout).wait(lambda line: line == "sent\n")
    attic.wait_named("attic (2)")
    assert _memory_mb(attic.process.pid) - before < 64
    assert attic.stop() == 0


def test_port_kept_by_another_program(lan: Lan) -> None:
    """Where another program does not share the port, that is said, and announcing begins when it is free."""
    host = lan.host("host", "192.0.2.10/24")
    code = (
        "import signal, socket; made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); made.bind(('', 5353)); "
        "print('bound', flush=True); signal.pause()"
    )
    holder = lan.start(host, sys.executable, "-c", code)
    Lines(holder.stdout).wait(lambda line: line == "bound\n")
    attic = lan.advertise(host, "attic")
    attic.lines.wait(lambda line: "announcing on the LAN failed" in line)
    holder.kill()
    assert attic.name() == "attic"
    assert attic.stop() == 0
