"""Addresses inside the tunnel: which one is the host's, which ones are free. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from pixlsrve.errors import ConfigError, Unavailable

SERVER_NUMBER = 1
"""The host has the network's first address (DESIGN section 9)."""
_MOST_DEVICES = 65_534
POOL_FULL = "All addresses of the tunnel are taken; revoke a device, or enlarge wireguard.network."
Network = ipaddress.IPv4Network


def parse_network(text: str) -> Network:
    """The setting `wireguard.network`. Raises ConfigError unless it is an IPv4 network with room for a device."""
    try:
        network = ipaddress.IPv4Network(text, strict=False)
    except ValueError as error:
        raise ConfigError(
            f'wireguard.network must be an IPv4 network such as "10.100.0.0/24", not {text!r}.'
        ) from error
    if network.prefixlen > 30:
        raise ConfigError(f"wireguard.network {text} has no room for a device; /30 is the smallest.")
    return network


def last_number(network: Network) -> int:
    """The highest host number of the network; the broadcast address is no host's."""
    return min(network.num_addresses - 2, SERVER_NUMBER + _MOST_DEVICES)


def address_of(network: Network, number: int) -> ipaddress.IPv4Address:
    """The address with a host number."""
    return network.network_address + number


def host_address(text: str) -> ipaddress.IPv4Address:
    """The host's own address by the setting `wireguard.network`. Raises ConfigError."""
    return address_of(parse_network(text), SERVER_NUMBER)


def lowest_free(network: Network, taken: Collection[int]) -> int:
    """The lowest host number that no device has. Raises Unavailable when all are taken."""
    for number in range(SERVER_NUMBER + 1, last_number(network) + 1):
        if number not in taken:
            return number
    raise Unavailable(POOL_FULL, reason="address_pool_full")
