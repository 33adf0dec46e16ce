"""The networks that this computer lies in: which of them phones may reach through the tunnel, which are in its way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv4Network, IPv6Network

from pixlsrve.config import WireguardConfig
from pixlsrve.own_addresses import own_addresses
from pixlsrve.wg.addresses import host_address, parse_network
from pixlsrve.wg.interface import TunnelUnavailable

_OWN = re.compile(r"lo\d*|docker\d+|br-[0-9a-f]{12}|veth[0-9a-f]{7,}|virbr\d+.*|vnet\d+|lxcbr\d+|utun\d+|tun\d+|wg\d+")
"""Between this computer and its own containers, virtual machines and other tunnels; not the household's LAN."""


def on_link_networks() -> list[IPv4Network | IPv6Network]:
    """The networks that this host's interfaces are on, link-local and host-only prefixes included."""
    return [own.at.network for own in own_addresses()]


def lan_networks(config: WireguardConfig) -> list[tuple[str, IPv4Network]]:
    """The household's IPv4 networks, each with the interface that leads to it, in a fixed order."""
    tunnel = parse_network(config.network)
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
    tunnel = parse_network(config.network)
    lan = {network for _, network in lan_networks(config)} if config.lan_access else set()
    return ", ".join(map(str, (tunnel, *sorted(lan))))


def check_overlap(config: WireguardConfig) -> None:
    """Raises TunnelUnavailable where the tunnel's network is also another interface's: packets would go astray."""
    tunnel = parse_network(config.network)
    for name, network in _on_link(config):
        if network.overlaps(tunnel):
            raise TunnelUnavailable(
                f"The tunnel's network {tunnel} overlaps {network}, the network at the interface {name}.",
                'Set wireguard.network to one that nobody here uses, such as "10.213.7.0/24".',
                reason="network_overlaps",
            )


def _on_link(config: WireguardConfig) -> Iterator[tuple[str, IPv4Network]]:
    """The IPv4 networks of all interfaces but the tunnel's own and loopback."""
    server = host_address(config.network)
    found = [(own.name, own.at) for own in own_addresses() if isinstance(own.at, IPv4Interface)]
    tunnels = {config.interface, *(name for name, at in found if name.startswith("utun") and at.ip == server)}
    for name, at in found:
        if name not in tunnels and not at.network.is_loopback:
            yield name, at.network
