"""Background services: what they are, and the runner that starts, restarts and ends them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
STOP_LIMIT_S = 10.0


class Service(Protocol):
    """Something that works inside `run` until it is cancelled."""

    async def run(self) -> None:
        """Work until cancelled."""


async def _keep_running(name: str, service: Service, failing: dict[str, str]) -> None:
    """Run `service`, and again with a growing pause each time it fails; `failing` has its name meanwhile."""
    pause_s = FIRST_PAUSE_S
    loop = asyncio.get_running_loop()
    recovery: asyncio.TimerHandle | None = None
    while True:
        started = loop.time()
        try:
            await service.run()
        except Exception as error:
            log.exception("service failed", service=name, restart_in_s=pause_s)
            failing[name] = type(error).__name__
            if recovery is not None:
                recovery.cancel()
        else:
            return
        if loop.time() - started > LONGEST_PAUSE_S:
            pause_s = FIRST_PAUSE_S
        await asyncio.sleep(pause_s)
        recovery = loop.call_later(pause_s, failing.pop, name, None)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


@contextlib.asynccontextmanager
async def running(
    name: str, service: Service, failing: dict[str, str] | None = None, *, after: asyncio.Event | None = None
) -> AsyncIterator[None]:
    """Keep `service` running for the length of the block; cancelled and awaited at its end, at most 10 s.

    `failing` maps the names of services that fail just now to the kind of their error. With `after` it begins when that
    is set.
    """

    async def run() -> None:
        if after is not None:
            await after.wait()
        await _keep_running(name, service, {} if failing is None else failing)

    task = asyncio.create_task(run(), name=name)
    try:
        yield
    finally:
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=STOP_LIMIT_S)
        if not done:
            log.warning("service did not stop in time", service=name, limit_s=STOP_LIMIT_S)
