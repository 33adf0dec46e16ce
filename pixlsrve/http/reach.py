"""Every way to reach this host, best first, for clients that switch between the LAN and the tunnel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec
from aiohttp import web

from pixlsrve.config import Config
from pixlsrve.http.hosts import HOME_NAME
from pixlsrve.mdns.interfaces import Address, Interface, lan_interfaces
from pixlsrve.wg.addresses import host_address
from pixlsrve.wg.endpoint import lan_address

_UNSPECIFIED = {4: "0.0.0.0", 6: "::"}  # noqa: S104  # compared, not bound


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One way to reach the host. Whoever answers there is told by `host_id`, which the client compares."""

    kind: Literal["lan", "tunnel", "name"]
    """lan: at home; tunnel: wherever the tunnel is up; name: where somebody resolves it."""
    host: str
    """An address or a name."""
    url: str
    """Base of the API's URLs over HTTP."""
    tls_url: str | None
    """The same over HTTPS; null without it."""


class Reach:
    """Knows the ways. `tls_port`, `has_tunnel`, `has_names` and `is_announced` are asked each time.

    `has_names` says whether names are answered in the tunnel. `mdns_name` is the name that is good while `is_announced`
    says so. There are no ways before `listens`.
    """

    def __init__(
        self,
        config: Config,
        *,
        tls_port: Callable[[], int | None] = lambda: None,
        has_tunnel: Callable[[], bool] = lambda: False,
        has_names: Callable[[], bool] = lambda: True,
        mdns_name: str = "",
        interfaces: Callable[[frozenset[str]], tuple[Interface, ...]] = lan_interfaces,
    ) -> None:
        self._config = config
        self._tls_port = tls_port
        self._has_tunnel = has_tunnel
        self._has_names = has_names
        self._mdns_name = mdns_name
        self._interfaces = interfaces
        self._bound: frozenset[str] = frozenset()
        self._port = 0
        self.is_announced: Callable[[], bool] = lambda: False
        """Whether `mdns_name` is being announced."""

    def listens(self, bound: Iterable[tuple[str, int]]) -> None:
        """Note the addresses that HTTP listens on, and the port, the same at all of them."""
        listeners = list(bound)
        self._bound = frozenset(host.partition("%")[0] for host, _ in listeners)
        self._port = listeners[0][1]

    def ways(self) -> list[Way]:
        """All of them in order of preference: addresses on the LAN, the tunnel's address, names."""
        tls_port = self._tls_port()
        return [
            Way(
                kind=kind,
                host=host,
                url=f"http://{_authority(host, self._port)}",
                tls_url=None if tls_port is None else f"https://{_authority(host, tls_port)}",
            )
            for kind, host in dict.fromkeys(self._hosts())
        ]

    def _hosts(self) -> Iterator[tuple[Literal["lan", "tunnel", "name"], str]]:
        for address in self._lan():
            yield "lan", str(address)
        tunnel = host_address(self._config.wireguard.network) if self._has_tunnel() else None
        if tunnel is not None and self._is_listened_on(tunnel):
            yield "tunnel", str(tunnel)
        if self._mdns_name and self.is_announced():
            yield "name", self._mdns_name
        if tunnel is not None and self._has_names():
            yield "name", HOME_NAME

    def _lan(self) -> list[Address]:
        """Addresses on the LAN: the default route's first, then IPv4, then IPv6; without link-local ones of IPv6.

        The latter mean nothing without the name that the client's own interface has (RFC 4007 §11).
        """
        found = self._interfaces(frozenset({self._config.wireguard.interface}))
        addresses = [address for interface in found for address in interface.addresses if self._is_usable(address)]
        default = lan_address()
        return sorted(addresses, key=lambda address: (str(address) != default, address.is_link_local, address.version))

    def _is_usable(self, address: Address) -> bool:
        return self._is_listened_on(address) and not (address.version == 6 and address.is_link_local)

    def _is_listened_on(self, address: Address) -> bool:
        return str(address) in self._bound or _UNSPECIFIED[address.version] in self._bound


REACH = web.AppKey("reach", Reach)
"""The ways to reach this host."""


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
