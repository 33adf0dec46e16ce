"""Work that is not abandoned half-way: what is written and what memory says of it stay together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_running: set[asyncio.Task[Any]] = set()


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which goes on to its end even when whoever waits for it is cancelled."""
    task = asyncio.ensure_future(work)
    _running.add(task)  # the loop itself holds its tasks weakly
    task.add_done_callback(_running.discard)
    return await asyncio.shield(task)
