"""The kernel's interface, witnessed by `wg` and `ip`; where the kernel has none, `python -m tests.qemu` runs this."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixlsrve.wg.interface import DesiredPeer, InterfaceSettings, TunnelUnavailable
from pixlsrve.wg.kernel import KernelBackend
from pixlsrve.wg.keys import KeyPair, encode_key, make_pair
from tests.mdns.lan import run
from tests.wg.net import unique_interface

if os.geteuid() != 0 or KernelBackend.why_not() is not None:
    pytest.skip(
        "this kernel lacks a part: KERNEL TUNNEL TESTS DO NOT RUN without root and WireGuard; run python -m tests.qemu",
        allow_module_level=True,
    )

NETWORK = ipaddress.IPv4Network("198.18.0.0/20")
SERVER = ipaddress.IPv4Interface("198.18.0.1/20")
OTHER_PORT = 51_999
_ports = itertools.count(52_000)


@pytest.fixture
def settings() -> Iterator[InterfaceSettings]:
    """An interface that does not exist yet, and is gone afterwards."""
    made = InterfaceSettings(
        name=unique_interface(), private_key=make_pair().private, port=next(_ports), address=SERVER
    )
    yield made
    subprocess.run(["ip", "link", "delete", made.name], capture_output=True, check=False)


@pytest.fixture
async def backend(settings: InterfaceSettings) -> KernelBackend:
    """The backend with its interface up."""
    made = KernelBackend()
    await made.ensure(settings)
    return made


def _peer(number: int, pair: KeyPair | None = None) -> DesiredPeer:
    return DesiredPeer(public_key=(pair or make_pair()).public, address=NETWORK.network_address + number)


def _witness(name: str) -> dict[str, str]:
    """Each peer's allowed IPs, as `wg` has them."""
    return dict(line.split("\t") for line in run("wg", "show", name, "allowed-ips").splitlines())


def _wanted(*peers: DesiredPeer) -> dict[str, str]:
    return {encode_key(peer.public_key): f"{peer.address}/32" for peer in peers}


def _addresses(name: str) -> list[tuple[str, int]]:
    (link,) = json.loads(run("ip", "-j", "-4", "addr", "show", "dev", name))
    return [(item["local"], item["prefixlen"]) for item in link["addr_info"]]


async def test_ensure_makes_interface(backend: KernelBackend, settings: InterfaceSettings) -> None:
    """The interface has our key, port and address, and is up."""
    (link,) = json.loads(run("ip", "-j", "-d", "link", "show", "dev", settings.name))
    assert link["linkinfo"]["info_kind"] == "wireguard"
    assert "UP" in link["flags"]
    assert _addresses(settings.name) == [("198.18.0.1", 20)]
    private = run("wg", "show", settings.name, "private-key").strip()
    assert private == encode_key(settings.private_key)
    assert int(run("wg", "show", settings.name, "listen-port")) == settings.port == await backend.listening_port()


async def test_ensure_again_keeps_peers(backend: KernelBackend, settings: InterfaceSettings) -> None:
    """Making sure of an interface that is as it should be changes nothing."""
    peer = _peer(2)
    await backend.apply(put=[peer], remove=[])
    await backend.ensure(settings)
    assert _witness(settings.name) == _wanted(peer)


async def test_leftover_interface_is_taken_over(settings: InterfaceSettings) -> None:
    """What a crash left gets our key, port and address, and shows its old peers so that they can be removed."""
    run("ip", "link", "add", settings.name, "type", "wireguard")
    run("ip", "addr", "add", "198.18.64.1/24", "dev", settings.name)
    stale = _peer(2)
    key = encode_key(stale.public_key)
    run("wg", "set", settings.name, "listen-port", str(OTHER_PORT), "peer", key, "allowed-ips", "198.18.64.2/32,::/0")
    backend = KernelBackend()
    await backend.ensure(settings)
    assert _addresses(settings.name) == [("198.18.0.1", 20)]
    assert await backend.listening_port() == settings.port
    (found,) = await backend.peers()
    assert found.public_key == stale.public_key
    assert set(found.allowed_ips) == {"198.18.64.2/32", "::/0"}
    await backend.apply(put=[stale], remove=[])
    assert _witness(settings.name) == _wanted(stale)


