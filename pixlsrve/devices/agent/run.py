"""The agent as a process: paired, serving, registered, and following what changes until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog
from aiohttp import web
from watchfiles import awatch
from yarl import URL

from pixlsrve import instance, logs
from pixlsrve.devices.agent import state
from pixlsrve.devices.agent.folder import Entry, Folder
from pixlsrve.devices.agent.host import PAIR_AGAIN, Host, HostRefused, HostUnreachable
from pixlsrve.devices.agent.pair import pair, parse_code, parse_server
from pixlsrve.devices.agent.sending import Sender, register
from pixlsrve.devices.agent.server import MiniServer
from pixlsrve.devices.agent.state import Pairing
from pixlsrve.errors import PixlsrveError, StartError

log = structlog.get_logger(__name__)

BATCH = 500
AGAIN_S = 60.0
"""How often the host is told where we are, in case it has forgotten, or somebody showed a wrong credential."""
LOOK_S = 5.0
"""How often our own address is looked at."""
WALK_S = 3_600.0
"""How often the folder is walked without a change having been seen."""
RETRY_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line says. `ask_code` asks a person; `extensions` are those of media files."""

    server: str
    root: Path
    port: int
    data_dir: Path
    code: str | None
    ask_code: Callable[[], str]
    extensions: frozenset[str]


class Listening(Protocol):
    """A listener that takes connections."""

    @property
    def bound_port(self) -> int:
        """Where."""


Listen = Callable[[web.Application, int], AbstractAsyncContextManager[Listening]]
"""Listens on a port of all addresses while entered, 0 for any; bounds connections and their time (THREATS T29)."""


def run_agent(options: Options, listen: Listen) -> int:
    """Serve until SIGTERM or SIGINT; 0. Raises StartError, InvalidInput, NotWelcome, HostRefused, HostUnreachable."""
    os.umask(instance.UMASK)
    instance.forbid_core_dumps()
    logs.configure()
    instance.prepare_data_dir(options.data_dir)
    with instance.locked(options.data_dir):
        asyncio.run(_run(options, listen))
    return 0


async def _run(options: Options, listen: Listen) -> None:
    folder = Folder(options.root, options.data_dir, options.extensions)
    await asyncio.to_thread(folder.check)
    pairing = await _paired(options)
    await asyncio.to_thread(folder.load)
    async with Host(options.data_dir, pairing) as host:
        await Agent(options, folder, host, listen).run()


async def _paired(options: Options) -> Pairing:
    """The pairing there is, or a new one where a code is given or none is there. Raises as `run_agent`."""
    server = parse_server(options.server)
    kept = await asyncio.to_thread(state.load, options.data_dir)
    if kept is not None and options.code is None:
        if URL(kept.server) != server:
            raise StartError(f"This data directory is paired with {kept.server}; name another one, or give --pair.")
        if kept.is_plain:
            log.warning(
                "this device talks to the host without encryption", remedy=f"If it has HTTPS by now: {PAIR_AGAIN}"
            )
        return kept
    code = parse_code(options.code if options.code is not None else options.ask_code())
    pairing = await pair(server, code, socket.gethostname()[:100] or "agent")
    await asyncio.to_thread(state.save, options.data_dir, pairing)
    log.info("paired", host=pairing.host_name, device_id=pairing.device_id)
    return pairing


