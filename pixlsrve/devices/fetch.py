"""Asking a device's mini-server for one song; it sends it to the receiving side, which finds the transfer here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any
from urllib.parse import quote

import structlog

from pixlsrve.devices.outcomes import Outcome, SyncFailed, of_call, of_status
from pixlsrve.devices.registry import Registry
from pixlsrve.devices.transfer import Transfer
from pixlsrve.model import Device
from pixlsrve.outbound import PROGRESS_LIMIT_S, CallFailed, DeviceAnswer, DeviceCalls, Trouble
from pixlsrve.store.device_sync import AgentRow
from pixlsrve.store.songs import Song

log = structlog.get_logger(__name__)

MOVES = 3
"""How often a device may move to another address during one call."""
ADDRESSES = 4
"""Of a name, tried one after the other."""
_SKIPPED = frozenset({404, 409, 410})


class SongGone(Exception):
    """The device does not have the song any more, or it changes just now; the next sync sees what became of it."""


class Moved(Exception):
    """The device is somewhere else now."""


class Asking:
    """Calls to the mini-server of a device, at the address that is registered just now."""

    def __init__(self, registry: Registry, calls: DeviceCalls) -> None:
        self._registry = registry
        self._calls = calls

    @contextlib.asynccontextmanager
    async def get(self, device: Device, target: str, transfer: Transfer | None = None) -> AsyncIterator[DeviceAnswer]:
        """The answer to GET of `target`. Raises SyncFailed where there is no address that may be called, CallFailed."""
        agent = self._registry.agent(device.id)
        if agent is None:
            raise SyncFailed(Outcome.NOT_REACHABLE)
        bearer = None if agent.is_foreign else self._registry.credential(device)
        async with contextlib.AsyncExitStack() as stack:
            answer = None
            for ip in await self._addresses(agent):
                if transfer is not None:
                    transfer.sender = ip if agent.is_foreign else None
                calling = self._calls.get(
                    ip, agent.port, target, host=agent.address, bearer=bearer, is_patient=transfer is not None
                )
                try:
                    answer = await stack.enter_async_context(calling)
                    break
                except CallFailed as error:
                    if error.trouble is not Trouble.UNREACHABLE:
                        raise
            if answer is None:
                raise CallFailed(Trouble.UNREACHABLE)
            yield answer

    async def _addresses(self, agent: AgentRow) -> list[str]:
        """The addresses to call, resolved once. Raises CallFailed."""
        found = await self._calls.resolve(agent.address)
        reachable = self._registry.reachable
        allowed = [ip for ip in found if reachable.may_call(ip, agent.port, is_local=agent.is_local)]
        if not allowed:
            log.warning("a device's address may not be called", device=agent.device_id, port=agent.port)
        return allowed[:ADDRESSES]


class Fetcher:
    """Fetches songs, each once at a time: whoever wants one that is on its way shares that transfer.

    `silence_s` is how long nothing may come in before a device counts as silent.
    """

    def __init__(self, registry: Registry, asking: Asking, *, silence_s: float = PROGRESS_LIMIT_S) -> None:
        self._registry = registry
        self._asking = asking
        self._silence_s = silence_s
        self._transfers: dict[str, Transfer] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, song_id: str) -> Transfer | None:
        """The transfer of this song that is under way."""
        return self._transfers.get(song_id)

    def is_expected(self, song_id: str, address: str) -> bool:
        """Whether just this song is awaited from this address, without a token."""
        transfer = self._transfers.get(song_id)
        return transfer is not None and transfer.sender == address and transfer.stored is None

    def is_awaited_from(self, address: str) -> bool:
        """Whether some song is awaited from this address, without a token."""
        return any(transfer.sender == address for transfer in self._transfers.values())

    def fetch(self, device: Device, song: Song) -> Transfer:
        """The song's transfer, begun if it isn't under way."""
        transfer = self._transfers.get(song.uuid)
        if transfer is None:
            transfer = self._transfers[song.uuid] = Transfer(song, asyncio.get_running_loop())
            task = asyncio.create_task(self._run(device, transfer), name="transfer")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return transfer

    async def close(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, device: Device, transfer: Transfer) -> None:
        error: Exception | None = SyncFailed(Outcome.UNKNOWN)
        try:
            await self._ask_where_it_is(device, transfer)
            error = None
        except (SyncFailed, SongGone) as failed:
            error = failed
        except CallFailed as failed:
            error = SyncFailed(of_call(failed))
        finally:
            self._transfers.pop(transfer.song.uuid, None)
            transfer.sender = None
            transfer.finish(error)

    async def _ask_where_it_is(self, device: Device, transfer: Transfer) -> None:
        """Ask, and ask again where the device has gone to. Raises SyncFailed, SongGone, CallFailed."""
        for _ in range(MOVES):
            moved = self._registry.moved(device.id)
            try:
                await until_moved(moved, self._ask(device, transfer))
            except (CallFailed, SyncFailed):
                if not moved.is_set():
                    raise
            except Moved:
                log.info("a device moved while it sent a song", device=device.id)
            else:
                return
        raise CallFailed(Trouble.TIMEOUT)

    async def _ask(self, device: Device, transfer: Transfer) -> None:
        """One call; it is as patient as there is progress, its own or that of the upload that it leads to."""
        song = transfer.song
        target = f"/transfer/{quote(song.path, safe='/')}?song_id={song.uuid}"
        try:
            async with asyncio.timeout(self._silence_s) as patience:
                transfer.patience = (patience, self._silence_s)
                async with self._asking.get(device, target, transfer) as answer:
                    await answer.read()
        except TimeoutError as error:
            raise CallFailed(Trouble.TIMEOUT) from error
        finally:
            transfer.patience = None
        self._judge(answer.status, transfer)

    def _judge(self, status: int, transfer: Transfer) -> None:
        """Raises SyncFailed, SongGone unless the song is here, or is not wanted."""
        if transfer.stored is not None or transfer.refused is not None:
            return
        if status in _SKIPPED:
            raise SongGone(status)
        raise SyncFailed(of_status(status), status)


async def until_moved(moved: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do `work` unless the device moves meanwhile. Raises Moved, and what `work` raises."""
    task = asyncio.create_task(work)
    watch = asyncio.create_task(moved.wait())
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            return
        raise Moved
    finally:
        for part in (task, watch):
            part.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)
