"""The event websocket: who may listen, what is replayed, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from pixlsrve.config import RateLimitsConfig
from pixlsrve.errors import NotAuthenticated, Unavailable
from pixlsrve.events import EventBus, EventType
from pixlsrve.http import application, keys
from pixlsrve.http.credentials import TICKET_LIFE_S, Credential, Tickets
from pixlsrve.http.push import Hub
from pixlsrve.model import Principal, Role

AS_MEMBER = {"Authorization": "Bearer member-token"}
WAIT_S = 60.0


def listen(service: Any, query: str = "", **headers: str) -> Any:
    """A websocket of the member, or of whoever the headers say."""
    return service.client.ws_connect(f"{service.base}/api/v1/ws{query}", headers=headers or AS_MEMBER)


async def test_events_arrive_in_order(service: Any) -> None:
    """A listener gets each event once, numbered, with its time in UTC."""
    async with listen(service) as socket:
        for number in range(3):
            service.bus.publish(EventType.PHOTO_ADDED, {"id": number})
        messages = [await socket.receive_json(timeout=WAIT_S) for _ in range(3)]
    assert [message["seq"] for message in messages] == [1, 2, 3]
    assert [message["data"] for message in messages] == [{"id": 0}, {"id": 1}, {"id": 2}]
    assert {message["type"] for message in messages} == {"photo.added"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", messages[0]["at"])


async def test_since_replays_what_was_missed(service: Any) -> None:
    """`since` gives what came after it, then goes on without a gap or a repetition."""
    for number in range(4):
        service.bus.publish(EventType.PHOTO_CHANGED, {"id": number})
    async with listen(service, "?since=2") as socket:
        service.bus.publish(EventType.PHOTO_CHANGED, {"id": 4})
        assert [(await socket.receive_json(timeout=WAIT_S))["seq"] for _ in range(3)] == [3, 4, 5]


@pytest.mark.parametrize("since", [1, 999])
async def test_unknown_since_asks_to_start_over(serve: Any, since: int) -> None:
    """A `since` that is too old or was never given leads with `resync`."""
    async with serve() as service:
        service.bus._history = type(service.bus._history)(maxlen=2)
        for number in range(5):
            service.bus.publish(EventType.PHOTO_ADDED, {"id": number})
        async with listen(service, f"?since={since}") as socket:
            first = await socket.receive_json(timeout=WAIT_S)
            assert (first["type"], first["seq"]) == ("resync", 5)
            service.bus.publish(EventType.PHOTO_ADDED, {})
            assert (await socket.receive_json(timeout=WAIT_S))["seq"] == 6


async def test_events_of_hidden_roots_are_not_sent(service: Any) -> None:
    """T17: nobody gets events of a root that they may not see, neither live nor replayed."""
    for root_id in (1, 2, None):
        service.bus.publish(EventType.PHOTO_ADDED, {}, root_id=root_id)
    async with listen(service, "?since=0", Authorization="Bearer one-root-token") as socket:
        for root_id in (2, 1):
            service.bus.publish(EventType.PHOTO_ADDED, {}, root_id=root_id)
        assert [(await socket.receive_json(timeout=WAIT_S))["seq"] for _ in range(3)] == [1, 3, 5]


def test_scans_are_told_to_who_sees_some_of_the_library() -> None:
    """T5: an account to which nothing of the library is open hears of no scan, which would tell what there is."""
    event = EventBus().publish(EventType.SCAN_FINISHED, {"seen": 12_345})
    for roots, is_told in ((None, True), (frozenset({1}), True), (frozenset[int](), False)):
        principal = Principal(id="account:1", role=Role.MEMBER, account_id="1", roots=roots)
        assert event.is_for(principal) is is_told


async def test_events_about_others_are_not_sent(service: Any) -> None:
    """T17: what concerns a device is told to that device, its owner and admins, neither live nor replayed to others."""
    for uuid in ("device-9", "device-1"):
        service.bus.publish(EventType.DEVICE_PAIRED, {}, audience=frozenset({uuid}))
    async with (
        listen(service, "?since=0") as mine,
        listen(service, "?since=0", Authorization="Bearer admin-token") as admin,
    ):
        for uuid in ("device-9", "device-1"):
            service.bus.publish(EventType.TOKEN_REUSED, {}, audience=frozenset({uuid}))
        assert [(await mine.receive_json(timeout=WAIT_S))["seq"] for _ in range(2)] == [2, 4]
        assert [(await admin.receive_json(timeout=WAIT_S))["seq"] for _ in range(4)] == [1, 2, 3, 4]


async def refused(service: Any, query: str = "", **headers: str) -> int:
    """The status with which the handshake is refused."""
    with pytest.raises(WSServerHandshakeError) as caught:
        async with listen(service, query, **headers):
            pass
    return caught.value.status


async def test_listening_needs_a_credential(service: Any) -> None:
    """T30: a handshake without a token or with a made-up ticket is 401; a token in the URL is no credential."""
    assert await refused(service, Authorization="Bearer nobody") == 401
    assert await refused(service, "?ticket=made-up", Accept="*/*") == 401
    assert await refused(service, "?token=member-token", Accept="*/*") == 401


async def test_ticket_opens_once(service: Any) -> None:
    """T14: a ticket opens one websocket and nothing else, and not a second one."""
    async with service.request("POST", "/api/v1/ws/ticket") as response:
        answer = await response.json()
        assert response.headers["Cache-Control"] == "no-store"
    assert answer["expires_in"] == 30
    query = f"?ticket={answer['ticket']}"
    async with service.get("/api/v1/things" + query, token=None) as response:
        assert response.status == 401
    async with listen(service, query, Accept="*/*") as socket:
        service.bus.publish(EventType.PHOTO_ADDED, {})
        assert (await socket.receive_json(timeout=WAIT_S))["seq"] == 1
    assert await refused(service, query, Accept="*/*") == 401


def test_tickets_end_and_are_bounded() -> None:
    """T11: a ticket ends after 30 s of the monotonic clock; a thousand unused ones are the most."""
    now = 0.0
    tickets = Tickets(clock=lambda: now)
    ticket = tickets.issue(Credential("token"))
    now = TICKET_LIFE_S + 0.1
    with pytest.raises(NotAuthenticated):
        tickets.redeem(ticket)
    for _ in range(1_000):
        tickets.issue(Credential("token"))
    with pytest.raises(Unavailable):
        tickets.issue(Credential("token"))
    now *= 3
    assert tickets.redeem(tickets.issue(Credential("token"))) == Credential("token")


async def test_origin_must_be_ours(service: Any) -> None:
    """T28: a page of another origin can't listen, also where it only looks alike."""
    own = service.base
    for origin in ("http://evil.example", "null", own.replace("http", "https"), own + ".evil.example", own + "0", ""):
        assert await refused(service, Origin=origin, **AS_MEMBER) == 403
    async with listen(service, Origin=own, **AS_MEMBER):
        pass


