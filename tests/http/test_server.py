"""Listeners: ports, address families, and a stop that lets answers finish."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import pytest
from aiohttp import web

from pixlsrve.errors import StartError
from pixlsrve.http.server import HttpServer, bind


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


def make_app(handler: object = hello) -> web.Application:
    app = web.Application()
    app.router.add_get("/", handler)  # type: ignore[arg-type]  # a handler, as the tests below write it
    return app


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


async def test_all_addresses_share_one_port() -> None:
    """Without an address, IPv4 and IPv6 are served on one port, which 0 picks freely."""
    async with HttpServer(make_app()) as server, aiohttp.ClientSession() as client:
        assert server.bound_port > 0
        assert {port for _, port in server.bound_addresses} == {server.bound_port}
        assert server.url_host == "127.0.0.1"
        for host in ["127.0.0.1", *(["[::1]"] if has_ipv6() else [])]:
            async with client.get(f"http://{host}:{server.bound_port}/") as response:
                assert await response.text() == "hello"


async def test_one_address_is_served_alone() -> None:
    """With an address, only that one is listened on."""
    async with HttpServer(make_app(), host="127.0.0.1") as server:
        assert server.bound_addresses == [("127.0.0.1", server.bound_port)]
        assert server.url_host == "127.0.0.1"


async def test_taken_port_is_named() -> None:
    """A taken port stops the start with a sentence that says which and what to do."""
    async with HttpServer(make_app(), host="127.0.0.1") as first:
        second = HttpServer(make_app(), host="127.0.0.1", port=first.bound_port)
        with pytest.raises(StartError, match=str(first.bound_port)) as caught:
            await second.start()
        assert caught.value.reason == "port_taken"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "203.0.113.77"])
async def test_foreign_address_is_refused(host: str) -> None:
    """An address that isn't this host's stops the start."""
    with pytest.raises(StartError):
        await bind(host, 0)


async def test_port_is_free_again_after_a_stop() -> None:
    """A stopped server's port can be bound again at once."""
    async with HttpServer(make_app(), host="127.0.0.1") as server:
        port = server.bound_port
    async with HttpServer(make_app(), host="127.0.0.1", port=port) as server:
        assert server.bound_port == port


async def test_stop_lets_answers_finish() -> None:
    """A stop takes no further connection, closes idle ones and waits for answers that have begun."""
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        begun.set()
        await may_end.wait()
        return web.Response(text="complete")

    server = HttpServer(make_app(slow), host="127.0.0.1")
    await server.start()
    async with aiohttp.ClientSession() as client:
        asking = asyncio.create_task(client.get(f"http://127.0.0.1:{server.bound_port}/"))
        idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", server.bound_port)
        await begun.wait()
        stopping = asyncio.create_task(server.stop())
        assert await asyncio.wait_for(idle_reader.read(), 10) == b""
        idle_writer.close()
        assert not stopping.done()
        may_end.set()
        async with await asking as response:
            assert await response.text() == "complete"
        await asyncio.wait_for(stopping, 10)


async def test_stop_does_not_wait_forever() -> None:
    """An answer that doesn't end is cut off when the time to drain is over."""
    begun = asyncio.Event()

    async def endless(_: web.Request) -> web.Response:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    server = HttpServer(make_app(endless), host="127.0.0.1", drain_s=0.05)
    await server.start()
    async with aiohttp.ClientSession() as client:
        asking = asyncio.create_task(client.get(f"http://127.0.0.1:{server.bound_port}/"))
        await begun.wait()
        await asyncio.wait_for(server.stop(), 10)
        with pytest.raises(aiohttp.ClientConnectionError):
            await asking


@pytest.mark.parametrize("is_cancelling", [True, False])
async def test_client_that_goes(is_cancelling: bool) -> None:
    """A handler whose client has gone ends where that is asked for, and else goes on to its end."""
    begun, go_on, ends = asyncio.Event(), asyncio.Event(), asyncio.Queue[str]()

    async def work(_: web.Request) -> web.Response:
        begun.set()
        try:
            await go_on.wait()
        except asyncio.CancelledError:
            ends.put_nowait("cancelled")
            raise
        ends.put_nowait("done")
        return web.Response()

    async with HttpServer(make_app(work), host="127.0.0.1", is_cancelling=is_cancelling) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.bound_port)
        writer.write(b"GET / HTTP/1.1\r\nHost: box\r\n\r\n")
        await begun.wait()
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(10):
            while server.open_count:
                await asyncio.sleep(0.005)
            if not is_cancelling:
                go_on.set()
            assert await ends.get() == ("cancelled" if is_cancelling else "done")
