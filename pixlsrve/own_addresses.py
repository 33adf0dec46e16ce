"""The addresses of this computer's interfaces, as the system says them just now."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import NamedTuple

import ifaddr


class OwnAddress(NamedTuple):
    """An address with its network, and the interface that has it."""

    name: str
    """The interface's; labels of addresses (`eth0:1`) are left out."""
    number: int
    """The interface's index, 0 where the system says none."""
    at: IPv4Interface | IPv6Interface
    """Without a zone."""


def own_addresses() -> Iterator[OwnAddress]:
    """All of them: loopback, link-local ones, containers' and tunnels' too."""
    for adapter in ifaddr.get_adapters():
        name = adapter.name.decode() if isinstance(adapter.name, bytes) else adapter.name
        for ip in adapter.ips:
            address = ip.ip[0] if isinstance(ip.ip, tuple) else ip.ip
            at = ip_interface(f"{address.partition('%')[0]}/{ip.network_prefix}")
            yield OwnAddress(name.partition(":")[0], adapter.index or 0, at)