async def test_plain_request_is_refused(service: Any) -> None:
    """A request that doesn't ask for the websocket protocol is 400 and says so."""
    async with service.get("/api/v1/ws") as response:
        assert (response.status, (await response.json())["error"]["details"]["reason"]) == (400, "no_upgrade")


async def test_stop_says_going_away(service: Any) -> None:
    """At shutdown every websocket is closed with 1001, and no further one is taken."""
    async with listen(service) as socket:
        closing = asyncio.create_task(service.app[keys.HUB].close())
        message = await socket.receive(timeout=WAIT_S)
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
        await closing
    assert await refused(service) == 503


async def test_server_stop_ends_listeners(serve: Any) -> None:
    """Stopping the server closes its websockets with 1001 and doesn't wait for them."""
    async with serve() as service, listen(service) as socket:
        stopping = asyncio.create_task(service.server.stop())
        message = await socket.receive(timeout=WAIT_S)
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
        await asyncio.wait_for(stopping, WAIT_S)


async def test_withdrawn_access_closes(service: Any) -> None:
    """T7: withdrawing a device's access closes its websockets and nobody else's."""
    async with listen(service) as mine, listen(service, Authorization="Bearer one-root-token") as other:
        service.tokens.revoked.add("member-token")
        await asyncio.gather(service.app[keys.HUB].recheck(), _expect_close(mine, 1008))
        service.bus.publish(EventType.PHOTO_ADDED, {})
        assert (await other.receive_json(timeout=WAIT_S))["seq"] == 1


async def _expect_close(socket: Any, code: int) -> None:
    message = await socket.receive(timeout=WAIT_S)
    assert (message.type, message.data) == (WSMsgType.CLOSE, code)


