"""Place names as a part of the running daemon: there once their file is, without which nothing waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import structlog

from pixlsrve.errors import StorageError
from pixlsrve.media.places import Place, Places
from pixlsrve.media.places.build import ensure_places

log = structlog.get_logger(__name__)

PLACES_RETRY_S = 3_600.0
T = TypeVar("T")


class PlaceNames:
    """Names from the places file; none until it is there (the first start from source builds it).

    `when_there` is awaited once the names are there, `when_late` called when they will not be there for long.
    """

    def __init__(self, data_dir: Path) -> None:
        self.when_there: Callable[[], Awaitable[None]] | None = None
        self.when_late: Callable[[], None] | None = None
        self._data_dir = data_dir
        self._places: Places | None = None

    def lookup(self, latitude: float, longitude: float) -> Place | None:
        """The place at a position, or None."""
        return None if self._places is None else self._places.lookup(latitude, longitude)

    async def run(self) -> None:
        """Open the file, building it where it is missing (again in an hour when that fails); close it in the end."""
        while True:
            try:
                places = Places(await _unhurried(lambda: ensure_places(self._data_dir)))
            except StorageError as error:
                log.warning("photos are found without their places", cause=error.message, retry_in_s=PLACES_RETRY_S)
                if self.when_late is not None:
                    self.when_late()
                await asyncio.sleep(PLACES_RETRY_S)
                continue
            try:
                await self._lend(places)
            finally:
                self._places = None
                places.close()

    async def _lend(self, places: Places) -> None:
        """Answer from the file until cancelled."""
        self._places = places
        if self.when_there is not None:
            await self.when_there()
        await asyncio.Event().wait()


async def _unhurried(job: Callable[[], T]) -> T:
    """The result of a long job in a thread that the end of the process does not wait for."""
    loop, result = asyncio.get_running_loop(), Future[T]()
    result.set_running_or_notify_cancel()  # so that the thread may end it after its waiter has gone

    def work() -> None:
        try:
            result.set_result(job())
        except BaseException as error:  # noqa: BLE001  # handed to whoever waits
            result.set_exception(error)

    threading.Thread(target=work, name="unhurried", daemon=True).start()
    return await asyncio.wrap_future(result, loop=loop)
