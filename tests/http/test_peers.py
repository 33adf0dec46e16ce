"""Near and far: which addresses are the LAN, and which names are ours."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request

from pixlsrve.http.hosts import READ_AGAIN_S, Hosts, own_names
from pixlsrve.http.peers import Peers, is_direct
from pixlsrve.wg.lan import on_link_networks


class _Transport:
    """The far end of a connection that a test makes up, for no real one comes from the internet."""

    def __init__(self, address: str) -> None:
        self._address = address

    def get_extra_info(self, name: str, default: object = None) -> object:
        return (self._address, 50_000) if name == "peername" else default


@pytest.mark.parametrize(
    ("address", "is_near", "is_on_host"),
    [
        ("127.0.0.1", True, True),
        ("::1", True, True),
        ("::ffff:127.0.0.1", True, True),
        ("192.168.7.9", True, False),
        ("172.31.255.255", True, False),
        ("172.32.0.1", False, False),
        ("10.100.0.2", True, False),
        ("169.254.3.4", True, False),
        ("fe80::1%eth0", True, False),
        ("fd00::5", True, False),
        ("2001:db8:1::77", True, False),
        ("2001:db8:2::77", False, False),
        ("100.64.0.1", False, False),
        ("203.0.113.1", False, False),
        ("::ffff:203.0.113.1", False, False),
        ("8.8.8.8", False, False),
        ("", False, False),
    ],
)
def test_near_is_private_or_on_link(address: str, is_near: bool, is_on_host: bool) -> None:
    """T34: private, link-local and on-link addresses are near; loopback alone is the host."""
    peers = Peers(interfaces=lambda: [ipaddress.ip_network("2001:db8:1::/64")])
    request = make_mocked_request("GET", "/", transport=_Transport(address))
    assert (peers.is_near(request), peers.is_on_host(request)) == (is_near, is_on_host)
    assert is_direct(request)


def test_interfaces_are_read_again_after_a_while() -> None:
    """A network that the host joins counts as near within ten seconds, without an own look for every request."""
    now, networks, looks = 0.0, ["198.51.100.0/24"], 0

    def interfaces() -> list[ipaddress.IPv4Network]:
        nonlocal looks
        looks += 1
        return [ipaddress.IPv4Network(text) for text in networks]

    peers = Peers(interfaces=interfaces, clock=lambda: now)
    request = make_mocked_request("GET", "/", transport=_Transport("198.51.100.9"))
    assert peers.is_near(request)
    networks.clear()
    assert peers.is_near(request)
    assert looks == 1
    now = 11.0
    assert not peers.is_near(request)


def test_own_interfaces_are_found() -> None:
    """The loopback interface is among the networks that the host is on."""
    assert any(ipaddress.ip_address("127.0.0.1") in network for network in on_link_networks() if network.version == 4)


def test_own_names_have_every_form(tmp_path: Path) -> None:
    """T27: the host's name counts bare, with .local and with the search domains; other names don't."""
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 192.0.2.1\nsearch Fritz.Box. lan\n")
    names = own_names("Pi.example.org", resolver)
    assert names == {"pi.example.org", "pi", "pi.local", "pi.fritz.box", "pi.lan"}
    hosts = Hosts(["Photos.Example.org:8080"], names=names)
    assert hosts.is_ours("PI.LAN:80")
    assert hosts.is_ours("photos.example.org")
    assert not hosts.is_ours("lan")
    assert own_names("pi", tmp_path / "missing") == {"pi", "pi.local"}


def test_own_names_follow_the_network(tmp_path: Path) -> None:
    """T27: a search domain that comes after the start, as on a host that boots before its router, makes a name ours."""
    resolver, now_s = tmp_path / "resolv.conf", 100.0
    hosts = Hosts(["photos.example.org"], read=lambda: own_names("pi", resolver), clock=lambda: now_s)
    assert not hosts.is_ours("pi.fritz.box:8080")
    resolver.write_text("search fritz.box\n")
    assert not hosts.is_ours("pi.fritz.box:8080"), "strangers' names have it looked up some seconds apart only"
    now_s += READ_AGAIN_S
    assert hosts.is_ours("pi.fritz.box:8080")
    assert hosts.is_ours("photos.example.org")
    assert not hosts.is_ours("evil.example")
