"""wireguard-go as the tunnel's backend, with whatever an earlier life or another program left in its way."""

from __future__ import annotations

import base64
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wg.net import SOCKETS, Home, home_in, inside, require, until

require()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with home_in(tmp_path) as made:
        yield made


def test_others_interface_is_left_alone(home: Home) -> None:
    """A WireGuard interface of our name with another key is not touched: the reason names it, its peers stay."""
    inside(home.host, "wireguard-go", home.interface)
    key = "yNPa3UD2c/q3CSItaPzB27TpnZL9i4UmIxFOaxHv3G0="
    inside(home.host, "wg", "set", home.interface, "peer", key, "allowed-ips", "10.5.0.2/32")
    daemon = home.daemon()
    daemon.start()
    until(lambda: "is not this daemon's" in (daemon.status()["wireguard"]["reason"] or ""), "the reason")
    assert daemon.witness() == {key: "10.5.0.2/32"}
    assert daemon.stop() == 0
    assert daemon.witness() == {key: "10.5.0.2/32"}


def test_old_socket_is_replaced(home: Home) -> None:
    """A socket on which nobody answers any more does not keep the tunnel from coming up."""
    SOCKETS.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(SOCKETS / f"{home.interface}.sock"))
    daemon = home.daemon()
    daemon.start()
    assert daemon.wait_tunnel()["enabled"]


def test_orphan_of_ours_is_replaced(home: Home) -> None:
    """T8: a wireguard-go with our key that outlived its daemon, and peers that are none any more, gives way."""
    daemon = home.daemon()
    daemon.start()
    daemon.wait_tunnel()
    daemon.pair()
    before = daemon.witness()
    daemon.stop(signal.SIGKILL)
    until(lambda: daemon.children() == [], "the end of wireguard-go")
    inside(home.host, "wireguard-go", home.interface)
    key = daemon.data_dir / "plain.key"
    key.touch(0o600)
    key.write_text(_clamped((daemon.data_dir / "keys" / "wireguard.key").read_bytes()))
    inside(home.host, "wg", "set", home.interface, "private-key", str(key))
    stranger = "yNPa3UD2c/q3CSItaPzB27TpnZL9i4UmIxFOaxHv3G0="
    inside(home.host, "wg", "set", home.interface, "peer", stranger, "allowed-ips", "10.100.0.9/32")
    daemon.start()
    daemon.wait_tunnel()
    assert daemon.witness() == before


def _clamped(random: bytes) -> str:
    """A private key as WireGuard writes it (RFC 7748 section 5)."""
    return base64.b64encode(bytes([random[0] & 248, *random[1:31], random[31] & 127 | 64])).decode()