async def test_foreign_interface_is_left_alone(settings: InterfaceSettings) -> None:
    """An interface of another kind is nobody's to take; the remedy names the command."""
    run("ip", "link", "add", settings.name, "type", "bridge")
    backend = KernelBackend()
    with pytest.raises(TunnelUnavailable) as caught:
        await backend.ensure(settings)
    assert f"ip link delete {settings.name}" in caught.value.remedy
    await backend.tear_down()
    assert "bridge" in run("ip", "-d", "link", "show", "dev", settings.name)


async def test_apply_adds_corrects_removes(backend: KernelBackend, settings: InterfaceSettings) -> None:
    """The interface has exactly the peers that were asked for, each with its one address (T35)."""
    pair = make_pair()
    first, second, third = _peer(2, pair), _peer(3), _peer(4)
    await backend.apply(put=[first, second], remove=[])
    moved = _peer(9, pair)
    await backend.apply(put=[moved, third], remove=[second.public_key, make_pair().public])
    assert _witness(settings.name) == _wanted(moved, third)


async def test_apply_swaps_addresses(backend: KernelBackend, settings: InterfaceSettings) -> None:
    """Two peers may take each other's address in one step."""
    one, other = make_pair(), make_pair()
    await backend.apply(put=[_peer(2, one), _peer(3, other)], remove=[])
    await backend.apply(put=[_peer(3, one), _peer(2, other)], remove=[])
    assert _witness(settings.name) == _wanted(_peer(3, one), _peer(2, other))


async def test_thousand_peers(backend: KernelBackend, settings: InterfaceSettings) -> None:
    """A thousand peers come, are all listed, and half of them go."""
    wanted = [_peer(number) for number in range(2, 1_002)]
    await backend.apply(put=wanted, remove=[])
    assert _witness(settings.name) == _wanted(*wanted)
    found = await backend.peers()
    assert {peer.public_key: peer.allowed_ips for peer in found} == {
        peer.public_key: (f"{peer.address}/32",) for peer in wanted
    }
    await backend.apply(put=[], remove=[peer.public_key for peer in wanted[:500]])
    assert _witness(settings.name) == _wanted(*wanted[500:])


async def test_peer_with_many_networks_is_listed_once(
    backend: KernelBackend, settings: InterfaceSettings, tmp_path: Path
) -> None:
    """Allowed IPs that the kernel spreads over several messages are one peer's."""
    peer = _peer(2)
    networks = [f"198.18.{number // 256}.{number % 256}/32" for number in range(512, 2_012)]
    lines = "".join(f"AllowedIPs = {item}\n" for item in networks)
    listing = tmp_path / "peer.conf"
    listing.write_text(f"[Peer]\nPublicKey = {encode_key(peer.public_key)}\n{lines}")
    run("wg", "addconf", settings.name, str(listing))
    (found,) = await backend.peers()
    assert sorted(found.allowed_ips) == sorted(networks)


