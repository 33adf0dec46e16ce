"""The broadcast's listener by itself: who may connect, who is cut off, and what follows an upload."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import websockets
from aiohttp import web

from pixlsrve.config import CompatConfig
from pixlsrve.events import EventType
from pixlsrve.http import keys
from pixlsrve.http.flutter.websocket import Broadcast
from pixlsrve.http.hosts import Hosts
from pixlsrve.services import running
from tests.http.conftest import Service
from tests.http.conftest import running as serving

WAIT_S = 60.0
HTTP_PORT, HTTPS_PORT = 18080, 18443


class Casting:
    """A listening broadcast."""

    def __init__(self, broadcast: Broadcast, service: Service) -> None:
        self.broadcast = broadcast
        self.service = service

    def connect(self, host: str = "127.0.0.1", path: str = "/", **options: Any) -> Any:
        """A client."""
        return websockets.connect(f"ws://{host}:{self.broadcast.port}{path}", **options)

    async def refusal(self, path: str = "/", **options: Any) -> int:
        """The status with which a handshake is refused."""
        with pytest.raises(websockets.InvalidStatus) as caught:
            await self.connect(path=path, **options)
        assert "error" in json.loads(caught.value.response.body or b"")
        return caught.value.response.status_code


@contextlib.asynccontextmanager
async def casting(config: CompatConfig | None = None, **options: Any) -> AsyncIterator[Casting]:
    """A broadcast on a free port, beside an application that knows the test's tokens."""
    async with serving() as service:
        app: web.Application = service.app
        broadcast = Broadcast(
            config or CompatConfig(),
            callers=app[keys.CALLERS],
            peers=app[keys.PEERS],
            hosts=Hosts(names=["box"]),
            bus=service.bus,
            **options,
        )
        broadcast.http_ports = {"http": HTTP_PORT, "https": HTTPS_PORT}
        async with running("broadcast", broadcast):
            await broadcast.open(0)
            try:
                yield Casting(broadcast, service)
            finally:
                await broadcast.stop()


@pytest.fixture
async def cast() -> AsyncIterator[Casting]:
    """A broadcast on loopback."""
    async with casting() as made:
        yield made


@pytest.mark.parametrize(
    "origin", [f"http://127.0.0.1:{HTTP_PORT}", f"https://127.0.0.1:{HTTPS_PORT}", f"http://localhost:{HTTP_PORT}"]
)
async def test_own_pages_may_connect(cast: Casting, origin: str) -> None:
    """T28: pages of our own listeners may open the websocket."""
    async with cast.connect(origin=origin):
        pass


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        f"http://evil.example:{HTTP_PORT}",
        f"http://203.0.113.5:{HTTP_PORT}",
        f"https://127.0.0.1:{HTTP_PORT}",
        "http://127.0.0.1",
        f"http://127.0.0.1:{HTTP_PORT}.evil.example",
        "null",
        "file://",
    ],
)
async def test_foreign_pages_may_not_connect(cast: Casting, origin: str) -> None:
    """T28: a page of any other origin is 403, also where it only looks alike or is at a number."""
    assert await cast.refusal(origin=origin) == 403


