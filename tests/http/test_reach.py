"""Every way to reach the host."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from pixlsrve.config import Config, load
from pixlsrve.http import reach
from pixlsrve.http.reach import Reach
from pixlsrve.mdns.interfaces import Interface


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return load(flags={"data_dir": str(tmp_path)}, env={})


def _interface(name: str, ipv4: list[str], ipv6: list[str]) -> Interface:
    return Interface(
        name=name,
        index=2,
        ipv4=tuple(map(IPv4Address, ipv4)),
        ipv6=tuple(map(IPv6Address, ipv6)),
        has_ipv6=bool(ipv6),
        is_settling=False,
    )


def _two_lans(excluded: frozenset[str]) -> tuple[Interface, ...]:
    assert excluded == {"pixlsrve0"}
    return (
        _interface("eth0", ["169.254.7.7", "192.168.1.10"], ["fd00::10", "fe80::10"]),
        _interface("wlan0", ["192.168.2.10"], []),
    )


def _hosts(made: Reach) -> list[tuple[str, str]]:
    return [(way.kind, way.host) for way in made.ways()]


def test_ways_are_in_order(settings: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The LAN comes first, the default route's address before others, then the tunnel, then names."""
    monkeypatch.setattr(reach, "lan_address", lambda: "192.168.2.10")
    made = Reach(settings, has_tunnel=lambda: True, mdns_name="pixlsrve-1.local", interfaces=_two_lans)
    made.is_announced = lambda: True
    made.listens([("0.0.0.0", 8080), ("::", 8080)])  # noqa: S104  # told, not bound
    assert _hosts(made) == [
        ("lan", "192.168.2.10"),
        ("lan", "192.168.1.10"),
        ("lan", "fd00::10"),
        ("lan", "169.254.7.7"),
        ("tunnel", "10.100.0.1"),
        ("name", "pixlsrve-1.local"),
        ("name", "pixlsrve.home.arpa"),
    ]


def test_ways_have_urls(settings: Config) -> None:
    """Each way is an ordinary URL over HTTP, and over HTTPS where that is served."""
    made = Reach(settings, tls_port=lambda: 8443, interfaces=_two_lans)
    made.listens([("fd00::10", 80)])
    (way,) = made.ways()
    assert (way.url, way.tls_url) == ("http://[fd00::10]:80", "https://[fd00::10]:8443")
    plain = Reach(settings, interfaces=_two_lans)
    plain.listens([("192.168.1.10", 8080)])
    assert [way.tls_url for way in plain.ways()] == [None]


def test_ways_are_only_those_that_work(settings: Config) -> None:
    """No tunnel, no announcement, one address listened on: nothing else is handed out."""
    made = Reach(settings, mdns_name="pixlsrve-1.local", interfaces=_two_lans)
    made.listens([("192.168.1.10", 8080)])
    assert _hosts(made) == [("lan", "192.168.1.10")]
    local = Reach(settings, interfaces=_two_lans)
    local.listens([("127.0.0.1", 8080), ("::1", 8080)])
    assert local.ways() == []
