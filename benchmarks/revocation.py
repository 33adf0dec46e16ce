"""How long after a device is revoked its running stream and websocket end; prints JSON.

Reach: p99 over 200 tries at most 1 s (THREATS T7). Each try pairs a device with the real identity on a real database,
opens an endless answer and a websocket for it over loopback, revokes it, and notes when the last byte and the close
frame came. Reference of the same run: the revocation's own transaction.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp
from aiohttp import web

from pixlsrve.config import Config, RateLimitsConfig
from pixlsrve.http import application, keys
from pixlsrve.http.push import ROUTES
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.http.server import HttpServer
from tests.auth.kit import open_kit

TRIES = 200
WAIT_S = 10.0


async def pour(request: web.Request) -> web.StreamResponse:
    """An answer without an end."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(65_536))
        await asyncio.sleep(0.001)


async def last_byte(response: aiohttp.ClientResponse) -> float:
    """When the stream ended."""
    try:
        while await response.content.readany():
            pass
    except aiohttp.ClientError:
        pass
    return time.perf_counter()


async def last_frame(socket: aiohttp.ClientWebSocketResponse) -> float:
    """When the websocket ended."""
    while (await socket.receive()).type not in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}:
        pass
    return time.perf_counter()


def figures(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "p50_ms": round(statistics.median(ordered) * 1000, 1),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 1),
    }


async def run(folder: Path) -> dict[str, object]:
    off = RateLimitsConfig(**dict.fromkeys(RateLimitsConfig.__struct_fields__, "off"))
    stream = Route(
        method="GET", path="/api/v1/pour", handler=pour, access=Access.MEMBER, rate=Rate.FREE, summary="For this."
    )
    streams, sockets, calls = [], [], []
    async with open_kit(folder) as kit:
        config = Config(data_dir="", storage_dir="", rate_limits=off)
        app = application.build([*ROUTES, stream], config, authenticator=kit.identity.authenticator, bus=kit.bus)
        for part in (app[keys.HUB], app[keys.RUNNING]):
            kit.identity.revocation.on_change(part.recheck)
        async with HttpServer(app, host="127.0.0.1") as server, aiohttp.ClientSession() as client:
            base = f"http://127.0.0.1:{server.bound_port}/api/v1"
            for _ in range(TRIES):
                device, tokens = await kit.pair()
                headers = {"Authorization": f"Bearer {tokens.access_token}"}
                async with (
                    client.get(f"{base}/pour", headers=headers) as response,
                    client.ws_connect(f"{base}/ws", headers=headers) as socket,
                ):
                    await response.content.readexactly(65_536)
                    ends = asyncio.gather(last_byte(response), last_frame(socket))
                    started = time.perf_counter()
                    await kit.identity.devices.revoke(device)
                    calls.append(time.perf_counter() - started)
                    async with asyncio.timeout(WAIT_S):
                        streamed, framed = await ends
                    streams.append(streamed - started)
                    sockets.append(framed - started)
    return {
        "tries": TRIES,
        "last_byte": figures(streams),
        "websocket_closed": figures(sockets),
        "reach_p99_ms": 1_000,
        "reference_revoke_call": figures(calls),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(run(Path(folder)))))


if __name__ == "__main__":
    main()
