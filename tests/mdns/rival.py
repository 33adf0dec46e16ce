"""A namesake that speaks once: as soon as another host announces INSTANCE, it says that the name is its own.

Usage: python -m tests.mdns.rival ADDRESS INSTANCE; writes `listening`, and `claimed` when it has spoken.
"""

from __future__ import annotations

import asyncio
import socket
import sys

from zeroconf import RecordUpdate, RecordUpdateListener, ServiceInfo, Zeroconf
from zeroconf.asyncio import AsyncZeroconf

from pixlsrve.mdns import record

SRV = 33
SERVER = "zzz.local."
"""After every host's of ours: by the order of the names it keeps what it claims."""


class Rival(RecordUpdateListener):
    """Waits for the first announcement of a name."""

    def __init__(self, info: ServiceInfo) -> None:
        self._info = info
        self._has_spoken = False

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        """Speak, when it is the name."""
        if self._has_spoken or not any(each.new.type == SRV and each.new.key == self._info.key for each in records):
            return
        self._has_spoken = True
        zc.async_send(zc.generate_service_broadcast(self._info, None))
        print("claimed", flush=True)


async def main(address: str, instance: str) -> None:
    """Listen until ended."""
    info = ServiceInfo(
        record.SERVICE_TYPE,
        record.service_name(instance),
        port=80,
        server=SERVER,
        addresses=[socket.inet_aton(address)],
    )
    responder = AsyncZeroconf(interfaces=[address])
    await responder.zeroconf.async_wait_for_start()
    responder.zeroconf.async_add_listener(Rival(info), None)
    print("listening", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
