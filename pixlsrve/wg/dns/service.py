"""The tunnel's resolver as a service: there while the tunnel is up and the port can be had."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import sys
from collections.abc import AsyncIterator, Iterable
from typing import Any

import structlog

from pixlsrve.config import DnsConfig
from pixlsrve.wg import addresses
from pixlsrve.wg.dns.desk import Desk
from pixlsrve.wg.dns.forwarder import Forwarder
from pixlsrve.wg.dns.listeners import Clients, OpenSockets, TcpListener, UdpListener, open_sockets
from pixlsrve.wg.dns.resolver import Resolver
from pixlsrve.wg.dns.resolvers import Resolvers
from pixlsrve.wg.dns.zone import Zone

log = structlog.get_logger(__name__)

PORT = 53
RETRY_S = 15.0
REFRESH_S = 10.0 if sys.platform == "darwin" else 2.0
"""How often to look which resolvers the system uses; on macOS that starts a program."""
_TAKEN = "Another program has the port, or all of the computer's addresses at it."
_TAKEN_REMEDY = (
    "Let it leave the tunnel out (dnsmasq: bind-dynamic; others: list the addresses to listen on), "
    "or set dns.enabled = false."
)
_NO_RIGHT_REMEDY = (
    "Run pixlsrve as the service that `pixlsrve install` sets up, give it the right CAP_NET_BIND_SERVICE, "
    "or set dns.enabled = false."
)


class TunnelDns:
    """Answers the tunnel's devices between `on_up` and `on_down`; a service (see `services`).

    `names` are ours beside `pixlsrve.home.arpa`. Raises ConfigError for `wireguard.network` or `dns.upstream`.
    """

    def __init__(
        self,
        config: DnsConfig,
        *,
        network: str,
        names: Iterable[str],
        port: int = PORT,
        opening: OpenSockets = open_sockets,
    ) -> None:
        self._is_on = config.enabled
        self._port = port
        self._open_sockets = opening
        self._network = addresses.parse_network(network)
        self._address = addresses.address_of(self._network, addresses.SERVER_NUMBER)
        self._names = tuple(names)
        self._resolvers = Resolvers(config.upstream, self._address)
        self._interface: str | None = None
        self._is_up = False
        self._changed = asyncio.Event()
        self._resolver: Resolver | None = None
        self._trouble: OSError | None = None

    @property
    def address(self) -> ipaddress.IPv4Address:
        """Where devices ask."""
        return self._address

    @property
    def is_answering(self) -> bool:
        """Whether devices in the tunnel get answers just now, and may be told to ask here."""
        return self._resolver is not None

    def on_up(self, interface: str | None = None) -> None:
        """The tunnel is there, by this interface; also when it is another one than before."""
        self._is_up, self._interface = True, interface
        self._changed.set()

    def on_down(self) -> None:
        """The tunnel is gone."""
        self._is_up = False
        self._changed.set()

    async def run(self) -> None:
        """Answer, whenever there is a tunnel to answer in, until cancelled."""
        while True:
            self._changed.clear()
            if not (self._is_up and self._is_on):
                await self._changed.wait()
                continue
            try:
                async with self._answering() as resolver:
                    await self._keep_resolvers(resolver)
            except OSError as error:
                self._fail(error)
                await self._wait_for_change(RETRY_S)

    def status(self) -> dict[str, Any]:
        """What `pixlsrve status --json` shows under `dns`."""
        if not self._is_on:
            return {"enabled": False, "reason": "switched off"}
        if not self._is_up:
            return {"enabled": False, "reason": "there is no tunnel"}
        if not self.is_answering:
            return {"enabled": False, "reason": self._why() if self._trouble else "starting"}
        return {
            "enabled": True,
            "address": f"{self._address}:{self._port}",
            "upstream": [str(server) for server in self._resolvers.servers],
        }

    def notices(self) -> list[dict[str, str]]:
        """What is wrong, with its remedy."""
        if not (self._is_on and self._is_up):
            return []
        if self._trouble is not None:
            no_right = self._trouble.errno in (errno.EACCES, errno.EPERM)
            message = f"Devices in the tunnel get no names from this host: {self._why()}"
            return [{"message": message, "remedy": _NO_RIGHT_REMEDY if no_right else _TAKEN_REMEDY}]
        if self._resolver is not None and not self._resolvers.servers:
            message = "Devices in the tunnel find no names on the internet: this computer has no resolver either."
            return [{"message": message, "remedy": "Connect it to the network, or set dns.upstream."}]
        if self._resolver is not None and self._resolver.is_failing:
            asked = ", ".join(str(server) for server in self._resolvers.servers)
            message = f"Devices in the tunnel find no names on the internet: {asked} did not answer."
            return [{"message": message, "remedy": "Look at the internet connection, or set dns.upstream."}]
        return []

    @contextlib.asynccontextmanager
    async def _answering(self) -> AsyncIterator[Resolver]:
        """Answers for the length of the block. Raises OSError where the port can't be had."""
        await asyncio.to_thread(self._resolvers.refresh)
        clock = asyncio.get_running_loop().time
        zone = Zone(self._names, self._address, self._network)
        resolver = Resolver(zone, Forwarder(lambda: self._resolvers.servers), clock)
        desk, clients = Desk(resolver, clock), Clients(self._network)
        datagrams, stream = await asyncio.to_thread(self._open_sockets, str(self._address), self._port, self._interface)
        tcp = TcpListener(desk, clients)
        await tcp.listen(stream)
        udp = UdpListener(datagrams, desk, clients)
        self._resolver, self._trouble = resolver, None
        log.info("names are answered in the tunnel", address=str(self._address))
        try:
            yield resolver
        finally:
            self._resolver = None
            udp.close()
            await tcp.close()
            await resolver.close()

    async def _keep_resolvers(self, resolver: Resolver) -> None:
        """Follow the system's resolvers until the tunnel changes."""
        while not self._changed.is_set():
            await self._wait_for_change(REFRESH_S)
            if await asyncio.to_thread(self._resolvers.refresh):
                resolver.forget()
                log.info("names are asked of", upstream=[str(server) for server in self._resolvers.servers])

    async def _wait_for_change(self, limit_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._changed.wait()

    def _fail(self, error: OSError) -> None:
        """Keep why it can't be done, and say so once."""
        if self._trouble is None or self._trouble.errno != error.errno:
            self._trouble = error
            log.warning("names are not answered in the tunnel", cause=self._why())
        self._trouble = error

    def _why(self) -> str:
        """What keeps us from answering."""
        if self._trouble is None:
            return ""
        if self._trouble.errno == errno.EADDRINUSE:
            return f"port {self._port} of {self._address} is taken. {_TAKEN}"
        if self._trouble.errno in (errno.EACCES, errno.EPERM):
            return f"the right to use port {self._port} is missing."
        return f"port {self._port} of {self._address} can't be used: {self._trouble.strerror or self._trouble}."
