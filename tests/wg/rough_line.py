"""A rough line: passes datagrams on after a delay, and loses some. Run as a program in a namespace.

    python -m tests.wg.rough_line PORT TARGET_ADDRESS TARGET_PORT

The kernel's netem would do the same, but not every machine that runs the tests has it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

DELAY_S = 0.04
"""Each way: a mobile network's round trip of 80 ms."""
LOST_EVERY = 50
"""2 %, evenly spread."""
Address = tuple[str, int]


class _End(asyncio.DatagramProtocol):
    """One end of the line; `deliver` gets what was not lost, later."""

    def __init__(self, deliver: Callable[[bytes, Address], None]) -> None:
        self._deliver = deliver
        self._count = 0

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Lose it, or hand it on after the delay."""
        self._count += 1
        if self._count % LOST_EVERY == 0:
            print("lost", flush=True)
        else:
            asyncio.get_running_loop().call_later(DELAY_S, self._deliver, data, addr)


class Line:
    """The line of one caller."""

    def __init__(self, port: int, target: Address) -> None:
        self._port, self._target = port, target
        self._caller: Address | None = None
        self._near: asyncio.DatagramTransport | None = None
        self._far: asyncio.DatagramTransport | None = None

    async def run(self) -> None:
        """Carry datagrams until ended."""
        loop = asyncio.get_running_loop()
        self._far, _ = await loop.create_datagram_endpoint(lambda: _End(self._back), remote_addr=self._target)
        self._near, _ = await loop.create_datagram_endpoint(lambda: _End(self._out), local_addr=("0.0.0.0", self._port))  # noqa: S104  # in a namespace of its own
        print("ready", flush=True)
        await asyncio.Event().wait()

    def _out(self, data: bytes, addr: Address) -> None:
        self._caller = addr
        if self._far is not None:
            self._far.sendto(data)

    def _back(self, data: bytes, _: Address) -> None:
        if self._near is not None and self._caller is not None:
            self._near.sendto(data, self._caller)


if __name__ == "__main__":
    asyncio.run(Line(int(sys.argv[1]), (sys.argv[2], int(sys.argv[3]))).run())
