"""The addresses of this computer's interfaces."""

from __future__ import annotations

import ipaddress
import json
import shutil
import subprocess
from types import SimpleNamespace

import pytest

from pixlsrve.own_addresses import OwnAddress, own_addresses


@pytest.mark.skipif(shutil.which("ip") is None, reason="needs iproute2")
def test_as_the_system_says() -> None:
    """Names, indexes and addresses with their networks are those that iproute2 lists."""
    listed = json.loads(subprocess.run(["ip", "-j", "address"], capture_output=True, check=True).stdout)
    expected = {
        (link["ifname"], link["ifindex"], ipaddress.ip_interface(f"{found['local']}/{found['prefixlen']}"))
        for link in listed
        for found in link["addr_info"]
    }
    assert {tuple(own) for own in own_addresses()} == expected


def test_labels_and_zones_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address's label is no interface's name, and a zone is no part of an address."""
    ips = [SimpleNamespace(ip=("fe80::1%en0", 0, 4), network_prefix=64)]
    adapter = SimpleNamespace(name=b"en0:1", index=None, ips=ips)
    monkeypatch.setattr("ifaddr.get_adapters", lambda: [adapter])
    assert list(own_addresses()) == [OwnAddress("en0", 0, ipaddress.ip_interface("fe80::1/64"))]
