"""The way home: which endpoint devices are told, whether it changed, and whether anybody came in from outside by it.

Nobody on the internet is asked. What is known comes from the router, where the owner lets it be asked, and from where
devices' handshakes come.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Protocol

import structlog

from pixlsrve.config import WireguardConfig
from pixlsrve.events import EventBus, EventType
from pixlsrve.model import HomeReach
from pixlsrve.services import Service
from pixlsrve.store import state as rows
from pixlsrve.store.database import Database
from pixlsrve.wg.endpoint import Endpoint, lan_address, parse_endpoint
from pixlsrve.wg.interface import PeerState
from pixlsrve.wg.lan import on_link_networks
from pixlsrve.wg.peers import Peers
from pixlsrve.wg.router.gateway import global_ipv6
from pixlsrve.wg.router.mapping import MappingState, PortMapping, make_wish
from pixlsrve.wg.tunnel import TunnelStatus

log = structlog.get_logger(__name__)

WATCH_S = 20.0
GRACE_S = 600.0
"""How long a router may be silent before what it said last counts no more: routers restart."""
LOOKUP_S = 5.0
SEEN_STEP_US = 3_600_000_000
"""How much later a further proof has to be to be worth writing."""


class TunnelState(Protocol):
    """What is asked of the tunnel."""

    @property
    def is_up(self) -> bool:
        """Whether devices can come in just now."""

    def status(self) -> TunnelStatus:
        """How it stands."""

    async def peer_states(self) -> list[PeerState]:
        """Every peer as the interface has it; none without one."""


class Reachability:
    """The background service that knows. `tunnel` is set when there is one to ask."""

    def __init__(
        self,
        config: WireguardConfig,
        state: Database,
        peers: Peers,
        mapping: PortMapping | None,
        bus: EventBus,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        watch_s: float = WATCH_S,
    ) -> None:
        self._config = config
        self._state = state
        self._peers = peers
        self._mapping = mapping
        self._bus = bus
        self._setting = parse_endpoint(config.endpoint, config.port)
        self._monotonic_s = monotonic_s
        self._watch_s = watch_s
        self._silent_since_s = monotonic_s()
        self._remembered = ""
        self._seen = (0, "")
        self._last = ""
        self._news = asyncio.Event()
        self.tunnel: TunnelState | None = None
        """The interface, once there is something to ask."""
        if mapping is not None:
            mapping.on_change = self._mapping_changed

    async def load(self) -> None:
        """What was known when the daemon ran last."""
        self._remembered = await rows.load_text(self._state, rows.MAPPED_ENDPOINT)
        at, _, where = (await rows.load_text(self._state, rows.SEEN_OUTSIDE)).partition(" ")
        self._seen = (int(at or 0), where)
        self._last = self.endpoint()

    def services(self) -> Iterator[tuple[str, Service]]:
        """What has to run, with its name; the mapping is the first to end."""
        yield "reachability", self
        if self._mapping is not None:
            yield "port mapping", self._mapping

    def endpoint(self) -> str:
        """HOST:PORT that devices are to dial: the setting, else the router's mapped address, else ours on the LAN."""
        return str(self._setting) if self._setting else self._mapped() or self._on_lan()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self._look()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._watch_s):
                    await self._news.wait()
            self._news.clear()

    async def facts(self, *, looks_up: bool = False) -> HomeReach:
        """All that is known; `looks_up` asks the system's resolver where the name in the setting leads."""
        mapping = MappingState() if self._mapping is None else self._mapping.state
        endpoint = self.endpoint()
        mapped = mapping.mapping
        outer = mapping.outer if mapped is None else mapped.outer
        ipv6 = global_ipv6()
        seen_us, where = self._seen
        return HomeReach(
            is_on=self._config.enabled,
            is_up=self._is_up(),
            endpoint=endpoint,
            source="setting" if self._setting else "lan" if endpoint == self._on_lan() else "mapping",
            port=self._config.port,
            lan_address=lan_address(),
            own_ipv6=None if ipv6 is None else str(ipv6),
            asks_router=self._mapping is not None,
            is_settled=mapping.is_settled,
            router=None if mapping.router is None else str(mapping.router),
            protocol=mapping.protocol,
            outer_address=None if outer is None else str(outer),
            outer_port=None if mapped is None else mapped.port,
            trouble=mapping.trouble,
            detail=mapping.detail,
            setting_addresses=await _lookup(self._setting) if self._setting and looks_up else None,
            seen_outside_us=seen_us if seen_us and where == endpoint else None,
            outdated=self._peers.outdated(),
        )

    def _on_lan(self) -> str:
        return str(Endpoint(host=lan_address(), port=self._config.port))

    def _mapped(self) -> str:
        """The endpoint at the router; for a while also what it was, when the router is silent. Empty for none."""
        if self._mapping is None:
            return ""
        state = self._mapping.state
        if state.mapping is not None and state.mapping.outer is not None:
            outer = state.mapping.outer
            return str(Endpoint(host=str(outer), port=state.mapping.port)) if outer.is_global else ""
        return self._remembered if self._monotonic_s() - self._silent_since_s < GRACE_S else ""

    def _mapping_changed(self) -> None:
        assert self._mapping is not None  # noqa: S101  # it called
        if self._mapping.state.mapping is not None:
            self._silent_since_s = float("inf")
        elif self._silent_since_s == float("inf"):
            self._silent_since_s = self._monotonic_s()
        self._news.set()

    async def _look(self) -> None:
        """See what is new."""
        await self._remember()
        endpoint = self.endpoint()
        if endpoint != self._last:
            outdated = self._peers.outdated()
            log.info("devices reach this host elsewhere now", endpoint=endpoint, was=self._last, outdated=len(outdated))
            self._last = endpoint
            self._bus.publish(
                EventType.TUNNEL_ENDPOINT, {"endpoint": endpoint, "outdated": len(outdated)}, audience=frozenset()
            )
        await self._note_seen(endpoint)

    async def _remember(self) -> None:
        """Keep the mapped endpoint for the next start."""
        state = None if self._mapping is None else self._mapping.state.mapping
        if state is not None and (mapped := self._mapped()) != self._remembered:
            self._remembered = mapped
            await rows.save_text(self._state, rows.MAPPED_ENDPOINT, mapped)

    async def _note_seen(self, endpoint: str) -> None:
        """Keep the time of the newest handshake that came from outside, by a device that dials this endpoint."""
        states = [] if self.tunnel is None else await self.tunnel.peer_states()
        heard = {state.public_key: state for state in states if state.endpoint and state.last_handshake_s}
        if not heard:
            return
        networks, outer = on_link_networks(), self._outer()
        newest_us, where = self._seen if self._seen[1] == endpoint else (0, endpoint)
        found_us = newest_us
        for row in await self._peers.all_rows():
            state = heard.get(row.public_key)
            if state is None or row.told_endpoint != endpoint:
                continue
            if is_outside(state.endpoint or "", networks, outer):
                found_us = max(found_us, (state.last_handshake_s or 0) * 1_000_000)
        if found_us > newest_us:
            if not newest_us or found_us - newest_us > SEEN_STEP_US:
                await rows.save_text(self._state, rows.SEEN_OUTSIDE, f"{found_us} {where}")
            self._seen = (found_us, where)

    def _is_up(self) -> bool | None:
        if self.tunnel is None or self.tunnel.status().reason == "starting":
            return None
        return self.tunnel.is_up

    def _outer(self) -> str:
        mapping = None if self._mapping is None else self._mapping.state.mapping
        return "" if mapping is None else str(mapping.outer)


