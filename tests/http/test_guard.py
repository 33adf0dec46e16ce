"""T29: stalled connections end at their deadlines, and filling the host with connections shuts nobody out."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import resource
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from pixlsrve.http.guard import Limits, raise_descriptor_limit
from pixlsrve.http.server import HttpServer
from pixlsrve.tls.certificates import Subjects
from pixlsrve.tls.keeper import OwnKeeper

WAIT_S = 60.0
QUICK = 0.05
REQUEST = b"GET / HTTP/1.1\r\nHost: box\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def answer(_: web.Request) -> web.Response:
    return web.Response(text="ok")


async def swallow(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.read())))


async def pour(request: web.Request) -> web.StreamResponse:
    """An answer that goes on as long as it is taken."""
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(bytes(65_536))
    return response


@asynccontextmanager
async def serving(limits: Limits, *, proxies: tuple[str, ...] = ()) -> AsyncIterator[HttpServer]:
    """The three handlers on loopback."""
    app = web.Application(client_max_size=2**30)
    app.router.add_get("/", answer)
    app.router.add_post("/", swallow)
    app.router.add_get("/pour", pour)
    trusted = [ipaddress.ip_network(proxy) for proxy in proxies]
    async with HttpServer(app, host="127.0.0.1", limits=limits, trusted_proxies=trusted, drain_s=0.1) as server:
        yield server


_opened: list[asyncio.StreamWriter] = []


@pytest.fixture(autouse=True)
async def _closing() -> AsyncIterator[None]:
    """End the client's halves of all connections after each test."""
    yield
    while _opened:
        writer = _opened.pop()
        writer.close()
        writer.transport.abort()
    await asyncio.sleep(0)


async def connect(port: int, source: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> Streams:
    streams = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0), ssl=context)
    _opened.append(streams[1])
    return streams


async def ends(reader: asyncio.StreamReader) -> bytes:
    """What is sent until the other side ends the connection."""
    received = b""
    async with asyncio.timeout(WAIT_S):
        try:
            while piece := await reader.read(65_536):
                received += piece
        except ConnectionError:
            return received
    return received


async def ask(streams: Streams) -> bytes:
    """The status line of an answer on a connection that stays open."""
    reader, writer = streams
    writer.write(REQUEST)
    async with asyncio.timeout(WAIT_S):
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2)
    return head.partition(b"\r\n")[0]


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: box\r\nX-Slow: "])
async def test_header_has_a_deadline(sent: bytes) -> None:
    """T29: a connection that says nothing, or half a header, is ended."""
    async with serving(Limits(header_s=QUICK, sweep_s=QUICK / 5)) as server:
        reader, writer = await connect(server.bound_port)
        writer.write(sent)
        assert await ends(reader) == b""


async def test_dripping_header_gains_nothing() -> None:
    """T29: bytes that trickle in don't move the deadline of a header, on the first request or a later one."""
    async with serving(Limits(header_s=0.2, sweep_s=0.02)) as server:
        streams = await connect(server.bound_port)
        assert await ask(streams) == b"HTTP/1.1 200 OK"

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                for byte in b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000:
                    streams[1].write(bytes([byte]))
                    await streams[1].drain()
                    await asyncio.sleep(0.01)

        dripping = asyncio.create_task(drip())
        assert await ends(streams[0]) == b""
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


async def test_idle_connection_outlives_the_header_deadline() -> None:
    """A connection that has been used may rest for longer than a header may take, up to its own limit."""
    async with serving(Limits(header_s=0.05, idle_s=0.4, sweep_s=0.01)) as server:
        streams = await connect(server.bound_port)
        await ask(streams)
        loop = asyncio.get_running_loop()
        started = loop.time()
        assert await ends(streams[0]) == b""
        assert loop.time() - started >= 0.3


