"""Where devices reach this host: its address on the LAN."""

from __future__ import annotations

import ipaddress
import socket

import ifaddr

_PROBES = (
    (socket.AF_INET, "192.0.2.1"),  # RFC 5737: nobody's; connecting a datagram socket sends nothing
    (socket.AF_INET6, "2001:db8::1"),
)


def lan_address() -> str:
    """This host's address on the LAN: that of the default route, else of any interface, else 127.0.0.1."""
    for family, probe in _PROBES:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probing:
                probing.connect((probe, 9))
                address = str(probing.getsockname()[0])
        except OSError:
            continue
        if _is_usable(address):
            return address
    found = [str(ip.ip) for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str)]
    return next(filter(_is_usable, found), "127.0.0.1")


def endpoint(setting: str, port: int) -> str:
    """HOST:PORT that devices dial: the setting `wireguard.endpoint`, else the LAN address with the tunnel's port."""
    if not setting:
        return _joined(lan_address(), port)
    host, colon, given = setting.rpartition(":")
    has_port = bool(colon) and given.isdecimal() and (":" not in host or host.endswith("]"))
    return setting if has_port else _joined(setting.strip("[]"), port)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_usable(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return not (address.is_loopback or address.is_link_local or address.is_unspecified)
