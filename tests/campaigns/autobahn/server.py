"""An echo server on the product's websocket stack, with its size limit and its pace lifted; for the campaign only.

Prints the port, and serves until it is ended.
"""

from __future__ import annotations

import asyncio

import uvloop
from aiohttp import WSCloseCode, web

from pixlsrve.http.server import HttpServer
from pixlsrve.http.sockets import Client

MESSAGE_MAX_BYTES = 64 * 1024 * 1024
"""The suite's largest message has 16 MiB."""


async def echo(request: web.Request) -> web.StreamResponse:
    """Send back every message as it came."""
    client = Client(request, "autobahn", max_bytes=MESSAGE_MAX_BYTES)
    await client.open(request)
    async for message in client.messages(is_paced=False):
        data = message.data.encode("utf-8") if isinstance(message.data, str) else message.data
        await client.socket.send_frame(data, message.type)
    await client.close(WSCloseCode.OK, b"")
    return client.socket


async def main() -> None:
    """Serve."""
    app = web.Application()
    app.router.add_get("/", echo)
    async with HttpServer(app, host="127.0.0.1") as server:
        print(server.bound_port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
