"""Which way home devices are told, what is remembered, and who counts as outside."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pixlsrve.config import WireguardConfig
from pixlsrve.events import EventType
from pixlsrve.services import running
from pixlsrve.wg.endpoint import lan_address
from pixlsrve.wg.interface import PeerState
from pixlsrve.wg.reachability import GRACE_S, Reachability, is_outside
from pixlsrve.wg.router.mapping import MappingState, PortMapping, make_wish
from pixlsrve.wg.router.protocol import Mapping
from pixlsrve.wg.tunnel import TunnelStatus
from tests.auth.kit import FakeTime, Kit, open_kit

ON_LAN = f"{lan_address()}:51820"
OUTER = ipaddress.IPv4Address("81.2.69.10")
MAPPED = MappingState(is_settled=True, protocol="pcp", mapping=Mapping(outer=OUTER, port=51_820, lease_s=60))


class Interface:
    """What the tunnel would say."""

    def __init__(self, *states: PeerState) -> None:
        self.states = list(states)
        self.is_up = True

    def status(self) -> TunnelStatus:
        """Up."""
        return TunnelStatus(enabled=True)

    async def peer_states(self) -> list[PeerState]:
        """The peers."""
        return self.states


async def made(kit: Kit, time: FakeTime, *, maps: bool = True, endpoint: str = "") -> tuple[Reachability, PortMapping]:
    """The service with a router that says what the test wants."""
    mapping = PortMapping(make_wish(port=51_820, outer_port=51_820, secret=b"x"))
    config = WireguardConfig(endpoint=endpoint)
    found = Reachability(
        config, kit.state, kit.peers, mapping if maps else None, kit.bus, monotonic_s=time.monotonic, watch_s=0.01
    )
    await found.load()
    kit.peers.endpoint = found.endpoint
    return found, mapping


def say(mapping: PortMapping, state: MappingState) -> None:
    """The router says something."""
    mapping.state = state
    mapping.on_change()


async def until(wanted: Callable[[], bool]) -> None:
    """Wait until `wanted` says yes."""
    async with asyncio.timeout(20):
        while not wanted():
            await asyncio.sleep(0.005)


async def test_order_of_endpoints(tmp_path: Path) -> None:
    """DESIGN 9 "Endpoint": the setting, else the mapped outer address, else the LAN address."""
    time = FakeTime()
    async with open_kit(tmp_path, time) as kit:
        found, mapping = await made(kit, time)
        assert found.endpoint() == ON_LAN
        say(mapping, MAPPED)
        assert found.endpoint() == "81.2.69.10:51820"
        assert (await found.facts()).source == "mapping"
        found, mapping = await made(kit, time, endpoint="home.example.org")
        say(mapping, MAPPED)
        assert found.endpoint() == "home.example.org:51820"
        assert (await found.facts()).source == "setting"


@pytest.mark.parametrize("outer", ["100.64.3.4", "10.0.0.5", None])
async def test_private_outer_address_is_not_told(tmp_path: Path, outer: str | None) -> None:
    """What means nothing outside is not told to devices; at home the LAN address works at least."""
    time = FakeTime()
    async with open_kit(tmp_path, time) as kit:
        found, mapping = await made(kit, time)
        address = None if outer is None else ipaddress.ip_address(outer)
        say(mapping, msgspec.structs.replace(MAPPED, mapping=Mapping(outer=address, port=51_820, lease_s=60)))
        assert found.endpoint() == ON_LAN
        assert (await found.facts()).outer_address == outer


async def test_silent_router_is_given_time(tmp_path: Path) -> None:
    """What a router said last counts for ten minutes of silence, and over a restart; then the LAN address is told."""
    time = FakeTime()
    async with open_kit(tmp_path, time) as kit:
        found, mapping = await made(kit, time)
        async with running("reachability", found):
            say(mapping, MAPPED)
            await until(lambda: bool(kit.events(EventType.TUNNEL_ENDPOINT)))
        say(mapping, MappingState(is_settled=True, trouble="no_answer"))
        time.pass_s(GRACE_S - 1)
        assert found.endpoint() == "81.2.69.10:51820"
        time.pass_s(2)
        assert found.endpoint() == ON_LAN
        again, _ = await made(kit, time)
        assert again.endpoint() == "81.2.69.10:51820"
        off, _ = await made(kit, time, maps=False)
        assert off.endpoint() == ON_LAN


async def test_devices_with_an_outdated_configuration(tmp_path: Path) -> None:
    """DESIGN 9 "Endpoint": who was told another endpoint is listed, over restarts, until it is told the new one."""
    time = FakeTime()
    async with open_kit(tmp_path, time) as kit:
        found, mapping = await made(kit, time)
        (device, _), (silent, _) = await kit.pair("a"), await kit.pair("b")
        await kit.peers.config_for(device.id)
        assert kit.peers.outdated() == []
        async with running("reachability", found):
            say(mapping, MAPPED)
            await until(lambda: bool(kit.events(EventType.TUNNEL_ENDPOINT)))
        (event,) = kit.events(EventType.TUNNEL_ENDPOINT)
        assert event.data == {"endpoint": "81.2.69.10:51820", "outdated": 1}
        assert event.audience == frozenset()
        await kit.peers.fit()
        assert kit.peers.outdated() == [device.id]
        assert not kit.peers.is_outdated(silent.id)
        assert (await kit.peers.config_for(device.id)).server_endpoint == "81.2.69.10:51820"
        assert kit.peers.outdated() == []
        await kit.identity.devices.revoke(device)
        assert kit.peers.outdated() == []


async def test_proof_is_of_today_s_endpoint(tmp_path: Path) -> None:
    """A handshake from outside proves the endpoint that the device was told, is remembered, and no other one."""
    time = FakeTime()
    async with open_kit(tmp_path, time) as kit:
        found, mapping = await made(kit, time)
        say(mapping, MAPPED)
        device, _ = await kit.pair()
        (row,) = await kit.peers.all_rows()
        state = PeerState(
            public_key=row.public_key, allowed_ips=(), endpoint="81.2.69.50:5000", last_handshake_s=1_800_000_000
        )
        found.tunnel = interface = Interface(msgspec.structs.replace(state, endpoint="192.168.7.5:5000"), state)
        interface.states = interface.states[:1]
        async with running("reachability", found):
            await kit.peers.config_for(device.id)
            await until(lambda: found.endpoint() == "81.2.69.10:51820")
            assert (await found.facts()).seen_outside_us is None
            interface.states = [state]
            async with asyncio.timeout(20):
                while (await found.facts()).seen_outside_us is None:
                    await asyncio.sleep(0.005)
        again, mapping = await made(kit, time)
        assert (await again.facts()).seen_outside_us == 1_800_000_000_000_000
        moved = Mapping(outer=ipaddress.IPv4Address("81.2.69.11"), port=51_820, lease_s=60)
        say(mapping, msgspec.structs.replace(MAPPED, mapping=moved))
        assert (await again.facts()).seen_outside_us is None


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("81.2.69.50:5000", True),
        ("[2a00:2::7]:5000", True),
        ("[::ffff:81.2.69.50]:5000", True),
        ("81.2.69.10:5000", False),  # our own router, which sends what comes from the LAN back to it
        ("192.168.7.5:5000", False),
        ("[2a00:1::7]:5000", False),
        ("[fe80::1%eth0]:5000", False),
        ("100.64.1.1:5000", False),
        ("10.0.0.7:5000", False),
        ("(none)", False),
    ],
)
def test_who_is_outside(endpoint: str, expected: bool) -> None:
    """Only a public address that is neither on our networks nor our router's own is proof."""
    networks = [ipaddress.ip_network("192.168.7.0/24"), ipaddress.ip_network("2a00:1::/64")]
    assert is_outside(endpoint, networks, "81.2.69.10") is expected
