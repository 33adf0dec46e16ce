"""A host of the tests: one advertiser in a process of its own. Writes `announced NAME` each time that it has.

Usage: python -m tests.mdns.host NAME [HOST_ID [BOUND ...]]
"""

from __future__ import annotations

import asyncio
import signal
import sys

import structlog

from pixlsrve.mdns.advertiser import Advertiser
from pixlsrve.mdns.record import Announcement
from pixlsrve.services import running

HOST_ID = "3f2b8c1e-0000-4000-8000-000000000001"


def _write(_: object, __: str, event: structlog.typing.EventDict) -> str:
    """Our own lines from the log."""
    return f"announced {event['name']}" if event["event"] == "announced on the LAN" else str(event)


async def main(name: str, host_id: str = HOST_ID, *bound: str) -> None:
    """Announce until told to stop."""
    structlog.configure(processors=[_write], logger_factory=structlog.PrintLoggerFactory(sys.stdout))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    what = Announcement(host_id=host_id, version="1.2.3", api_port=8080, has_tls=True, name=name)
    everywhere = ("0.0.0.0", "::")  # noqa: S104  # told, not bound
    advertiser = Advertiser(what, bound=bound or everywhere, excluded={"pixlsrve0"})
    async with running("mdns", advertiser):
        print("waiting", flush=True)
        await stop.wait()


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a text stream, here
    asyncio.run(main(*sys.argv[1:]))