class Agent:
    """The running agent."""

    def __init__(self, options: Options, folder: Folder, host: Host, listen: Listen) -> None:
        self._options = options
        self._folder = folder
        self._host = host
        self._listen = listen
        self._credential: str | None = None
        self._port = 0
        self._stop = asyncio.Event()
        self._register_now = asyncio.Event()
        self._walk_now = asyncio.Event()
        self._told: dict[bytes, tuple[int, int, int]] = {}
        self._is_reachable: bool | None = None
        self._is_registered = asyncio.Event()

    async def run(self) -> None:
        """Work until told to stop. Raises StartError, NotWelcome."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        server = MiniServer(
            self._folder,
            Sender(self._folder, self._host),
            credential=lambda: self._credential,
            on_stranger=self._register_now.set,
        )
        try:
            async with self._listen(server.application(), self._options.port) as listening:
                self._port = listening.bound_port
                with contextlib.suppress(OSError, ValueError):
                    print(f"listening on port {self._port} for {self._host.pairing.host_name}", flush=True)  # noqa: T201  # for scripts
                await self._work()
        finally:
            await asyncio.to_thread(self._folder.save)
            log.info("stopped")

    async def _work(self) -> None:
        """Run the parts until one fails or the process is told to stop."""
        stop = asyncio.create_task(self._stop.wait())
        parts = [asyncio.create_task(part()) for part in (self._keep_registered, self._follow, self._watch, self._look)]
        try:
            done, _ = await asyncio.wait({stop, *parts}, return_when=asyncio.FIRST_COMPLETED)
            for part in done - {stop}:
                part.result()
        finally:
            for part in (stop, *parts):
                part.cancel()
            await asyncio.gather(stop, *parts, return_exceptions=True)

    async def _keep_registered(self) -> None:
        """Tell the host where we are: at once, when that changes, and from time to time. Raises NotWelcome."""
        path = f"/api/device/{self._host.pairing.device_id}/register/"
        while True:
            self._register_now.clear()
            pause_s = AGAIN_S
            try:
                answer = await self._host.call("POST", path, {"port": self._port})
            except (HostUnreachable, HostRefused) as error:
                pause_s = self._failed(error)
            else:
                self._credential = str(answer["credential"])
                self._succeeded(str(answer["address"]))
            await asyncio.sleep(1.0)  # strangers who knock must not make us call without end
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._register_now.wait(), pause_s)

    async def _follow(self) -> None:
        """Tell the host of files: of all at the start, later of those that changed; and hash what has no hash yet."""
        await self._is_registered.wait()
        while True:
            self._walk_now.clear()
            pause_s = WALK_S
            try:
                await self._tell_of_files()
                await self._hash_rest()
            except (HostUnreachable, HostRefused) as error:
                pause_s = self._failed(error)
            await asyncio.to_thread(self._folder.save)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._walk_now.wait(), pause_s)

    async def _tell_of_files(self) -> None:
        entries = await asyncio.to_thread(lambda: list(self._folder.walk()))
        fresh = [entry for entry in entries if self._told.get(entry.path) != entry.version]
        for start in range(0, len(fresh), BATCH):
            batch = fresh[start : start + BATCH]
            await register(self._host, self._folder, batch)
            self._told.update({entry.path: entry.version for entry in batch})
        if fresh:
            log.info("the host knows of the files", files=len(entries), new_or_changed=len(fresh))

    async def _hash_rest(self) -> None:
        """One after the other, so that the device stays usable."""
        entries: list[Entry] = await asyncio.to_thread(lambda: [e for e in self._folder.walk() if e.sha256 is None])
        for entry in entries:
            await asyncio.to_thread(self._folder.hash_file, entry)

    async def _watch(self) -> None:
        """Wake whoever follows when something changes in the folder; where it can't be watched, once a minute."""
        while True:
            try:
                async for _ in awatch(self._options.root, recursive=True, ignore_permission_denied=True):
                    self._walk_now.set()
            except ExceptionGroup:
                # The watcher ends at a changed name that is not UTF-8: look what it was, and watch on.
                self._walk_now.set()
                await asyncio.sleep(1.0)
                continue
            except (OSError, RuntimeError) as error:
                log.warning("the folder can't be watched", error=str(error))
            await asyncio.sleep(AGAIN_S)
            self._walk_now.set()

    async def _look(self) -> None:
        """Register anew when the address changes by which this device goes to the host."""
        known = await self._own_address()
        while True:
            await asyncio.sleep(LOOK_S)
            now = await self._own_address()
            if now is not None and now != known:
                log.info("this device has another address now")
                known = now
                self._register_now.set()

    async def _own_address(self) -> str | None:
        """Our address on the way to the host; None without a way."""
        server = URL(self._host.pairing.server)
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_DGRAM)
            family, kind, protocol, _, address = found[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.connect(address)  # of a datagram socket: chooses the way and sends nothing
                return str(probe.getsockname()[0])
        except OSError:
            return None

    def _failed(self, error: PixlsrveError) -> float:
        """Say once that the host is away; the pause before the next try, in seconds."""
        if self._is_reachable is not False:
            log.warning("the host could not be told", cause=error.message, retry_in_s=RETRY_S)
        self._is_reachable = False
        self._told.clear()
        self._host.forget_base()
        return RETRY_S

    def _succeeded(self, address: str) -> None:
        """Say once that the host is there, and tell it of all files anew when it was away."""
        if self._is_reachable is not True:
            log.info("registered", host=self._host.pairing.host_name, address=address, port=self._port)
        if self._is_reachable is False:
            self._walk_now.set()
        self._is_reachable = True
        self._is_registered.set()