async def test_statistics_of_real_peer(backend: KernelBackend, settings: InterfaceSettings) -> None:
    """After a handshake the peer has its endpoint, the time, and counters; before it has none of them."""
    phone, namespace, pair = unique_interface(), f"px-{os.getpid()}-phone", make_pair()
    peer = _peer(2, pair)
    await backend.apply(put=[peer], remove=[])
    (before,) = await backend.peers()
    assert (before.endpoint, before.last_handshake_s, before.received_bytes, before.sent_bytes) == (None, None, 0, 0)
    run("ip", "netns", "add", namespace)
    try:
        run("ip", "link", "add", phone, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        run("ip", "addr", "add", "2001:db8:51::1/64", "dev", phone, "nodad")
        run("ip", "link", "set", phone, "up")
        _bring_up(namespace, pair, settings)
        run("ip", "netns", "exec", namespace, "ping", "-n", "-c", "1", "-w", "30", "198.18.0.1")
    finally:
        run("ip", "netns", "delete", namespace)
    (after,) = await backend.peers()
    assert after.endpoint is not None
    assert after.endpoint.startswith("[2001:db8:51::2]:")
    assert after.last_handshake_s is not None
    assert after.received_bytes > 0
    assert after.sent_bytes > 0


def _bring_up(namespace: str, pair: KeyPair, settings: InterfaceSettings) -> None:
    """The other end, reached over IPv6."""
    for words in (
        "link set lo up",
        "link set eth0 up",
        "addr add 2001:db8:51::2/64 dev eth0 nodad",
        "link add wg0 type wireguard",
        "addr add 198.18.0.2/20 dev wg0",
    ):
        run("ip", "-n", namespace, *words.split())
    ours = run("wg", "show", settings.name, "public-key").strip()
    told = f"[Interface]\nPrivateKey = {encode_key(pair.private)}\n[Peer]\nPublicKey = {ours}\n"
    told += f"AllowedIPs = 198.18.0.1/32\nEndpoint = [2001:db8:51::1]:{settings.port}\n"
    command = ["ip", "netns", "exec", namespace, "wg", "setconf", "wg0", "/dev/stdin"]
    subprocess.run(command, input=told, text=True, check=True)
    run("ip", "-n", namespace, "link", "set", "wg0", "up")


async def test_deleted_interface_is_noticed_and_put_back(backend: KernelBackend, settings: InterfaceSettings) -> None:
    """Somebody deletes the interface: that ends the wait, requests say so, and it can be made again."""
    waiting = asyncio.create_task(backend.lost())
    await asyncio.sleep(0)
    assert not waiting.done()
    run("ip", "link", "add", f"{settings.name}b", "type", "bridge")
    run("ip", "link", "delete", f"{settings.name}b")
    run("ip", "link", "delete", settings.name)
    await asyncio.wait_for(waiting, 60)
    with pytest.raises(TunnelUnavailable, match="is gone"):
        await backend.peers()
    with pytest.raises(TunnelUnavailable, match="is gone"):
        await backend.apply(put=[_peer(2)], remove=[])
    await backend.ensure(settings)
    assert await backend.peers() == []
    assert _addresses(settings.name) == [("198.18.0.1", 20)]


async def test_tear_down_removes_interface(backend: KernelBackend, settings: InterfaceSettings) -> None:
    """Nothing is left, and a second time is fine."""
    await backend.tear_down()
    await backend.tear_down()
    assert settings.name not in run("ip", "-o", "link")
    await asyncio.wait_for(backend.lost(), 60)


async def test_taken_port_is_named(settings: InterfaceSettings) -> None:
    """A port that another program has is named together with the setting."""
    backend = KernelBackend()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", settings.port))
        with pytest.raises(TunnelUnavailable, match=str(settings.port)) as caught:
            await backend.ensure(settings)
    assert "wireguard.port" in caught.value.remedy
    await backend.ensure(settings)
    assert await backend.listening_port() == settings.port


async def test_any_free_port(settings: InterfaceSettings) -> None:
    """Port 0 lets the system choose, and the choice stays."""
    backend = KernelBackend()
    free = InterfaceSettings(name=settings.name, private_key=settings.private_key, port=0, address=SERVER)
    await backend.ensure(free)
    chosen = await backend.listening_port()
    assert chosen > 0
    await backend.ensure(free)
    assert await backend.listening_port() == chosen


async def test_requests_do_not_mix(backend: KernelBackend, settings: InterfaceSettings) -> None:
    """Requests made at once are all done."""
    wanted = [_peer(number) for number in range(2, 22)]
    await asyncio.gather(*(backend.apply(put=[peer], remove=[]) for peer in wanted), backend.peers())
    assert _witness(settings.name) == _wanted(*wanted)
