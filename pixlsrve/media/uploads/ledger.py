"""Writing down what uploads have stored: those that wait for the disk at the same time share one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from pixlsrve.store.database import Database, Transaction

Entry = Callable[[Transaction], Awaitable[None]]
"""Statements of one upload, which await nothing else; run again by themselves where others' were rolled back."""


class _Waiting(NamedTuple):
    entry: Entry
    done: asyncio.Future[None]


class Ledger:
    """A commit waits for the disk; what comes meanwhile goes into the next one together (THREATS T21)."""

    def __init__(self, state: Database) -> None:
        self._state = state
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, entry: Entry) -> None:
        """Run the statements and commit them; durable when this returns. Raises what they raise, StorageError."""
        waiting = _Waiting(entry, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._task is None:
            self._task = asyncio.create_task(self._write_all(), name="records of uploads")
        await asyncio.shield(waiting.done)

    async def _write_all(self) -> None:
        """Commit until nobody waits."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                try:
                    await self._write_together(batch)
                finally:
                    for waiting in batch:
                        waiting.done.cancel()  # changes nothing where there is an outcome
        finally:
            self._task = None
            for waiting in self._waiting:  # only where this was cancelled
                waiting.done.cancel()

    async def _write_together(self, batch: list[_Waiting]) -> None:
        """One transaction; where that fails, each upload by itself, so that none fails for another's sake."""

        async def work(tx: Transaction) -> None:
            for waiting in batch:
                await waiting.entry(tx)

        try:
            await self._state.write(work)
        except Exception as error:  # noqa: BLE001  # it goes to who waits
            if len(batch) > 1:
                for waiting in batch:
                    await self._write_together([waiting])
                return
            batch[0].done.set_exception(error)
            batch[0].done.exception()  # whoever waited may have gone
            return
        for waiting in batch:
            waiting.done.set_result(None)