async def test_ended_token_closes(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """T30: a websocket ends when its token does."""
    monkeypatch.setattr(application, "Hub", functools.partial(Hub, check_pause_s=0.01))
    async with serve() as service, listen(service) as socket:
        service.tokens.revoked.add("member-token")
        await _expect_close(socket, 1008)


async def test_silent_connection_ends(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that answers no ping is gone, and its place is free again."""
    monkeypatch.setattr(application, "Hub", functools.partial(Hub, ping_pause_s=0.2))
    async with serve() as service:
        reader, writer = await _silent(service)
        with contextlib.suppress(ConnectionResetError):
            while await asyncio.wait_for(reader.read(1024), WAIT_S):
                pass
        writer.transport.abort()
        while service.app[keys.HUB].open_count:
            await asyncio.sleep(0.01)


async def test_whoever_has_most_makes_room(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """T30: nobody shuts others out by opening all there is room for; without others nothing is taken away."""
    monkeypatch.setattr(application, "Hub", functools.partial(Hub, most=3))
    async with serve() as service, listen(service) as oldest, listen(service), listen(service):
        assert await refused(service) == 503
        async with listen(service, Authorization="Bearer admin-token"):
            await _expect_close(oldest, 1013)
            assert await refused(service) == 503


async def test_household_behind_one_address(serve: Any) -> None:
    """T29: websockets take no request's place: more of them from one address than it may have connections."""
    async with serve(limits=RateLimitsConfig(other="off")) as service:
        pool = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=pool) as client:
            url = f"{service.base}/api/v1/ws"
            sockets = [await client.ws_connect(url, headers=AS_MEMBER) for _ in range(300)]
            assert service.server.open_count == 0
            async with service.get("/api/v1/things") as response:
                assert response.status == 200
            service.bus.publish(EventType.PHOTO_ADDED, {})
            for socket in sockets:
                assert (await socket.receive_json(timeout=WAIT_S))["seq"] == 1
                await socket.close()


async def _silent(service: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A listener that reads the handshake's answer and no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.server.bound_port, limit=1)
    writer.write(
        b"GET /api/v1/ws HTTP/1.1\r\nHost: box\r\nAuthorization: Bearer member-token\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert (await reader.read(12)).startswith(b"HTTP/1.1 101")
    return reader, writer


async def test_slow_reader_is_dropped(service: Any) -> None:
    """T30: a listener that falls behind is closed, what waits for it is bounded, and the others get everything."""
    _, writer = await _silent(service)
    async with listen(service) as quick:
        assert service.app[keys.HUB].open_count == 2
        number = 0
        while service.app[keys.HUB].open_count == 2:
            number += 1
            service.bus.publish(EventType.PHOTO_ADDED, {"filler": "x" * 60_000})
            assert (await quick.receive_json(timeout=WAIT_S))["seq"] == number
            assert number < 1_000
    writer.transport.abort()
    async with listen(service, "?since=0") as back:
        assert (await back.receive_json(timeout=WAIT_S))["seq"] == 1


async def test_burst_reaches_everybody(service: Any) -> None:
    """A thousand events at once are no reason to drop a listener that reads."""
    async with listen(service) as first, listen(service) as second:
        for _ in range(1_000):
            service.bus.publish(EventType.PHOTO_ADDED, {"filler": "x" * 100})
        for socket in (first, second):
            messages = [await socket.receive_json(timeout=WAIT_S) for _ in range(1_000)]
            assert [message["seq"] for message in messages] == list(range(1, 1_001))


async def test_stalled_reader_does_not_hold_up_others(serve: Any) -> None:
    """T30: a client that stops reading in mid-stream delays nobody."""
    async with serve() as service:
        _, writer = await _silent(service)
        async with listen(service) as quick:
            for number in range(300):
                service.bus.publish(EventType.PHOTO_ADDED, {"filler": "x" * 20_000})
                assert (await quick.receive_json(timeout=WAIT_S))["seq"] == number + 1
        writer.transport.abort()


async def test_messages_of_clients_are_bounded(service: Any) -> None:
    """T30: a message beyond 64 KiB ends the connection with 1009; smaller ones are ignored; nothing is compressed."""
    async with service.client.ws_connect(f"{service.base}/api/v1/ws", headers=AS_MEMBER, compress=15) as socket:
        assert not socket.compress
        await socket.send_str("x" * 60_000)
        service.bus.publish(EventType.PHOTO_ADDED, {})
        assert (await socket.receive_json(timeout=WAIT_S))["seq"] == 1
        await socket.send_str("x" * 70_000)
        await _expect_close(socket, 1009)


async def test_large_events_are_bounded_by_their_bytes() -> None:
    """T30: at most 256 KiB wait for one listener, however few events they are."""
    bus = EventBus()
    with bus.subscribe() as subscription:
        for _ in range(3):
            bus.publish(EventType.PHOTO_ADDED, {"text": "x" * 80_000})
        assert not subscription.is_overrun
        await subscription.get()
        bus.publish(EventType.PHOTO_ADDED, {"text": "x" * 80_000})
        assert not subscription.is_overrun
        bus.publish(EventType.PHOTO_ADDED, {"text": "x" * 80_000})
        assert subscription.is_overrun
