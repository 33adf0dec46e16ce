"""A library on disk with a real indexer, databases and worker processes, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from pixlsrve.events import Event, EventBus
from pixlsrve.index.context import IndexContext
from pixlsrve.index.indexer import Indexer
from pixlsrve.index.library import open_roots
from pixlsrve.index.workers import WorkerPool
from pixlsrve.index.zone import host_zone
from pixlsrve.media.roots import Root, Roots
from pixlsrve.media.version import LibraryVersion
from pixlsrve.store.database import Database, Row
from pixlsrve.store.migrate import migrate

LIMIT_S = 180.0


class NoPlaces:
    """Stands where the places file is not built: positions have no names."""

    def lookup(self, latitude: float, longitude: float) -> None:
        """No place has a name."""


def make_photo(path: Path, seed: int, *, size: tuple[int, int] = (48, 32), taken: str | None = None) -> Path:
    """A small JPEG whose content depends on `seed`; `taken` is an Exif DateTimeOriginal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.frombytes("RGB", size, random.Random(seed).randbytes(size[0] * size[1] * 3))
    exif = Image.Exif()
    if taken is not None:
        exif.get_ifd(0x8769)[0x9003] = taken
    image.save(path, "JPEG", quality=90, exif=exif)
    return path


def make_photos(folder: Path, count: int, *, first_seed: int = 0) -> list[Path]:
    """`count` different photos in a folder."""
    return [make_photo(folder / f"IMG_{i:04}.jpg", first_seed + i) for i in range(count)]


@dataclass
class RunningLibrary:
    """An indexer at work; `settle` waits until it has nothing to do."""

    indexer: Indexer
    index: Database
    roots: Roots
    bus: EventBus
    tasks: list[asyncio.Task[None]]

    async def settle(self) -> None:
        """Walk everything again and wait for the end."""
        await self.scan()

    async def scan(self, *, full: bool = False, accept_removals: bool = False) -> None:
        """A requested scan, and everything that follows from it."""
        with self.bus.subscribe(100_000) as events:
            ticket = await self.indexer.request_scan(full=full, accept_removals=accept_removals)
            async with asyncio.timeout(LIMIT_S):
                while True:
                    event = await self._alive(events.get())
                    if event.data.get("scan_id") == ticket.scan_id:
                        break
                while self.indexer.status().in_progress:
                    await asyncio.sleep(0.02)

    async def _alive(self, wait: Coroutine[Any, Any, Event]) -> Event:
        """The awaited event; what ended the indexer, if something did."""
        waiting = asyncio.create_task(wait)
        await asyncio.wait({waiting, *self.tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in self.tasks:
            if task.done():
                waiting.cancel()
                task.result()
        return await waiting

    async def ids(self) -> dict[str, str]:
        """Shown assets: path below its root to public id in hex."""
        rows = await self.index.fetch_all(
            "SELECT folder.path, asset.name, asset.uuid FROM asset JOIN folder ON folder.id = asset.folder_id "
            "WHERE asset.shown > 0"
        )
        return {os.fsdecode(folder + b"/" + name if folder else name): uuid.hex() for folder, name, uuid in rows}

    async def albums(self) -> dict[str, tuple[str, int, int]]:
        """Albums: path to id in hex, own count and total."""
        rows = await self.index.fetch_all(
            "SELECT path, uuid, photo_count, total_count FROM folder WHERE gone_us IS NULL AND total_count > 0"
        )
        return {os.fsdecode(path): (uuid.hex(), own, total) for path, uuid, own, total in rows}

    async def rows(self, sql: str, *parameters: Any) -> list[Row]:
        """Rows of the index."""
        return await self.index.fetch_all(sql, parameters)

    def root(self, name: str) -> Root:
        """The root with this name."""
        return next(root for root in self.roots if root.name == name)

    async def until(self, condition: Any) -> None:
        """Wait until `await condition()` is true."""
        async with asyncio.timeout(LIMIT_S):
            while not await condition():
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running_library(data_dir: Path, *photos: Path, settle: bool = True) -> AsyncIterator[RunningLibrary]:
    """An indexer over `photos`, with its state kept in `data_dir` between uses."""
    data_dir.mkdir(exist_ok=True)
    storage = data_dir / "storage"
    storage.mkdir(exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        databases = {}
        for name in ("state", "index", "thumbnails"):
            migrate(data_dir / f"{name}.db", name)
            opened = Database.open(data_dir / f"{name}.db", durability="NORMAL")
            databases[name] = await stack.enter_async_context(opened)
        roots = await open_roots(databases["state"], databases["index"], [str(p) for p in photos], str(storage))
        context = IndexContext(
            **databases,
            roots=roots,
            bus=EventBus(),
            version=LibraryVersion(),
            places=NoPlaces(),
            zone=host_zone(),
            id_secret=b"s" * 32,
        )
        pool = WorkerPool(workers=2, memory_mb=192, seconds=30, max_pixels=100_000_000, zone="UTC")
        indexer = Indexer(context, pool, parallel=2, rescan_interval_s=0)
        tasks = [asyncio.create_task(pool.run()), asyncio.create_task(indexer.run())]
        library = RunningLibrary(indexer, databases["index"], roots, context.bus, tasks)
        try:
            if settle:
                await library.scan()
            yield library
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
