"""Where devices reach this host: what the setting says, or its address on the LAN."""

from __future__ import annotations

import ipaddress
import re
import socket

import msgspec

from pixlsrve.errors import ConfigError
from pixlsrve.own_addresses import own_addresses

_PROBES = (
    (socket.AF_INET, "192.0.2.1"),  # RFC 5737: nobody's; connecting a datagram socket sends nothing
    (socket.AF_INET6, "2001:db8::1"),
)
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_LONGEST_NAME = 253
_NUMERIC = re.compile(r"[0-9.]+")


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A host, by name or address, and a UDP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_name(self) -> bool:
        """Whether the host has to be looked up."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return True
        return False


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
    found = [str(own.at.ip) for own in own_addresses() if own.at.version == 4]
    return next(filter(_is_usable, found), "127.0.0.1")


def parse_endpoint(setting: str, port: int) -> Endpoint | None:
    """The setting `wireguard.endpoint`, with `port` where it names none; None when it is empty.

    Raises ConfigError unless it is a name or an address, with or without a port.
    """
    text = setting.strip()
    if not text:
        return None
    bracketed = re.fullmatch(r"\[([^\[\]]+)\](?::(.*))?", text)
    if bracketed:
        host, given = bracketed[1], bracketed[2]
        is_good = _is_address(host, 6)
    elif text.count(":") > 1:
        host, given = text, None
        is_good = _is_address(host, 6)
    else:
        host, colon, rest = text.partition(":")
        given = rest if colon else None
        host = host if _is_address(host, 4) else _name(host)
        is_good = bool(host)
    number = port if given is None else _port(given)
    if not is_good or number is None:
        raise ConfigError(
            f'The setting wireguard.endpoint has the bad value "{setting}": it must be a name or an address, '
            'with a port or without, such as "home.example.org", "198.51.100.7:51820" or "[2001:db8::7]:51820".'
        )
    return Endpoint(host=host, port=number)


def endpoint(setting: str, port: int) -> str:
    """HOST:PORT that devices dial without further knowledge: the setting, else the LAN address with the port.

    Raises ConfigError.
    """
    return str(parse_endpoint(setting, port) or Endpoint(host=lan_address(), port=port))


def _port(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= 65_535 else None


def _is_address(text: str, version: int) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.version == version and not address.is_unspecified and not address.is_multicast and "%" not in text


def _name(text: str) -> str:
    """A host's name (RFC 1123 §2.1) as DNS has it, internationalised ones included; empty for what is none."""
    try:
        name = text.removesuffix(".").encode("idna").decode()
    except UnicodeError:
        return ""
    is_good = (
        len(name) <= _LONGEST_NAME and all(map(_LABEL.fullmatch, name.split("."))) and not _NUMERIC.fullmatch(name)
    )
    return name if is_good else ""


def _is_usable(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return not (address.is_loopback or address.is_link_local or address.is_unspecified)