async def test_stalled_body_is_cut() -> None:
    """T29: a body that stops coming in ends the connection; the framework would wait forever."""
    async with serving(Limits(body_window_s=QUICK, sweep_s=QUICK / 5)) as server:
        reader, writer = await connect(server.bound_port)
        writer.write(b"POST / HTTP/1.1\r\nHost: box\r\nContent-Length: 1000000\r\n\r\nbegun")
        assert await ends(reader) == b""


async def test_trickling_body_is_cut_and_a_fair_one_is_not() -> None:
    """T29: it is the rate that counts, not that something comes."""
    limits = Limits(body_window_s=0.2, sweep_s=0.02, least_bytes_s=10_000)
    async with serving(limits) as server:
        outcomes = []
        for piece in (b"x" * 10, b"x" * 2_000):
            reader, writer = await connect(server.bound_port)
            writer.write(b"POST / HTTP/1.1\r\nHost: box\r\nConnection: close\r\n")
            writer.write(f"Content-Length: {len(piece) * 60}\r\n\r\n".encode())
            for _ in range(60):
                with contextlib.suppress(ConnectionError):
                    writer.write(piece)
                    await writer.drain()
                await asyncio.sleep(0.01)
            outcomes.append(await ends(reader))
    assert outcomes[0] == b""
    assert outcomes[1].startswith(b"HTTP/1.1 200")


async def test_answer_that_nobody_takes_is_cut() -> None:
    """T29: a client that stops reading does not hold its answer forever."""
    async with serving(Limits(response_window_s=QUICK, sweep_s=QUICK / 5)) as server:
        reader, writer = await connect(server.bound_port)
        assert isinstance(writer.transport, asyncio.Transport)
        writer.transport.pause_reading()
        writer.write(b"GET /pour HTTP/1.1\r\nHost: box\r\n\r\n")
        async with asyncio.timeout(WAIT_S):
            while not server.open_count:
                await asyncio.sleep(0.005)
            while server.open_count:
                await asyncio.sleep(0.005)
        writer.transport.resume_reading()
        await ends(reader)


async def test_answer_that_is_taken_goes_on() -> None:
    """A client that reads is left alone, however many windows its answer takes."""
    async with serving(Limits(response_window_s=0.02, sweep_s=0.005)) as server:
        reader, writer = await connect(server.bound_port)
        writer.write(b"GET /pour HTTP/1.1\r\nHost: box\r\n\r\n")
        loop = asyncio.get_running_loop()
        end = loop.time() + 0.3
        while loop.time() < end:
            assert await reader.read(65_536)


async def test_full_address_makes_room_for_its_newest() -> None:
    """T29: one address has a cap; silent connections give way to new ones, so that nobody locks himself out."""
    async with serving(Limits(per_address=5)) as server:
        silent = [await connect(server.bound_port) for _ in range(5)]
        used = await connect(server.bound_port)
        assert await ask(used) == b"HTTP/1.1 200 OK"
        silent += [await connect(server.bound_port) for _ in range(20)]
        assert await ask(used) == b"HTTP/1.1 200 OK"
        assert await ask(await connect(server.bound_port)) == b"HTTP/1.1 200 OK"
        assert server.open_count == 5


async def test_full_host_makes_room() -> None:
    """T29: there is a cap for all addresses together, by which silent connections go first."""
    async with serving(Limits(total=1)) as server:
        total = 32  # the least that makes sense
        for number in range(total * 2):
            await connect(server.bound_port, f"127.0.0.{number % 7 + 2}")
        assert await ask(await connect(server.bound_port)) == b"HTTP/1.1 200 OK"
        assert server.open_count == total


async def test_busy_connections_are_not_taken_for_room() -> None:
    """Where every connection is at work, a further one is refused and the others go on."""
    async with serving(Limits(per_address=2)) as server:
        busy = [await connect(server.bound_port) for _ in range(2)]
        for reader, writer in busy:
            writer.write(b"GET /pour HTTP/1.1\r\nHost: box\r\n\r\n")
            assert await reader.read(1)
        refused = await connect(server.bound_port)
        refused[1].write(REQUEST)
        assert await ends(refused[0]) == b""
        assert await connect_and_ask(server.bound_port, "127.0.0.9") == b"HTTP/1.1 200 OK"
        for reader, _ in busy:
            assert await reader.read(65_536)


