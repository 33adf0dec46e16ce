"""The tunnel's end, seen from the switches that it has set."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from pixlsrve.config import WireguardConfig
from pixlsrve.wg.backends import Means
from pixlsrve.wg.forwarding import Forwarding
from pixlsrve.wg.interface import Backend, DesiredPeer, InterfaceSettings
from pixlsrve.wg.tunnel import Tunnel
from tests.wg.helper.test_session import HOST, KEY, NAME, Recorder


class _Peers:
    """One phone, as the database has it."""

    def on_change(self, refresh: object) -> None:
        pass

    def interface_settings(self) -> InterfaceSettings:
        return InterfaceSettings(name=NAME, private_key=KEY, port=0, address=IPv4Interface(HOST))

    async def wanted(self) -> dict[int, DesiredPeer]:
        return {1: DesiredPeer(public_key=b"p" * 32, address=IPv4Address("10.199.7.2"))}


async def test_nothing_forwards_without_the_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T35: when the rules can't be kept, forwarding into the LAN ends with the tunnel, not with the daemon."""
    monkeypatch.setattr("pixlsrve.wg.tunnel.lan_networks", lambda _: [("lan0", IPv4Network("192.168.77.0/24"))])
    for name in (NAME, "lan0"):
        (tmp_path / "conf" / name).mkdir(parents=True)
        (tmp_path / "conf" / name / "forwarding").write_text("0")
    switch = tmp_path / "conf" / "lan0" / "forwarding"
    edge, peers = Recorder(), _Peers()

    async def choose() -> tuple[Backend, str]:
        return edge, "it is a test"

    unused: Any = None
    by = Means(choose=choose, isolation=edge, forwarding=Forwarding(tmp_path), open_sockets=unused)
    config = WireguardConfig(interface=NAME, network="10.199.7.0/24", lan_access=True)
    tunnel = Tunnel(peers, config, by=by)  # type: ignore[arg-type]  # as much of them as is asked
    await tunnel._work()
    assert tunnel.is_up
    assert switch.read_text() == "1"
    edge.fails = True
    await tunnel._work()
    assert not tunnel.is_up
    assert switch.read_text() == "0"
    edge.fails = False
    await tunnel._work()
    assert tunnel.is_up
    assert switch.read_text() == "1"
