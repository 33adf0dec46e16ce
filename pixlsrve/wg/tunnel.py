"""The tunnel as a service: has an interface with exactly the peers that the database allows, or says why there is none.

The database is written first and the interface follows (THREATS T7, T8): at once after a change, every minute, and
after the interface was lost. Where it can't follow, the interface is taken away, so that nobody stays in by mistake.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import msgspec
import structlog

from pixlsrve.config import WireguardConfig
from pixlsrve.errors import PixlsrveError
from pixlsrve.events import EventBus, EventType
from pixlsrve.wg.backends import Means, means
from pixlsrve.wg.interface import Backend, PeerState, TunnelUnavailable
from pixlsrve.wg.isolation import Rules
from pixlsrve.wg.lan import check_overlap, lan_networks
from pixlsrve.wg.peers import Peers
from pixlsrve.wg.reconcile import changes
from pixlsrve.wg.watch import rules_watched

log = structlog.get_logger(__name__)

INTERVAL_S = 60.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
SHORT_LIFE_S = 10.0
"""A backend that ends earlier than this is restarted with a growing pause."""
SETTLE_S = 0.2
"""Changes of the host's rules come in groups: how long to wait for the rest of one."""
FRESH_S = 1.0
"""How long statistics are good for."""
SWITCHED_OFF = "The tunnel is switched off (wireguard.enabled = false, or --no-vpn)."


class TunnelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the tunnel stands. Without one, `reason` says why and what mends it."""

    enabled: bool
    backend: str | None = None
    why: str | None = None
    """Why this backend."""
    interface: str | None = None
    address: str | None = None
    """The host's, with the network's prefix."""
    listening_port: int | None = None
    peers: int = 0
    lan_access: bool = False
    """Whether phones can reach the LAN just now."""
    reason: str | None = None


class Tunnel:
    """Keeps the tunnel; a service (see `services`). Phones that `bus` says have joined are let in at once."""

    def __init__(
        self,
        peers: Peers,
        config: WireguardConfig,
        *,
        bus: EventBus | None = None,
        by: Means | None = None,
    ) -> None:
        self._peers = peers
        self._config = config
        self._bus = bus
        by = by or means()
        self._choose, self._isolation, self._forwarding = by.choose, by.isolation, by.forwarding
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._backend: Backend | None = None
        self._status = TunnelStatus(enabled=False, reason="starting" if config.enabled else SWITCHED_OFF)
        self._states: list[PeerState] = []
        self._read_s = 0.0
        self._refreshing: asyncio.Task[None] | None = None
        self._unopened: list[str] = []
        self._up_hooks: list[Callable[[str], None]] = []
        self._down_hooks: list[Callable[[], None]] = []
        peers.on_change(self.refresh)

    @property
    def is_up(self) -> bool:
        """Whether phones can come in just now."""
        return self._status.enabled

    def status(self) -> TunnelStatus:
        """How it stands."""
        return self._status

    def on_up(self, hook: Callable[[str], None]) -> None:
        """Have `hook` called with the interface's name whenever the tunnel has come up."""
        self._up_hooks.append(hook)

    def on_down(self, hook: Callable[[], None]) -> None:
        """Have `hook` called whenever it has gone."""
        self._down_hooks.append(hook)

    def notices(self) -> list[dict[str, str]]:
        """What is wrong, with its remedy."""
        if not self._config.enabled or self._status.reason == "starting":
            return []
        if self._status.reason is not None:
            message = "There is no tunnel: phones reach this host at home only."
            return [{"message": message, "remedy": self._status.reason}]
        if self._unopened:
            message = f"Phones can't reach the LAN: {', '.join(self._unopened)} may not be made to forward packets."
            remedy = "Run `sysctl -w net.ipv4.ip_forward=1` as root, or set wireguard.lan_access = false."
            return [{"message": message, "remedy": remedy}]
        return []

    async def peer_states(self) -> list[PeerState]:
        """Every peer as the interface has it, at most a second old; none without a tunnel."""
        backend = self._backend
        if not self.is_up or backend is None:
            return []
        if time.monotonic() - self._read_s > FRESH_S:
            try:
                self._note(await backend.peers())
            except TunnelUnavailable:
                return []
        return self._states

    async def connected_peers(self) -> int:
        """How many peers have shaken hands within 3 minutes."""
        await self.peer_states()
        return self.last_connected()

    def last_connected(self) -> int:
        """The same as it was when the interface was looked at last: within a minute."""
        now_s = time.time()
        return sum(state.is_connected(now_s) for state in self._states)

    async def refresh(self) -> None:
        """Have the interface follow the database; returns when it does. Calls that wait together share one look."""
        if not self._config.enabled:
            return
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh(), name="tunnel refresh")
        await asyncio.shield(self._refreshing)

    async def run(self) -> None:
        """Keep the tunnel until cancelled; then take it away."""
        if not self._config.enabled:
            log.info("there is no tunnel", reason=SWITCHED_OFF)
            await asyncio.Event().wait()
        joined = asyncio.create_task(self._let_in(), name="tunnel newcomers")
        try:
            with rules_watched(self._wake.set):
                await self._keep()
        finally:
            joined.cancel()
            await asyncio.shield(asyncio.create_task(self._end(), name="tunnel's end"))

    async def _keep(self) -> None:
        """Bring it up, follow the database, and begin anew after each loss."""
        pause_s = FIRST_PAUSE_S
        while True:
            await self._work()
            began_s = time.monotonic()
            if self.is_up and not await self._until_lost_or_due():
                pause_s = FIRST_PAUSE_S
                continue
            if time.monotonic() - began_s > SHORT_LIFE_S:
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _work(self) -> None:
        """One look at everything, from nothing where there is no tunnel."""
        async with self._lock:
            try:
                await (self._check() if self._backend is not None else self._bring_up())
            except TunnelUnavailable as error:
                await self._drop(error)

    async def _until_lost_or_due(self) -> bool:
        """Wait for the next look, or for the loss of the tunnel; whether it is lost."""
        backend = self._backend
        if backend is None:
            return True
        lost, woken = asyncio.ensure_future(backend.lost()), asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait({lost, woken}, timeout=INTERVAL_S, return_when=asyncio.FIRST_COMPLETED)
            if woken.done():
                await asyncio.wait({lost}, timeout=SETTLE_S)
                self._wake.clear()
        finally:
            for task in (lost, woken):
                task.cancel()
        if lost.done() and not lost.cancelled():
            async with self._lock:
                if self._backend is backend:
                    await self._drop(lost.exception() or TunnelUnavailable("The interface has gone; it is made again."))
        return not self.is_up

    async def _bring_up(self) -> None:
        """From nothing to a tunnel with its peers; with the rules before the first packet. Raises TunnelUnavailable."""
        check_overlap(self._config)
        backend, why = await self._choose()
        self._backend = backend
        settings = self._peers.interface_settings()
        await self._isolation.enforce(self._rules(settings.name))
        await backend.ensure(settings)
        if backend.interface != settings.name:
            await self._isolation.enforce(self._rules(backend.interface))
        await self._set_forwarding(backend.interface)
        count = await self._sync(backend)
        self._status = TunnelStatus(
            enabled=True,
            backend=backend.name,
            why=why,
            interface=backend.interface,
            address=str(settings.address),
            listening_port=await backend.listening_port(),
            peers=count,
            lan_access=self._config.lan_access and not self._unopened,
        )
        log.info("the tunnel is up", backend=backend.name, port=self._status.listening_port, peers=count)
        for hook in self._up_hooks:
            hook(backend.interface)

    async def _check(self) -> None:
        """Everything as it should be, put right where it isn't. Raises TunnelUnavailable."""
        backend = self._backend
        if backend is None:
            return
        check_overlap(self._config)
        await self._isolation.enforce(self._rules(backend.interface))
        await backend.ensure(self._peers.interface_settings())
        await self._set_forwarding(backend.interface)
        await self._sync(backend)

    async def _sync(self, backend: Backend) -> int:
        """The database's peers on the interface; how many those are. Raises TunnelUnavailable."""
        wanted = await self._peers.wanted()
        found = await backend.peers()
        due = changes(wanted.values(), found)
        if due:
            await backend.apply(put=due.put, remove=due.remove)
            self._read_s = 0.0
            gone = set(due.remove)
            self._states = [state for state in found if state.public_key not in gone]
        else:
            self._note(found)
        if self.is_up:
            self._status = msgspec.structs.replace(self._status, peers=len(wanted))
        return len(wanted)

    async def _refresh(self) -> None:
        async with self._lock:
            self._refreshing = None  # whoever asks from now on may know more than is read below
            if self._backend is None:
                return
            try:
                await self._sync(self._backend)
            except TunnelUnavailable as error:
                await self._drop(error)
                self._wake.set()

    async def _let_in(self) -> None:
        """Phones that have just joined."""
        if self._bus is None:
            return
        while True:
            with self._bus.subscribe() as events:
                while not events.is_overrun:
                    if (await events.get()).type is EventType.DEVICE_PAIRED:
                        await self._see_who_joined()
            await self._see_who_joined()

    async def _see_who_joined(self) -> None:
        try:
            await self.refresh()
        except PixlsrveError as error:
            log.warning("who has just joined waits for the tunnel's next look", cause=error.message)

    async def _drop(self, error: BaseException) -> None:
        """No tunnel from now on."""
        reason = error.text if isinstance(error, TunnelUnavailable) else f"{type(error).__name__}: {error}"
        if self._status.reason != reason:
            log.warning("there is no tunnel", reason=reason)
        await self._take_down(reason)

    async def _take_down(self, reason: str) -> None:
        was_up, backend = self.is_up, self._backend
        self._status = TunnelStatus(enabled=False, reason=reason)
        self._backend, self._states = None, []
        if was_up:
            for hook in self._down_hooks:
                hook()
        if backend is not None:
            await backend.tear_down()
        await asyncio.to_thread(self._forwarding.restore)

    async def _end(self) -> None:
        """Leave nothing behind."""
        async with self._lock:
            await self._take_down("the daemon is stopping")
            with contextlib.suppress(TunnelUnavailable):
                await self._isolation.lift()

    def _rules(self, interface: str) -> Rules:
        """What phones may reach by the settings and today's networks."""
        lan = lan_networks(self._config) if self._config.lan_access else []
        opened = () if self._forwarding.is_router else tuple(sorted({name for name, _ in lan}))
        return Rules(
            interface=interface,
            address=self._peers.interface_settings().address,
            lan=tuple(sorted({network for _, network in lan})),
            opened=opened,
        )

    async def _set_forwarding(self, interface: str) -> None:
        """The system's own switches, beside the rules."""
        if not self._config.lan_access:
            await asyncio.to_thread(self._forwarding.close, interface)
            return
        lan = [name for name, _ in lan_networks(self._config)]
        self._unopened = await asyncio.to_thread(self._forwarding.open, interface, lan)

    def _note(self, states: list[PeerState]) -> None:
        self._states, self._read_s = states, time.monotonic()
