"""A daemon whose tunnel is the kernel's, and a phone whose stock tools use it too (`python -m tests.qemu`)."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixlsrve.errors import PixlsrveError
from pixlsrve.wg.kernel import KernelBackend
from tests.mdns.lan import run
from tests.wg import net
from tests.wg.net import Home, HomeDaemon, Phone, home_in, inside, new_keys, until

if os.geteuid() != 0 or KernelBackend.why_not() is not None:
    pytest.skip(
        "this kernel lacks a part: KERNEL TUNNEL TESTS DO NOT RUN without root and WireGuard; run python -m tests.qemu",
        allow_module_level=True,
    )
net.require()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A LAN with a host."""
    with home_in(tmp_path) as made:
        yield made


@pytest.fixture
def daemon(home: Home) -> HomeDaemon:
    """A daemon with its tunnel up."""
    made = home.daemon()
    made.start()
    _wait_kernel(made)
    return made


def _wait_kernel(daemon: HomeDaemon) -> None:
    """Wait for the tunnel; an emulated processor may exceed the daemon's own limits at first."""

    def is_there() -> bool:
        with contextlib.suppress(PixlsrveError):
            return bool(daemon.status()["wireguard"]["backend"] == "kernel")
        return False

    until(is_there, "the kernel's tunnel")


def _joined(home: Home, daemon: HomeDaemon) -> tuple[Phone, str, str]:
    """A phone that reaches the host by its tunnel, its device's id and its token."""
    phone = home.phone("phone", "192.0.2.50/24")
    joined = daemon.pair()
    phone.up(Phone.conf(joined["wireguard_config"]))
    assert _kind(phone.namespace, phone.interface) == "wireguard"
    until(lambda: _reaches(daemon, phone), "the tunnel")
    return phone, joined["device_id"], joined["api_token"]


def _reaches(daemon: HomeDaemon, phone: Phone) -> bool:
    return phone.reaches(f"http://10.100.0.1:{daemon.port}/healthz")


def _kind(namespace: str, interface: str) -> str:
    """The interface's kind, empty where there is none."""
    code, out = inside(namespace, "ip", "-d", "link", "show", "dev", interface)
    return next((word for word in out.split() if word in ("wireguard", "tun")), "") if code == 0 else ""


def test_phone_joins_and_is_revoked(home: Home, daemon: HomeDaemon) -> None:
    """The kernel carries the tunnel where it can, and no process does; a revoked phone is out of it (T7)."""
    assert _kind(daemon.namespace, daemon.interface) == "wireguard"
    assert daemon.children() == []
    phone, device_id, token = _joined(home, daemon)
    base = f"http://10.100.0.1:{daemon.port}"
    status, _ = daemon.call("/api/v1/albums", token=token, namespace=phone.namespace, base=base)
    assert status == 200
    until(lambda: bool(daemon.status()["wireguard"]["connected_peers"] == 1), "the connected peer")
    daemon.cli("revoke", device_id)
    until(lambda: daemon.witness() == {}, "the end of the peer")
    assert not phone.pings("10.100.0.1")


def test_crash_leaves_interface_for_next_start(home: Home, daemon: HomeDaemon) -> None:
    """After kill -9 the next start takes the interface over, and who does not belong to it is out (T8)."""
    phone, _, _ = _joined(home, daemon)
    peers = daemon.witness()
    daemon.stop(signal.SIGKILL)
    assert daemon.witness() == peers
    _, stranger = new_keys()
    command = ("wg", "set", daemon.interface, "peer", stranger, "allowed-ips", "10.100.0.77/32")
    assert inside(daemon.namespace, *command)[0] == 0
    daemon.start()
    _wait_kernel(daemon)
    until(lambda: daemon.witness() == peers, "the peers as they were")
    until(lambda: _reaches(daemon, phone), "the phone")


def test_deleted_interface_comes_back(home: Home, daemon: HomeDaemon) -> None:
    """Somebody deletes the interface: it is put back with its peers, and the phone goes on."""
    phone, _, _ = _joined(home, daemon)
    peers = daemon.witness()
    run("ip", "-n", daemon.namespace, "link", "delete", daemon.interface)
    until(lambda: daemon.witness() == peers, "the interface and its peers")
    until(lambda: _reaches(daemon, phone), "the phone")


def test_stop_removes_interface(daemon: HomeDaemon) -> None:
    """SIGTERM leaves no interface behind."""
    assert daemon.stop() == 0
    assert _kind(daemon.namespace, daemon.interface) == ""
