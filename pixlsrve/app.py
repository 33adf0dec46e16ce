"""The composition root: builds every part, starts them in order, and stops them in the opposite one."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from pixlsrve import __version__, instance
from pixlsrve.auth import keys as signing
from pixlsrve.auth.clock import Clock
from pixlsrve.auth.doors import open_doors
from pixlsrve.auth.service import open_identity
from pixlsrve.config import Config
from pixlsrve.controls import DaemonControls
from pixlsrve.devices.service import open_devices
from pixlsrve.errors import PixlsrveError
from pixlsrve.events import EventBus
from pixlsrve.http import application, doors, identity, keys, library
from pixlsrve.http.control import ControlServer
from pixlsrve.http.device_access import DEVICES
from pixlsrve.http.device_desk import DeviceDesk
from pixlsrve.http.flutter import live
from pixlsrve.http.flutter.drop import FOLDER as DROP_FOLDER
from pixlsrve.http.flutter.drop import DropDirectory
from pixlsrve.http.health_desk import HEALTH_DESK, HealthDesk
from pixlsrve.http.https import Https
from pixlsrve.http.identity import JoinLinks
from pixlsrve.http.invitation_desk import INVITATIONS, InvitationDesk
from pixlsrve.http.library import HostInfo
from pixlsrve.http.limits import parse_networks
from pixlsrve.http.media_server.reading import CONTENTS, is_media
from pixlsrve.http.media_server.upload import PNG_THUMBNAILS
from pixlsrve.http.pairing_desk import PairingDesk
from pixlsrve.http.people_desk import PeopleDesk
from pixlsrve.http.reach import REACH, Reach
from pixlsrve.http.reach_desk import ReachDesk
from pixlsrve.http.routes import routes_for
from pixlsrve.http.server import HttpServer
from pixlsrve.http.settings_desk import SETTINGS_DESK, SettingsDesk
from pixlsrve.http.tunnel import TUNNEL_FACTS, TunnelFacts
from pixlsrve.http.tunnel_state import TunnelFigures, wireguard_status
from pixlsrve.http.uploads.keys import UPLOAD_SESSIONS, UPLOADS
from pixlsrve.index.context import IndexContext
from pixlsrve.index.indexer import Indexer
from pixlsrve.index.library import open_roots
from pixlsrve.index.workers import WorkerPool
from pixlsrve.index.zone import host_zone, zone_name
from pixlsrve.mdns import record
from pixlsrve.mdns.advertiser import Advertiser
from pixlsrve.media.assets import Library
from pixlsrve.media.contents import Contents
from pixlsrve.media.conversions import Conversions
from pixlsrve.media.places.service import PlaceNames
from pixlsrve.media.png_thumbnails import PngThumbnails
from pixlsrve.media.roots import Roots
from pixlsrve.media.thumbnails import ThumbnailCache
from pixlsrve.media.uploads.opening import open_uploads
from pixlsrve.media.version import LibraryVersion
from pixlsrve.outbound import Outbound
from pixlsrve.services import Service
from pixlsrve.services import running as running_service
from pixlsrve.settings import Sources
from pixlsrve.store import recovery, state, upkeep
from pixlsrve.store.backup.daily import DailyBackups
from pixlsrve.store.database import Database, DatabaseDamaged, Durability
from pixlsrve.wg.backends import means
from pixlsrve.wg.dns.service import TunnelDns
from pixlsrve.wg.dns.zone import names_of
from pixlsrve.wg.overview import Overview
from pixlsrve.wg.peers import Peers as TunnelPeers
from pixlsrve.wg.reachability import open_reachability
from pixlsrve.wg.tunnel import Tunnel

log = structlog.get_logger(__name__)

MOST_WORKERS = 4
STEP_LIMIT_S = 15.0
STORAGE_MODE = 0o750
Report = Callable[[DatabaseDamaged], None]
Seed = Callable[[Database, Roots], Awaitable[None]]


@dataclass(frozen=True)
class Settings:
    """Where the settings come from, and what has the process take them anew."""

    sources: Sources
    reload: Callable[[], None]


@dataclass(kw_only=True)
class Parts:
    """What a running application shows to the process around it. `urls` has the one to print first."""

    urls: list[str]
    ports: dict[str, int]
    controls: DaemonControls | None = None

    def describe(self) -> str:
        """What is being done, in one line."""
        return "starting" if self.controls is None else self.controls.line()

    async def look_again(self) -> None:
        """Look at everything outside anew."""
        if self.controls is not None:
            await self.controls.look_again()


@contextlib.asynccontextmanager
async def running(
    config: Config,
    prepared: recovery.Prepared,
    report: Report,
    settings: Settings,
    *,
    ports: dict[str, int] | None = None,
    seed: Seed | None = None,
) -> AsyncIterator[Parts]:
    """The application for the length of the block; it answers before the block begins.

    `report` is told when a database turns out to be damaged. `ports` are those of an earlier life, to be had again.
    `seed` is awaited with the state and the roots before anything in them is looked at.
    Raises StartError, ConfigError, DatabaseDamaged.
    """
    async with AsyncExitStack() as stack:
        yield await _Start(config, prepared, report, settings, stack).run(ports or {}, seed)


class _Start:
    """One start, step by step; each step leaves on the stack how it is undone."""

    def __init__(
        self,
        config: Config,
        prepared: recovery.Prepared,
        report: Report,
        settings: Settings,
        stack: AsyncExitStack,
    ) -> None:
        self._config = self._given = config
        self._settings = settings
        self._prepared = prepared
        self._report = report
        self._stack = stack
        self._failing: dict[str, str] = {}
        self._started_s = time.monotonic()
        self._is_answering = asyncio.Event()

    async def run(self, ports: dict[str, int], seed: Seed | None) -> Parts:
        """Databases, events, identity, library, uploads, HTTP, the tunnel, control socket, copies, mDNS."""
        config = self._config
        self._state_db = await self._open(recovery.STATE, "FULL", readers=1, cache_kib=1_024)
        self._index_db = await self._open(recovery.INDEX, "NORMAL", readers=3, cache_kib=8_192)
        self._thumbnails_db = await self._open(recovery.THUMBNAILS, "NORMAL", readers=2, cache_kib=2_048)
        self._bus = await self._start_bus()
        await self._start_identity()
        await self._make_tunnel()
        await asyncio.to_thread(_make_storage, config.storage_path)
        self._roots = await open_roots(self._state_db, self._index_db, config.photos, config.storage_dir)
        if seed is not None:
            await seed(self._state_db, self._roots)
        await self._start_library()
        await self._start_receiving()
        server = await self._start_http(ports.get("http", config.http.port))
        parts = Parts(urls=[f"http://{server.url_host}:{server.bound_port}"], ports={"http": server.bound_port})
        await self._https.open(server, ports.get("https", config.http.tls_port))
        await self._serve("certificate", self._https)
        if self._https.port is not None:
            parts.urls.append(f"https://{server.url_host}:{self._https.port}")
            parts.ports["https"] = self._https.port
        await self._start_broadcast(parts, ports)
        await self._serve("tunnel DNS", self._dns)
        await self._serve("tunnel", self._tunnel)
        self._devices.registry.reachable.own_ports = frozenset(parts.ports.values())
        advertiser = self._make_advertiser(server)
        self._backups = DailyBackups(config.data_path, config.backup, program=__version__, now_us=self._clock.now_us)
        await self._start_control(parts, advertiser)
        copies = upkeep.StateCopies(config.data_path, self._report)
        self._identity.revocation.on_change(copies.hasten)
        await self._serve("state copies", copies)
        await self._serve("backups", self._backups)
        await self._serve("database check", upkeep.BackgroundCheck(self._prepared.unchecked, self._report))
        for name, service in self._reachability.services():
            await self._serve(name, service)
        await self._serve("mdns", advertiser)  # last, and so withdrawn first: what is announced answers
        self._is_answering.set()
        return parts

    async def _open(self, name: str, durability: Durability, *, readers: int, cache_kib: int) -> Database:
        """Open one database."""
        path = self._config.data_path / name
        opening = Database.open(
            path,
            durability=durability,
            readers=readers,
            cache_kib=cache_kib,
            on_damage=self._report,
        )
        return await self._stack.enter_async_context(opening)

    async def _serve(self, name: str, service: Service, *, after: asyncio.Event | None = None) -> None:
        """Keep a background service running until the stack is unwound."""
        await self._stack.enter_async_context(running_service(name, service, self._failing, after=after))

    async def _start_bus(self) -> EventBus:
        """Events, with numbers that go on where the last run stopped."""
        numbers = await upkeep.EventNumbers.load(self._state_db)
        bus = EventBus(next_seq=numbers.first, reserve=numbers.reserve)

        async def close() -> None:
            await numbers.close(bus.last_seq)

        self._stack.push_async_callback(_limited, "event numbers", close)
        await self._serve("event numbers", numbers)
        return bus

    async def _start_identity(self) -> None:
        """Who we are, how late it is, and who may come in."""
        config = self._config
        key = self._key = await asyncio.to_thread(signing.load_signing_key, config.data_path)
        installation = await state.load_identity(self._state_db)
        self._host_id, self._id_secret = installation.host_id, installation.id_secret
        clock = self._clock = Clock(floor_us=await state.load_number(self._state_db, state.CLOCK_US, 0))
        keeper = upkeep.ClockKeeper(self._state_db, clock.now_us)
        self._stack.push_async_callback(_limited, "clock", keeper.save)
        await self._serve("clock", keeper)
        self._peers = await asyncio.to_thread(TunnelPeers.load, self._state_db, config.wireguard, config.data_path)
        await self._peers.fit()
        self._identity = await open_identity(
            self._state_db, key=key, host_id=self._host_id, clock=clock, tunnel=self._peers, bus=self._bus
        )
        self._stack.callback(self._identity.hasher.close)
        self._stack.push_async_callback(_limited, "times of last use", self._identity.devices.save_seen)
        await self._serve("times of last use", self._identity.devices)
        outbound = await self._stack.enter_async_context(Outbound())
        self._doors = open_doors(self._state_db, self._identity, config, outbound)

    async def _make_tunnel(self) -> None:
        """The tunnel, its resolver, and what is known of both and of the way in from outside; not yet running."""
        config = self._config.wireguard
        self._means = means()
        self._tunnel = Tunnel(self._peers, config, bus=self._bus, by=self._means)
        self._identity.revocation.on_change(self._tunnel.refresh)
        self._reachability = await open_reachability(config, self._state_db, self._peers, self._bus, self._id_secret)
        self._reachability.tunnel = self._tunnel
        overview = Overview(self._peers, config.network)
        overview.outdated, overview.statistics = self._peers.is_outdated, self._tunnel.peer_states
        self._dns = self._make_dns()
        self._facts = TunnelFacts(
            overview=overview, has_dns=self._config.dns.enabled, answers_dns=lambda: self._dns.is_answering
        )
        self._identity.revocation.on_change(self._facts.forgetter(self._identity.devices))

    def _make_dns(self) -> TunnelDns:
        """The tunnel's resolver, not yet running, which comes and goes with the tunnel."""
        names = [*names_of(socket.gethostname()), record.server_name(self._host_id)]
        network, opening = self._config.wireguard.network, self._means.open_sockets
        made = TunnelDns(self._config.dns, network=network, names=names, opening=opening)
        self._tunnel.on_up(made.on_up)
        self._tunnel.on_down(made.on_down)
        return made

    async def _start_library(self) -> None:
        """The library, its workers and the indexer, which begins to work once the start is over."""
        config, version = self._config, LibraryVersion()
        places = PlaceNames(config.data_path)
        zone = host_zone()
        workers = config.index.workers or min(os.cpu_count() or 1, MOST_WORKERS)
        pool = self._workers = WorkerPool(
            workers=workers,
            memory_mb=config.index.worker_memory_mb,
            seconds=config.index.worker_seconds,
            max_pixels=config.index.max_pixels,
            zone=zone_name(zone),
        )
        context = IndexContext(
            index=self._index_db,
            state=self._state_db,
            thumbnails=self._thumbnails_db,
            roots=self._roots,
            bus=self._bus,
            version=version,
            places=places,
            zone=zone,
            id_secret=self._id_secret,
        )
        self._indexer = Indexer(context, pool, parallel=workers, rescan_interval_s=config.rescan_interval_s)
        self._library = Library(self._index_db, version)
        self._thumbnails = ThumbnailCache(self._index_db, self._thumbnails_db, version, self._indexer.ensure_content)
        self._conversions = Conversions(self._roots, pool)
        self._indexer.progress.are_names_coming = True
        places.when_there, places.when_late = self._indexer.name_places, self._indexer.expect_no_names
        await self._serve("workers", pool)
        await self._serve("places", places, after=self._is_answering)
        await self._serve("indexer", self._indexer, after=self._is_answering)

    async def _start_receiving(self) -> None:
        """Uploads, and what devices share."""
        opening = open_uploads(
            state=self._state_db,
            index=self._index_db,
            roots=self._roots,
            arrivals=self._indexer.arrivals,
            bus=self._bus,
            config=self._config.uploads,
            now_us=self._clock.now_us,
        )
        self._uploads = await self._stack.enter_async_context(opening)
        await self._serve("uploads", self._uploads.sessions)
        opening_devices = open_devices(
            self._state_db, identity=self._identity, key=self._key, bus=self._bus, uploads=self._uploads.uploads
        )
        self._devices = await self._stack.enter_async_context(opening_devices)

    async def _start_http(self, port: int) -> HttpServer:
        """The HTTP listener, answering."""
        mdns_name = self._mdns_name(self._config)
        self._config = _answering_to(self._config, mdns_name)
        config = self._config
        app = self._app = application.build(
            routes_for(config),
            config,
            authenticator=self._identity.authenticator,
            bus=self._bus,
            sessions=self._identity.sessions,
        )
        self._broadcast = live.make(app, config)
        for part in (app[keys.HUB], app[keys.RUNNING], self._broadcast):
            self._identity.revocation.on_change(part.recheck)
        self._https = Https(config, config.data_path / signing.FOLDER, socket.gethostname(), self._now)
        self._lend_people()
        self._lend_library()
        self._lend_host()
        self._lend_ways(mdns_name)
        proxies = parse_networks(config.http.trusted_proxies)
        server = HttpServer(app, host=config.http.host, port=port, trusted_proxies=proxies)
        await self._stack.enter_async_context(server)
        self._links.port = server.bound_port
        self._reach.listens(server.bound_addresses)
        return server

    def _lend_people(self) -> None:
        """For the handlers: who comes in, and how."""
        app, config = self._app, self._config
        app[identity.IDENTITY], app[identity.TUNNEL] = self._identity, self._peers
        app[doors.DOORS], app[doors.PUBLIC_URL] = self._doors, config.http.public_url
        app[identity.JOIN_LINKS] = self._links = JoinLinks(config.http.host, self._host_id)
        self._links.https = self._https
        app[INVITATIONS] = self._invitations = InvitationDesk(
            self._doors.invitations,
            can_register=config.accounts.registration == "invite",
            providers=self._doors.social.names,
            public_url=config.http.public_url,
        )

    def _lend_library(self) -> None:
        """For the handlers: photos, and what comes in."""
        app = self._app
        app[library.LIBRARY], app[library.ROOTS], app[library.SCANS] = self._library, self._roots, self._indexer
        app[library.THUMBNAILS], app[library.CONVERSIONS] = self._thumbnails, self._conversions
        app[library.THUMBNAIL_CACHING] = self._config.http.thumbnail_cache
        app[UPLOADS], app[UPLOAD_SESSIONS] = self._uploads
        app[PNG_THUMBNAILS] = PngThumbnails(self._config.storage_path, self._thumbnails)
        app[CONTENTS] = Contents(self._index_db, self._state_db, self._roots, app[PNG_THUMBNAILS], is_media)
        app[DEVICES] = self._devices

    def _lend_host(self) -> None:
        """For the handlers: what this host is, and how it does."""
        app = self._app
        app[keys.HEALTH] = lambda: self._failing
        app[HEALTH_DESK] = self._health = HealthDesk(
            self._config, self._state_db, roots=self._roots, identity=self._identity, devices=self._devices
        )
        app[SETTINGS_DESK] = SettingsDesk(
            self._given,
            self._settings.sources,
            reload=self._settings.reload,
            names=lambda config: application.known_hosts(_answering_to(config, self._mdns_name(config))),
        )
        app[library.HOST] = HostInfo(
            host_id=self._host_id,
            name=socket.gethostname(),
            version=__version__,
            started_s=self._started_s,
            is_discreet=self._config.http.discovery == "minimal",
        )

    def _mdns_name(self, config: Config) -> str:
        """The name that multicast DNS gives this host with these settings; empty for none."""
        return record.server_name(self._host_id) if config.mdns.enabled else ""

    def _lend_ways(self, mdns_name: str) -> None:
        """For the handlers: how this host is reached."""
        app = self._app
        app[keys.HTTPS], app[TUNNEL_FACTS] = self._https, self._facts
        app[library.WIREGUARD] = lambda: wireguard_status(self._tunnel)
        app[keys.REGISTRY].register(TunnelFigures(self._tunnel))
        app[REACH] = self._reach = Reach(
            self._config,
            tls_port=lambda: self._https.port,
            has_tunnel=lambda: self._tunnel.is_up,
            has_names=lambda: self._dns.is_answering,
            mdns_name=mdns_name,
        )

    async def _start_broadcast(self, parts: Parts, ports: dict[str, int]) -> None:
        """The broadcast websocket on its own port, and the folder whose files it sends."""
        config, broadcast = self._config, self._broadcast
        await self._serve("broadcast", broadcast)
        self._stack.push_async_callback(_limited, "broadcast", broadcast.stop)
        broadcast.http_ports = dict(parts.ports)
        await broadcast.open(ports.get("websocket", config.compat.websocket_port if config.http.port else 0))
        if broadcast.port is None:
            return
        parts.ports["websocket"] = broadcast.port
        broadcast.drop = DropDirectory(config.storage_path / DROP_FOLDER, config.compat.drop_group, broadcast.send)
        await asyncio.to_thread(broadcast.drop.prepare)
        await self._serve("drop directory", broadcast.drop)

    def _make_advertiser(self, server: HttpServer) -> Advertiser:
        """What makes phones on the LAN find us, not yet running."""
        config = self._config
        what = record.Announcement(
            host_id=self._host_id,
            version=__version__,
            api_port=server.bound_port,
            has_tls=self._https.port is not None,
            name=record.display_name(config.mdns.name, socket.gethostname()),
        )
        bound = [host for host, _ in server.bound_addresses]
        advertiser = Advertiser(what, bound=bound, excluded={config.wireguard.interface}, is_on=config.mdns.enabled)
        self._reach.is_announced = lambda: advertiser.is_announced
        return advertiser

    def _now(self) -> dt.datetime:
        """What time it is, never earlier than it has been."""
        return dt.datetime.fromtimestamp(self._clock.now_s(), dt.UTC)

    async def _start_control(self, parts: Parts, advertiser: Advertiser) -> None:
        """The control socket, answering."""
        bound = instance.bind_control_socket(self._config.data_path)
        self._stack.callback(instance.socket_path(self._config.data_path).unlink, missing_ok=True)
        reach_desk = ReachDesk(self._reachability)
        controls = parts.controls = DaemonControls(
            urls=parts.urls,
            ports=parts.ports,
            repairs=self._prepared.repairs,
            failing=self._failing,
            identity=self._identity,
            roots=self._roots,
            indexer=self._indexer,
            workers=self._workers,
            library=self._library,
            https=self._https,
            advertiser=advertiser,
            broadcast=self._broadcast,
            reachability=reach_desk,
            tunnel=self._tunnel,
            dns=self._dns,
            backups=self._backups,
            started_s=self._started_s,
        )
        self._health.notices, self._health.verdict = controls.notices, reach_desk.verdict
        people = PeopleDesk(self._identity, self._roots, self._facts.overview)
        pairing = PairingDesk(self._identity, self._links)
        self._stack.push_async_callback(_limited, "pairing windows", pairing.close)
        further = [
            *reach_desk.handlers(),
            *people.handlers(),
            *pairing.handlers(),
            *DeviceDesk(self._devices).handlers(),
            *self._invitations.handlers(),
        ]
        await self._stack.enter_async_context(ControlServer(bound, controls, further))


def _answering_to(config: Config, name: str) -> Config:
    """The settings with one more name of ours, for the Host header and the certificate; none when it is empty."""
    further = [*config.http.hosts, *([name] if name else [])]
    return msgspec.structs.replace(config, http=msgspec.structs.replace(config.http, hosts=further))


def _make_storage(path: Path) -> None:
    """The storage directory, shared with the household's file server by its group (DESIGN section 8)."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(STORAGE_MODE)
    except OSError as error:
        log.warning("the storage directory can't be used", path=str(path), error=error.strerror)


async def _limited(name: str, step: Callable[[], Awaitable[None]]) -> None:
    """One step of the stop, with a time limit; a disk that refuses does not keep the daemon from stopping."""
    try:
        await asyncio.wait_for(step(), STEP_LIMIT_S)
    except (TimeoutError, PixlsrveError) as error:
        log.warning("a step of the stop failed", step=name, error=str(error) or "took too long")
