"""Which networks are the household's, and which are in the tunnel's way; on interfaces that are said to be there."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pixlsrve.config import WireguardConfig
from pixlsrve.wg import lan
from pixlsrve.wg.interface import TunnelUnavailable


@dataclass
class _Ip:
    ip: str | tuple[str, int, int]
    network_prefix: int


@dataclass
class _Adapter:
    name: str
    ips: list[_Ip] = field(default_factory=list)
    index: int | None = None


@pytest.fixture
def adapters(monkeypatch: pytest.MonkeyPatch) -> list[_Adapter]:
    """The interfaces of a computer with containers, which a test may add to."""
    found = [
        _Adapter("lo", [_Ip("127.0.0.1", 8), _Ip(("::1", 0, 0), 128)]),
        _Adapter("eth0", [_Ip("192.168.1.7", 24), _Ip(("2001:db8::7", 0, 2), 64)]),
        _Adapter("eth0:1", [_Ip("192.168.9.7", 24)]),
        _Adapter("eth1", [_Ip("203.0.114.7", 24), _Ip("169.254.3.4", 16)]),
        _Adapter("docker0", [_Ip("172.17.0.1", 16)]),
        _Adapter("pixlsrve0", [_Ip("10.100.0.1", 24)]),
    ]
    monkeypatch.setattr("ifaddr.get_adapters", lambda: found)
    return found


def test_open_to_the_households_networks(adapters: list[_Adapter]) -> None:
    """With lan_access phones are told of the private networks of real interfaces; not of containers or the internet."""
    assert lan.allowed_ips(WireguardConfig(lan_access=True)) == "10.100.0.0/24, 192.168.1.0/24, 192.168.9.0/24"
    assert {name for name, _ in lan.lan_networks(WireguardConfig())} == {"eth0"}


def test_closed_is_the_tunnel_alone(adapters: list[_Adapter]) -> None:
    """By default phones send nothing into the tunnel but what is for the tunnel."""
    assert lan.allowed_ips(WireguardConfig()) == "10.100.0.0/24"


@pytest.mark.parametrize("network", ["192.168.1.0/28", "192.168.0.0/16", "172.17.4.0/24"])
def test_overlap_is_refused(adapters: list[_Adapter], network: str) -> None:
    """A tunnel network inside or around another interface's is refused, and the reason names the interface."""
    with pytest.raises(TunnelUnavailable, match=r"eth0|docker0") as caught:
        lan.check_overlap(WireguardConfig(network=network))
    assert "wireguard.network" in caught.value.remedy


def test_own_interface_is_not_in_the_way(adapters: list[_Adapter]) -> None:
    """The tunnel's own interface, ours from before, is no overlap."""
    lan.check_overlap(WireguardConfig())
