"""Bodies of answers that few ask for, and that take long to make."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Later:
    """A body that is made when it is first asked for, beside everything else, and kept."""

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._body: bytes | None = None
        self._turn = asyncio.Lock()

    async def body(self) -> bytes:
        """The body."""
        async with self._turn:
            if self._body is None:
                self._body = await asyncio.to_thread(self._make)
            return self._body