async def test_words_are_the_doors_own(cast: Casting) -> None:
    """T15: what somebody expects in vain (RFC 9110 §10.1.1) is passed over, and no word of the framework's gets out."""
    reader, writer = await asyncio.open_connection("127.0.0.1", cast.broadcast.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: box\r\nExpect: cake\r\nConnection: close\r\n\r\n")
    head, _, body = (await asyncio.wait_for(reader.read(), WAIT_S)).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 400 ")
    assert set(json.loads(body)) == {"error"}


async def test_foreign_names_are_refused(cast: Casting) -> None:
    """T27: a name that is not ours is 421, whatever address it leads to."""
    reader, writer = await asyncio.open_connection("127.0.0.1", cast.broadcast.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: evil.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    assert (await asyncio.wait_for(reader.readline(), WAIT_S)).startswith(b"HTTP/1.1 421 ")
    writer.close()


async def test_plain_requests_are_told(cast: Casting) -> None:
    """A browser that asks for a page here is told what this is, as JSON."""
    async with cast.service.client.get(f"http://127.0.0.1:{cast.broadcast.port}/") as response:
        assert response.status == 400
        assert "websocket" in (await response.json())["error"]


async def test_proxied_clients_need_a_token(cast: Casting) -> None:
    """T28: behind a proxy on this host may be anybody, so that being on loopback counts for nothing."""
    assert await cast.refusal(additional_headers={"X-Forwarded-For": "198.51.100.1"}) == 401
    headers = {"X-Forwarded-For": "198.51.100.1", "Authorization": "Bearer member-token"}
    async with cast.connect(additional_headers=headers):
        pass


async def test_credentials_are_kept_and_not_shown(cast: Casting) -> None:
    """What a client sends as credential is kept with its connection, whatever it is, and in no text about it."""
    async with cast.connect(path="/?token=sesame"), cast.connect(additional_headers={"Authorization": "Bearer x"}):
        kept = [client.credential for client in cast.broadcast._crowd]
    assert [credential and credential.value for credential in kept] == ["sesame", "x"]
    assert "sesame" not in repr(kept)


async def test_withdrawn_access_closes() -> None:
    """T7: where a credential is required, its end is the connection's; others stay."""
    async with casting(CompatConfig(websocket_host="0.0.0.0")) as cast:  # noqa: S104  # to be bound beyond loopback
        assert await cast.refusal() == 401
        async with cast.connect(path="/?token=member-token") as mine, cast.connect(path="/?token=admin-token") as other:
            cast.service.tokens.revoked.add("member-token")
            await cast.broadcast.recheck()
            with pytest.raises(websockets.ConnectionClosed) as caught:
                await asyncio.wait_for(mine.recv(), WAIT_S)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1008
            await other.send("here")
            assert await asyncio.wait_for(other.recv(), WAIT_S) == "Echo: here"


async def test_play_follows_an_upload() -> None:
    """PLAY follows a file that came by /media_post/, and no other one."""
    async with casting(play_after_s=(0.0, 0.01)) as cast, cast.connect() as client:
        cast.service.bus.publish(EventType.MEDIA_UPLOADED, {"media_id": "other"})
        cast.service.bus.publish(EventType.MEDIA_POSTED, {"media_id": "abc"})
        assert await asyncio.wait_for(client.recv(), WAIT_S) == '{"action":"PLAY","value":"abc"}'


async def test_heartbeat_goes_to_all() -> None:
    """The heartbeat comes again and again, to every client."""
    async with casting(heartbeat_s=0.01) as cast, cast.connect() as one, cast.connect() as two:
        for client in (one, two, one, two):
            assert await asyncio.wait_for(client.recv(), WAIT_S) == "[ping] Server heartbeat"


async def test_messages_are_bounded(cast: Casting) -> None:
    """T30: 64 KiB are echoed, more is closed with 1009; nothing is compressed."""
    async with cast.connect(max_size=None) as client:
        assert client.protocol.extensions == []
        await client.send("x" * (64 * 1024 - 1))
        assert len(await asyncio.wait_for(client.recv(), WAIT_S)) == 64 * 1024 + 5
        await client.send("x" * (64 * 1024 + 1))
        with pytest.raises(websockets.ConnectionClosed) as caught:
            await asyncio.wait_for(client.recv(), WAIT_S)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009


async def test_flood_is_held_back(cast: Casting) -> None:
    """T30: a client that floods is read no faster than its pace, so that the others are heard at once."""
    async with cast.connect() as quiet, aiohttp.ClientSession() as session:
        noisy = await session.ws_connect(f"http://127.0.0.1:{cast.broadcast.port}/")

        async def flood() -> None:
            for _ in range(1_000):
                await noisy.send_str("y" * 30_000)

        flooding = asyncio.create_task(flood())
        for _ in range(5):
            assert (await asyncio.wait_for(quiet.recv(), WAIT_S)).startswith("Echo: yyy")
        await quiet.send("me too")
        before = 0
        while await asyncio.wait_for(quiet.recv(), WAIT_S) != "Echo: me too":
            before += 1
        assert before < 50
        assert cast.broadcast.open_count == 2
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)


async def test_silent_client_is_cut_off(cast: Casting) -> None:
    """T30: a client that reads nothing is closed once 256 KiB wait for it, and delays nobody."""
    reader, writer = await asyncio.open_connection("127.0.0.1", cast.broadcast.port, limit=1)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: box\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert (await reader.read(12)).startswith(b"HTTP/1.1 101")
    async with cast.connect(max_size=None) as client:
        assert cast.broadcast.open_count == 2
        text = "z" * 60_000
        for _ in range(1_000):
            await cast.broadcast.send(text)
            assert await asyncio.wait_for(client.recv(), WAIT_S) == text
            if cast.broadcast.open_count == 1:
                break
        assert cast.broadcast.open_count == 1
    writer.transport.abort()


async def test_foreign_library_of_ours(cast: Casting) -> None:
    """Another client library understands the same frames."""
    async with cast.service.client.ws_connect(f"http://127.0.0.1:{cast.broadcast.port}/") as client:
        await client.send_str("hello")
        assert (await client.receive_str(timeout=WAIT_S)) == "Echo: hello"