async def test_half_bodies_make_room() -> None:
    """T29: clients that stop in the middle of a body don't fill the host: they give way like silent ones."""
    async with serving(Limits(per_address=3, sweep_s=0.02)) as server:
        for _ in range(3):
            _, writer = await connect(server.bound_port)
            writer.write(b"POST / HTTP/1.1\r\nHost: box\r\nContent-Length: 1000000\r\n\r\nbegun")
        async with asyncio.timeout(WAIT_S):
            while (streams := await connect(server.bound_port)) and not await _is_served(streams):
                await asyncio.sleep(0.02)
        assert server.open_count == 3


async def _is_served(streams: Streams) -> bool:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        return await ask(streams) == b"HTTP/1.1 200 OK"
    return False


async def connect_and_ask(port: int, source: str) -> bytes:
    return await ask(await connect(port, source))


async def test_trusted_proxy_has_no_cap_of_its_own() -> None:
    """A configured proxy speaks for many clients, so that only the total counts for it."""
    async with serving(Limits(per_address=2), proxies=("127.0.0.1",)) as server:
        streams = [await connect(server.bound_port) for _ in range(6)]
        assert [await ask(one) for one in streams] == [b"HTTP/1.1 200 OK"] * 6
        assert server.open_count == 6


@pytest.fixture
def keeper(tmp_path: Path) -> OwnKeeper:
    loopback = Subjects(frozenset({"localhost"}), frozenset({ipaddress.ip_address("127.0.0.1")}))
    made = OwnKeeper(tmp_path / "keys", "box", lambda: loopback, lambda: dt.datetime.now(dt.UTC))
    made.refresh()
    return made


async def test_handshake_is_guarded_too(keeper: OwnKeeper) -> None:
    """T29: a TLS handshake that doesn't go on counts and ends like any other connection; others are served."""
    trusted = keeper.authority_pem()
    assert trusted is not None
    client = ssl.create_default_context(cadata=trusted.decode())
    async with serving(Limits(header_s=0.3, sweep_s=0.02, per_address=3)) as server:
        await server.listen_tls(keeper.context, 0)
        assert server.tls_port is not None
        silent = [await connect(server.tls_port) for _ in range(6)]
        streams = await connect(server.tls_port, context=client)
        assert await ask(streams) == b"HTTP/1.1 200 OK"
        assert server.open_count <= 3
        for reader, _ in silent:
            assert await ends(reader) == b""
        assert await ask(streams) == b"HTTP/1.1 200 OK"


async def test_plain_http_at_the_tls_port_ends(keeper: OwnKeeper) -> None:
    """What is no TLS gets no answer and leaves nothing behind."""
    async with serving(Limits()) as server:
        await server.listen_tls(keeper.context, 0)
        assert server.tls_port is not None
        reader, writer = await connect(server.tls_port)
        writer.write(REQUEST)
        assert b"HTTP" not in await ends(reader)
        async with asyncio.timeout(WAIT_S):
            while server.open_count:
                await asyncio.sleep(0.005)


async def test_stop_ends_handshakes(keeper: OwnKeeper) -> None:
    """A stop does not wait for clients in mid-handshake."""
    async with serving(Limits()) as server:
        await server.listen_tls(keeper.context, 0)
        assert server.tls_port is not None
        reader, _ = await connect(server.tls_port)
        async with asyncio.timeout(WAIT_S):
            while not server.open_count:
                await asyncio.sleep(0.005)
    assert await ends(reader) == b""


def test_descriptors_are_raised() -> None:
    """The daemon may open as many files as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 512), hard))
        raise_descriptor_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(hard, 65_536)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_loopback_addresses_are_distinct() -> None:
    """What the tests above rely on: every address of 127/8 is ours."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.9", 0))
