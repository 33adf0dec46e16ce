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

from pixlsrve import app, instance, logs
from pixlsrve.config import Config
from pixlsrve.errors import StartError, StorageError, StorageFull
from pixlsrve.http.guard import raise_descriptor_limit
from pixlsrve.notify import notify
from pixlsrve.store import recovery
from pixlsrve.store.database import DatabaseDamaged

log = structlog.get_logger(__name__)

LEAST_FREE_BYTES = 1 << 20
MENDS = 3
MENDS_WITHIN_S = 3_600.0


def run_daemon(config: Config, *, seed: app.Seed | None = None) -> int:
    """Serve until SIGTERM or SIGINT; 0. `seed` is as for `app.running`. Raises StartError, ConfigError."""
    os.umask(instance.UMASK)
    instance.forbid_core_dumps()
    raise_descriptor_limit()
    logs.configure(config.log.level, config.log.format)
    instance.prepare_data_dir(config.data_path)
    with instance.locked(config.data_path), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(Daemon(config, seed).run())
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it can be had: faster, and not needed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


class Daemon:
    """One process' worth of service; a database found damaged ends one life of the application and begins another."""

    def __init__(self, config: Config, seed: app.Seed | None = None) -> None:
        self._config = config
        self._seed = seed
        self._stop = asyncio.Event()
        self._damaged: DatabaseDamaged | None = None
        self._mended_at_s: deque[float] = deque(maxlen=MENDS)
        self._ports: dict[str, int] = {}

    async def run(self) -> None:
        """Work until told to stop. Raises StartError, ConfigError."""
        self._listen_to_signals()
        while not self._stop.is_set():
            self._damaged = None
            prepared = await asyncio.to_thread(_prepare, self._config.data_path)
            for repair in prepared.repairs:
                log.error("a database was mended", what=repair)
            try:
                await self._live(prepared)
            except DatabaseDamaged as error:
                self._damaged = error
            if self._damaged is not None:
                await self._mend(self._damaged)
        log.info("stopped")

    async def _live(self, prepared: recovery.Prepared) -> None:
        """One life of the application, from open to closed databases."""
        is_up = False
        told = asyncio.Event()

        def report(error: DatabaseDamaged) -> None:
            self._damaged = self._damaged or error
            told.set()

        try:
            async with app.running(self._config, prepared, report, ports=self._ports, seed=self._seed) as parts:
                is_up = True
                prepared.keep()
                self._announce(parts)
                await _first(self._stop.wait(), told.wait())
                notify("STOPPING=1" if self._stop.is_set() else "", "stopping")
                log.info("stopping")
        except BaseException:
            if not is_up:
                await asyncio.to_thread(prepared.take_back)
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
        notify("READY=1", f"listening on {parts.urls[0]}")

    def _listen_to_signals(self) -> None:
        """SIGTERM and SIGINT end the service in order; the loss of the terminal is no reason to."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

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
