"""The daemon as a process: its lock, its signals, what it prints, and the new start after a damaged database."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections import deque
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog

from pixlsrve import app, back_off, instance, logs
from pixlsrve.config import Config
from pixlsrve.errors import ConfigError, PixlsrveError, StartError, StorageError, StorageFull
from pixlsrve.heartbeat import Heartbeat
from pixlsrve.http.guard import raise_descriptor_limit
from pixlsrve.notify import notify
from pixlsrve.settings import Sources
from pixlsrve.store import recovery
from pixlsrve.store.backup import restoring
from pixlsrve.store.database import DatabaseDamaged

log = structlog.get_logger(__name__)

LEAST_FREE_BYTES = 1 << 20
MENDS = 3
MENDS_WITHIN_S = 3_600.0


def run_daemon(sources: Sources, *, seed: app.Seed | None = None) -> int:
    """Serve until SIGTERM or SIGINT; 0. `sources` are read anew at SIGHUP; `seed` is as for `app.running`.

    Raises StartError, ConfigError.
    """
    config = sources.load()
    os.umask(instance.UMASK)
    instance.forbid_core_dumps()
    raise_descriptor_limit()
    logs.configure(config.log.level, config.log.format)
    instance.prepare_data_dir(config.data_path)
    with back_off.paced(), instance.locked(config.data_path), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        if restoring.finish(config.data_path):
            log.warning("a restore that was interrupted is finished now")
            config = sources.load()
        runner.run(Daemon(config, sources, seed).run())
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it can be had: faster, and not needed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


class Daemon:
    """One process' worth of service.

    A database found damaged, or settings that have changed, end one life of the application and begin another.
    """

    def __init__(self, config: Config, sources: Sources, seed: app.Seed | None = None) -> None:
        self._config = config
        self._seed = seed
        self._sources = sources
        self._proven: Config | None = None
        self._stop = asyncio.Event()
        self._hangup = asyncio.Event()
        self._heartbeat = Heartbeat()
        self._damaged: DatabaseDamaged | None = None
        self._mended_at_s: deque[float] = deque(maxlen=MENDS)
        self._ports: dict[str, int] = {}

    async def run(self) -> None:
        """Work until told to stop. Raises StartError, ConfigError."""
        self._listen_to_signals()
        beating = asyncio.create_task(self._heartbeat.run(), name="heartbeat")
        try:
            await self._run_lives()
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        # A backup, say, that had begun: its thread can't be cancelled, and has the last word otherwise.
        await asyncio.get_running_loop().shutdown_default_executor()
        log.info("stopped")

    async def _run_lives(self) -> None:
        """One life after the other, until told to stop. Raises StartError, ConfigError."""
        while not self._stop.is_set():
            self._damaged = None
            prepared = await asyncio.to_thread(_prepare, self._config.data_path)
            for repair in prepared.repairs:
                log.error("a database was mended", what=repair)
            try:
                await self._live(prepared)
            except DatabaseDamaged as error:
                self._damaged = error
            except (StartError, ConfigError) as error:
                self._go_back(error)
            if self._damaged is not None:
                await self._mend(self._damaged)

    def _go_back(self, error: PixlsrveError) -> None:
        """To the settings that have worked before, where new ones do not. Raises `error` where there are none."""
        if self._proven is None or self._proven == self._config:
            raise error
        log.error("the new settings don't work; those from before go on", cause=error.message)
        self._config = self._proven

    async def _live(self, prepared: recovery.Prepared) -> None:
        """One life of the application, from open to closed databases."""
        is_up = False
        told = asyncio.Event()

        def report(error: DatabaseDamaged) -> None:
            self._damaged = self._damaged or error
            told.set()

        try:
            settings = app.Settings(self._sources, reload=self._hangup.set)
            life = app.running(self._config, prepared, report, settings, ports=self._ports, seed=self._seed)
            async with life as parts:
                is_up = True
                prepared.keep()
                self._proven = self._config
                self._announce(parts)
                await _first(self._stop.wait(), told.wait(), self._obey_hangups(parts))
                self._heartbeat.describe = None
                notify("STOPPING=1" if self._stop.is_set() else "RELOADING=1", "stopping")
                log.info("stopping")
        except BaseException as error:
            self._heartbeat.describe = None
            if not is_up:
                await asyncio.to_thread(prepared.take_back, str(error))
            raise
        if self._damaged is None:
            with contextlib.suppress(OSError):  # without the mark the next start checks more, that is all
                recovery.mark_clean(self._config.data_path)

    def _announce(self, parts: app.Parts) -> None:
        """Say once where it listens: on standard output, to systemd, in the log."""
        log.info("ready", urls=parts.urls, pid=os.getpid())
        if not self._ports:
            with contextlib.suppress(OSError, ValueError):
                print(f"listening on {parts.urls[0]}", flush=True)  # noqa: T201  # the one line that scripts wait for
        self._ports = parts.ports
        self._heartbeat.describe = parts.describe
        notify("READY=1", parts.describe())

    def _listen_to_signals(self) -> None:
        """SIGTERM and SIGINT end the service in order; the loss of the terminal (SIGHUP) is no reason to."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._hangup.set)

    async def _obey_hangups(self, parts: app.Parts) -> None:
        """At each SIGHUP look at everything outside anew; returns when the settings want another life."""
        while True:
            await self._hangup.wait()
            self._hangup.clear()
            notify("RELOADING=1", "reading the settings")
            if await self._has_new_settings():
                return
            await parts.look_again()
            notify("READY=1", parts.describe())

    async def _has_new_settings(self) -> bool:
        """Read the settings; whether others are in force from now on. Bad ones change nothing and are logged."""
        try:
            config = await asyncio.to_thread(self._sources.load)
        except ConfigError as error:
            log.error("the settings can't be used; those from before go on", cause=error.message)
            return False
        if config == self._config:
            return False
        if config.data_dir != self._config.data_dir:
            log.error("another data_dir needs a restart; the settings from before go on")
            return False
        if (config.http.port, config.http.tls_port) != (self._config.http.port, self._config.http.tls_port):
            self._ports.pop("http", None)
            self._ports.pop("https", None)
        if config.compat.websocket_port != self._config.compat.websocket_port:
            self._ports.pop("websocket", None)
        self._config = config
        logs.configure(config.log.level, config.log.format)
        log.info("the settings have changed; starting anew with them")
        return True

    async def _mend(self, damaged: DatabaseDamaged) -> None:
        """Make room for a sound database; the next life makes or restores it. Raises StartError when it never ends."""
        now_s = time.monotonic()
        if len(self._mended_at_s) == MENDS and now_s - self._mended_at_s[0] < MENDS_WITHIN_S:
            raise StartError(
                f"Databases keep being damaged; the disk that holds {self._config.data_path} is probably failing. "
                "Check it, and the memory, before starting again."
            )
        self._mended_at_s.append(now_s)
        await asyncio.to_thread(_make_room, damaged)


def _prepare(data_dir: Path) -> recovery.Prepared:
    """`recovery.prepare`, with the system's refusals in a sentence."""
    try:
        return recovery.prepare(data_dir)
    except (OSError, StorageError, StorageFull) as error:
        # SQLite says "disk I/O error" for a disk that has no room for its shared memory.
        if shutil.disk_usage(data_dir).free < LEAST_FREE_BYTES:
            raise StartError(f"The disk that holds {data_dir} is full; free some space.") from error
        raise StartError(f"The databases in {data_dir} can't be opened: {error}") from error


def _make_room(damaged: DatabaseDamaged) -> None:
    """Take a damaged database out of the way: the state is restored from its copy, the others are made again."""
    log.error("a database is damaged", database=damaged.path.name, cause=damaged.message)
    if damaged.path.name == recovery.STATE:
        log.error("a database was mended", what=recovery.restore_state(damaged.path.parent, "it was damaged"))
        recovery.remove(damaged.path.parent / recovery.INDEX)
    else:
        recovery.remove(damaged.path)


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait until one of them is done; the others are cancelled."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
