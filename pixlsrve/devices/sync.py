"""Syncing a device: the host asks its mini-server what it has, and has it send what is missing (DESIGN section 5)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from pixlsrve.auth.clock import Clock
from pixlsrve.auth.directory import Directory
from pixlsrve.devices.fetch import MOVES, Asking, Fetcher, Moved, SongGone, until_moved
from pixlsrve.devices.manifest import read_line
from pixlsrve.devices.outcomes import Outcome, SyncFailed, of_call, of_status
from pixlsrve.devices.registry import Registry
from pixlsrve.devices.songs import BATCH, Songs
from pixlsrve.errors import InvalidInput, PixlsrveError
from pixlsrve.events import EventBus, EventType
from pixlsrve.model import Device, Subject, SubjectKind
from pixlsrve.outbound import CallFailed, Trouble
from pixlsrve.store.device_sync import SyncRow
from pixlsrve.store.songs import Listed, Song

log = structlog.get_logger(__name__)

PARALLEL = 4
"""Transfers at once: the next song is on its way while the disk confirms the last one."""
TOLD_EVERY_S = 1.0
_NO_MANIFEST = frozenset({404, 405, 501})
_OUTSIDE = 403


@dataclass
class _Run:
    """One sync under way. `failed` are songs that are not asked for again in it."""

    device: Device
    started_us: int
    listing: int | None = None
    total: int = 0
    done: int = 0
    gone: int = 0
    """Songs that were asked for and not there."""
    received_bytes: int = 0
    failed: set[int] = field(default_factory=set)
    told_s: float = float("-inf")


class Syncs:
    """Syncs devices, each once at a time: who asks for one that runs waits for its outcome."""

    def __init__(
        self,
        registry: Registry,
        songs: Songs,
        asking: Asking,
        fetcher: Fetcher,
        *,
        directory: Directory,
        clock: Clock,
        bus: EventBus,
    ) -> None:
        self._registry = registry
        self._songs = songs
        self._asking = asking
        self._fetcher = fetcher
        self._directory = directory
        self._clock = clock
        self._bus = bus
        self._running: dict[int, asyncio.Task[SyncRow]] = {}

    async def sync(self, device: Device) -> SyncRow:
        """Sync the device, or join the sync that runs; how it went. A waiter that goes away does not end it.

        Raises StorageError where the outcome can't be noted.
        """
        task = self._running.get(device.id)
        if task is None:
            task = asyncio.create_task(self._sync(device), name=f"sync of device {device.id}")
            self._running[device.id] = task
            task.add_done_callback(lambda _: self._running.pop(device.id, None))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End what is under way; the next sync goes on where these stood."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _sync(self, device: Device) -> SyncRow:
        run = _Run(device, self._clock.now_us())
        try:
            outcome = await self._try(run)
        except SyncFailed as error:
            outcome = error.outcome
        except CallFailed as error:
            outcome = of_call(error)
        except PixlsrveError as error:
            log.warning("a sync failed", device=device.id, cause=error.message)
            outcome = Outcome.UNKNOWN
        row = await self._registry.note(device, outcome, run.started_us)
        self._publish(
            EventType.DEVICE_SYNCED,
            run,
            {"sync_status_code": outcome.code, "error_message": outcome.message},
        )
        return row

    async def _try(self, run: _Run) -> Outcome:
        """Raises SyncFailed, CallFailed, PixlsrveError."""
        await self._list(run)
        await self._songs.adopt(run.device)
        run.total, _ = await self._songs.count_wanted(run.device, run.listing)
        self._tell(run)
        if run.total:
            twins = await self._transfer_all(run, skip_twins=True)
            if twins:
                await self._songs.adopt(run.device)
                await self._transfer_all(run, skip_twins=False)
        # Without a manifest a server that answers 404 to every song may be any server.
        is_stranger = run.listing is None and 0 < run.gone == run.done
        return Outcome.UNKNOWN if run.failed or is_stranger else Outcome.SUCCESS

    async def _list(self, run: _Run) -> None:
        """Read the manifest where the device now is. Raises SyncFailed, CallFailed, InvalidInput, StorageError."""
        for _ in range(MOVES):
            moved = self._registry.moved(run.device.id)
            try:
                await until_moved(moved, self._read_manifest(run))
            except (CallFailed, SyncFailed):
                if not moved.is_set():
                    raise
            except Moved:
                log.info("a device moved while it was asked what it has", device=run.device.id)
            else:
                return
        raise CallFailed(Trouble.TIMEOUT)

    async def _read_manifest(self, run: _Run) -> None:
        agent = self._registry.agent(run.device.id)
        if agent is not None and agent.is_foreign:
            # It speaks the specification's one endpoint, and has been told no credential for more.
            return await self._knock(run)
        async with self._asking.get(run.device, "/manifest") as answer:
            if answer.status in _NO_MANIFEST:
                return None  # a mini-server that only registers songs
            if answer.status != 200:
                raise SyncFailed(of_status(answer.status))
            listing, batch = await self._songs.begin_listing(run.device), list[Listed]()
            try:
                async for line in answer.lines():
                    if (listed := read_line(line)) is not None:
                        batch.append(listed)
                    if len(batch) == BATCH:
                        await self._songs.list_batch(run.device, listing, batch)
                        batch = []
            except InvalidInput as error:
                raise SyncFailed(Outcome.UNKNOWN) from error
            await self._songs.list_batch(run.device, listing, batch)
        await self._songs.end_listing(run.device, listing, began_us=run.started_us)
        run.listing = listing
        return None

    async def _knock(self, run: _Run) -> None:
        """See whether a mini-server is there where nothing is to be asked of it. Raises SyncFailed, CallFailed."""
        if (await self._songs.count_wanted(run.device, None))[0]:
            return
        async with self._asking.get(run.device, "/"):
            pass

    async def _transfer_all(self, run: _Run, *, skip_twins: bool) -> bool:
        """Have everything that is wanted sent; whether twins of others were left out. Raises what ends the sync."""
        queue: asyncio.Queue[Song | None] = asyncio.Queue(PARALLEL)
        twins = False
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(PARALLEL):
                    group.create_task(self._work(run, queue))
                after_id, seen = 0, set[bytes]()
                while songs := await self._songs.wanted(run.device, run.listing, after_id=after_id):
                    after_id = songs[-1].id
                    for song in songs:
                        if song.id in run.failed:
                            continue
                        if skip_twins and song.sha256 is not None and song.sha256 in seen:
                            twins = True
                            continue
                        if song.sha256 is not None:
                            seen.add(song.sha256)
                        await queue.put(song)
                for _ in range(PARALLEL):
                    await queue.put(None)
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return twins

    async def _work(self, run: _Run, queue: asyncio.Queue[Song | None]) -> None:
        """Have song after song sent, until there is none. Raises SyncFailed where going on makes no sense."""
        while (song := await queue.get()) is not None:
            transfer = self._fetcher.fetch(run.device, song)
            try:
                await asyncio.shield(transfer.done)
            except SongGone:
                run.gone += 1
                log.info("a song was not there when it was asked for", device=run.device.id, song=song.uuid)
            except SyncFailed as error:
                self._directory.device(run.device.id)  # a device that was revoked meanwhile is not asked any more
                if error.status == _OUTSIDE and run.listing is not None:
                    # The manifest took the credential, so this is about the file: it has become a link, say.
                    log.info("the device would not send a song", device=run.device.id, song=song.uuid)
                elif error.is_of_one_song:
                    run.failed.add(song.id)
                else:
                    raise
            else:
                run.received_bytes += transfer.received_bytes
            run.done += 1
            self._tell(run)

    def _tell(self, run: _Run) -> None:
        """Publish how far it is, once a second at most."""
        now = asyncio.get_running_loop().time()
        if now - run.told_s >= TOLD_EVERY_S:
            run.told_s = now
            self._publish(EventType.SYNC_PROGRESS, run, {})

    def _publish(self, type_: EventType, run: _Run, more: dict[str, object]) -> None:
        device = run.device
        owner = self._directory.owner(Subject(SubjectKind.DEVICE, device.id))
        data = {"device_id": device.uuid, "number": device.id, "name": device.name, "done": run.done}
        data |= {"total": run.total, "bytes": run.received_bytes, **more}
        audience = frozenset({device.uuid} | ({owner.uuid} if owner is not None else set()))
        self._bus.publish(type_, data, audience=audience)
