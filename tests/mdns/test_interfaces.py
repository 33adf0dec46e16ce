"""Which interfaces count, and the news of their changes."""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from pathlib import Path
from types import SimpleNamespace

import ifaddr
import pytest

from pixlsrve.mdns import interfaces
from pixlsrve.mdns.interfaces import AddressChanges, lan_interfaces

UP_AND_RUNNING, LOOPBACK, POINT_TO_POINT = 0x1 | 0x40 | interfaces._MULTICAST, 0x8, 0x10
TENTATIVE, TEMPORARY = 0x40, 0x01


@pytest.fixture
def computer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, tuple[int, list[str]]]:
    """A computer whose interfaces are written down: flags and addresses by name."""
    made: dict[str, tuple[int, list[str]]] = {}

    def adapters() -> list[SimpleNamespace]:
        return [
            SimpleNamespace(name=name, index=number, ips=[_as_ifaddr(text) for text in addresses])
            for number, (name, (_, addresses)) in enumerate(made.items(), 1)
        ]

    def flags(_: object, __: int, request: bytes) -> bytes:
        name = request[:16].rstrip(b"\0").decode()
        return struct.pack("16sH22x", name.encode(), made[name][0])

    monkeypatch.setattr(ifaddr, "get_adapters", adapters)
    monkeypatch.setattr("fcntl.ioctl", flags)
    monkeypatch.setattr(interfaces, "_IF_INET6", tmp_path / "if_inet6")
    return made


def _as_ifaddr(text: str) -> SimpleNamespace:
    return SimpleNamespace(ip=(text, 0, 0) if ":" in text else text, network_prefix=64 if ":" in text else 24)


def _found(*excluded: str) -> dict[str, list[str]]:
    return {each.name: [str(address) for address in each.addresses] for each in lan_interfaces(excluded)}


def test_only_lans_count(computer: dict[str, tuple[int, list[str]]]) -> None:
    """T35: loopback, tunnels, what is down or unplugged, and the host's own containers are no LAN."""
    computer |= {
        "lo": (UP_AND_RUNNING | LOOPBACK, ["127.0.0.1", "::1"]),
        "eth0": (UP_AND_RUNNING, ["192.168.1.10"]),
        "eth1": (UP_AND_RUNNING & ~0x40, ["192.168.2.10"]),
        "eth2": (UP_AND_RUNNING & ~0x1, ["192.168.3.10"]),
        "tun0": (UP_AND_RUNNING | POINT_TO_POINT, ["10.8.0.2"]),
        "pixlsrve0": (UP_AND_RUNNING, ["10.100.0.1"]),
        "docker0": (UP_AND_RUNNING, ["172.17.0.1"]),
        "br-0123456789ab": (UP_AND_RUNNING, ["172.18.0.1"]),
        "br0": (UP_AND_RUNNING, ["192.168.4.10"]),
        "wlan0": (UP_AND_RUNNING, []),
    }
    assert _found("pixlsrve0") == {"eth0": ["192.168.1.10"], "br0": ["192.168.4.10"]}


def test_link_local_is_the_last_resort(computer: dict[str, tuple[int, list[str]]]) -> None:
    """Link-local addresses are announced only where an interface has no others."""
    computer |= {
        "eth0": (UP_AND_RUNNING, ["fe80::1", "169.254.1.1", "192.168.1.10", "fd00::1"]),
        "eth1": (UP_AND_RUNNING, ["fe80::2"]),
    }
    assert _found() == {"eth0": ["192.168.1.10", "fd00::1"], "eth1": ["fe80::2"]}


def test_addresses_that_do_not_last(computer: dict[str, tuple[int, list[str]]]) -> None:
    """Temporary addresses are left out, and those still being tested are waited for."""
    computer["eth0"] = (UP_AND_RUNNING, ["fd00::1", "fd00::2", "fd00::3"])
    rows = [("fd00::1", 0x80), ("fd00::2", TEMPORARY), ("fd00::3", TENTATIVE)]
    lines = [f"{int(ipaddress.IPv6Address(text)):032x} 01 40 00 {state:02x} eth0\n" for text, state in rows]
    interfaces._IF_INET6.write_text("".join(lines))
    (found,) = lan_interfaces()
    assert [str(address) for address in found.ipv6] == ["fd00::1"]
    assert found.is_settling
    interfaces._IF_INET6.write_text("".join(lines[:2]) + lines[2].replace(" 40 eth0", " 80 eth0"))
    (settled,) = lan_interfaces()
    assert [str(address) for address in settled.ipv6] == ["fd00::1", "fd00::3"]
    assert not settled.is_settling


async def test_changes_are_told() -> None:
    """A wait ends with the news, also with news that came before it, and the system's own telling is listened to."""
    with AddressChanges() as changes:
        changes.poke()
        await changes.wait()
        waiting = asyncio.create_task(changes.wait())
        await asyncio.sleep(0)
        changes.poke()
        await waiting
