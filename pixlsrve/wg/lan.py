"""The networks that this computer lies in: which of them phones may reach through the tunnel, which are in its way."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network

import ifaddr

from pixlsrve.config import WireguardConfig
from pixlsrve.wg.interface import TunnelUnavailable

_OWN = re.compile(r"lo\d*|docker\d+|br-[0-9a-f]{12}|veth[0-9a-f]{7,}|virbr\d+.*|vnet\d+|lxcbr\d+|utun\d+|tun\d+|wg\d+")
"""Between this computer and its own containers, virtual machines and other tunnels; not the household's LAN."""


def on_link_networks() -> list[IPv4Network | IPv6Network]:
    """The networks that this host's interfaces are on, link-local and host-only prefixes included."""
    networks: list[IPv4Network | IPv6Network] = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            address = ip.ip[0] if isinstance(ip.ip, tuple) else ip.ip
            networks.append(ipaddress.ip_network(f"{address}/{ip.network_prefix}", strict=False))
    return networks


def lan_networks(config: WireguardConfig) -> list[tuple[str, IPv4Network]]:
    """The household's IPv4 networks, each with the interface that leads to it, in a fixed order."""
    tunnel = ipaddress.IPv4Network(config.network, strict=False)
    found = {
        (name, network)
        for name, network in _on_link(config)
        if network.is_private
        and not network.is_link_local
        and not network.overlaps(tunnel)
        and not _OWN.fullmatch(name)
    }
    return sorted(found)


def allowed_ips(config: WireguardConfig) -> str:
    """What a phone sends into the tunnel: its network, and the LAN's where `lan_access` opens it."""
    tunnel = ipaddress.IPv4Network(config.network, strict=False)
    lan = {network for _, network in lan_networks(config)} if config.lan_access else set()
    return ", ".join(map(str, (tunnel, *sorted(lan))))


def check_overlap(config: WireguardConfig) -> None:
    """Raises TunnelUnavailable where the tunnel's network is also another interface's: packets would go astray."""
    tunnel = ipaddress.IPv4Network(config.network, strict=False)
    for name, network in _on_link(config):
        if network.overlaps(tunnel):
            raise TunnelUnavailable(
                f"The tunnel's network {tunnel} overlaps {network}, the network at the interface {name}.",
                'Set wireguard.network to one that nobody here uses, such as "10.213.7.0/24".',
                reason="network_overlaps",
            )


def _on_link(config: WireguardConfig) -> Iterator[tuple[str, IPv4Network]]:
    """The IPv4 networks of all interfaces but the tunnel's own and loopback."""
    own = str(ipaddress.IPv4Network(config.network, strict=False).network_address + 1)
    for adapter in ifaddr.get_adapters():
        raw = adapter.name.decode() if isinstance(adapter.name, bytes) else adapter.name
        name = raw.partition(":")[0]
        ips = [ip for ip in adapter.ips if isinstance(ip.ip, str)]
        is_tunnel = name == config.interface or (name.startswith("utun") and any(ip.ip == own for ip in ips))
        if is_tunnel:
            continue
        for ip in ips:
            network = IPv4Network(f"{ip.ip}/{ip.network_prefix}", strict=False)
            if not network.is_loopback:
                yield name, network
