"""What the host's certificate must vouch for: the names that we answer to, and the addresses of our interfaces."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from pixlsrve.config import Config
from pixlsrve.http.hosts import HOME_NAME, name_of, own_names
from pixlsrve.own_addresses import own_addresses
from pixlsrve.tls.certificates import Subjects
from pixlsrve.wg.addresses import host_address

_IF_INET6 = Path("/proc/net/if_inet6")
_TEMPORARY = 0x01
_ADDRESSES_MAX = 64

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def subjects(config: Config) -> Subjects:
    """Names and addresses under which clients reach us just now: the interfaces' own, the tunnel's, the settings'."""
    further = [name_of(host) or host for host in config.http.hosts]
    further += filter(None, [urlsplit(config.http.public_url).hostname])
    named = {name: _parse(name) for name in further}
    given = [address for address in named.values() if address is not None]
    names = {"localhost", HOME_NAME, *own_names(), *(name for name, address in named.items() if address is None)}
    loopback = (ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1"))
    addresses = [*loopback, host_address(config.wireguard.network), *given, *_interfaces()]
    return Subjects(frozenset(names), frozenset(addresses[:_ADDRESSES_MAX]))


def _interfaces() -> Iterable[Address]:
    """The addresses of our interfaces that somebody else can write into a URL: no link-local, no temporary ones."""
    temporary = _temporary_addresses()
    for own in own_addresses():
        address = own.at.ip
        if not (address.is_link_local or address.is_loopback or address in temporary):
            yield address


def _temporary_addresses() -> frozenset[Address]:
    """The IPv6 addresses that exist for a day only (RFC 8981), where the system says which: Linux."""
    try:
        lines = _IF_INET6.read_text("ascii").splitlines()
    except OSError:
        return frozenset()
    fields = (line.split() for line in lines)
    return frozenset(ipaddress.IPv6Address(int(field[0], 16)) for field in fields if int(field[4], 16) & _TEMPORARY)


def _parse(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