async def open_reachability(
    config: WireguardConfig, state: Database, peers: Peers, bus: EventBus, secret: bytes
) -> Reachability:
    """With a port mapping where the owner wants one; `peers` tell its endpoint from now on.

    `secret` is what only this installation has. Raises ConfigError.
    """
    mapping = None
    if config.enabled and config.port_mapping:
        setting = parse_endpoint(config.endpoint, config.port)
        mapping = PortMapping(
            make_wish(port=config.port, outer_port=setting.port if setting else config.port, secret=secret)
        )
    made = Reachability(config, state, peers, mapping, bus)
    await made.load()
    peers.endpoint = made.endpoint
    return made


def is_outside(endpoint: str, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network], outer: str) -> bool:
    """Whether who speaks from `endpoint` is on the internet: a public address, none of our networks, not our router."""
    host = endpoint.rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_global and str(address) != outer and not any(address in network for network in networks)


async def _lookup(setting: Endpoint) -> list[str]:
    """Where the setting's host leads; nothing when nobody knows."""
    if not setting.is_name:
        return [setting.host]
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LOOKUP_S):
            found = await loop.getaddrinfo(setting.host, setting.port, proto=17)
    except (OSError, TimeoutError):
        return []
    return sorted({str(entry[4][0]).partition("%")[0] for entry in found})
