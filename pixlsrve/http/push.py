"""The event websocket: `GET /api/v1/ws` and its tickets (DESIGN sections 4 and 9, THREATS T30)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Annotated, Any

import msgspec
from aiohttp import WSCloseCode, web
from msgspec import Meta

from pixlsrve.errors import InvalidInput, NotAuthenticated, Unavailable
from pixlsrve.events import Event, EventBus, EventType, Subscription
from pixlsrve.http import keys, routing
from pixlsrve.http.credentials import TICKET_LIFE_S, Callers
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.http.times import now_us, rfc3339

PING_PAUSE_S = 25.0
QUEUE_EVENTS = 512
"""Events that wait for a slow reader, of 256 KiB together; one more, and it is cut off to come back with `since`."""
MESSAGE_MAX_BYTES = 64 * 1024
SEND_LIMIT_S = 10.0
CLOSE_LIMIT_S = 2.0
WITHDRAW_LIMIT_S = 0.5
"""For the goodbye of a client whose access was withdrawn: all is over within a second."""
SOCKETS_MAX = 1_000


class WsQuery(msgspec.Struct, frozen=True):
    """Parameters of the event websocket."""

    since: Annotated[int, Meta(ge=0, le=2**53, description="Send again what came after this `seq`.")] | None = None
    ticket: Annotated[str, Meta(max_length=100, description="A one-time ticket, in place of the header.")] | None = None


class WsMessage(msgspec.Struct, frozen=True):
    """One event. `seq` grows from one to the next; `type` says what `data` holds."""

    seq: int
    type: str
    at: str
    data: dict[str, Any]


class Ticket(msgspec.Struct, frozen=True):
    """A one-time ticket; `expires_in` is in seconds."""

    ticket: str
    expires_in: int


class Listener:
    """One websocket and whose it is."""

    def __init__(self, request: web.Request, ping_pause_s: float) -> None:
        self.owner = request[keys.PRINCIPAL]
        self._credential = request[keys.CREDENTIAL]
        self._transport = request.transport
        self.socket = web.WebSocketResponse(
            heartbeat=ping_pause_s, compress=False, max_msg_size=MESSAGE_MAX_BYTES, timeout=CLOSE_LIMIT_S
        )

    async def follow(self, bus: EventBus, subscription: Subscription, since: int | None) -> None:
        """Replay what was missed, then send what comes, until the client falls too far behind."""
        last = bus.last_seq
        if since is not None:
            missed = bus.since(since)
            if missed is None:
                await self._send(WsMessage(last, EventType.RESYNC, rfc3339(now_us()), {}))
            for event in missed or ():
                await self._send_event(event)
        while not subscription.is_overrun:
            event = await subscription.get()
            if since is None or event.seq > last:
                await self._send_event(event)
        await self.close(WSCloseCode.TRY_AGAIN_LATER, b"too slow; come back with since")

    async def watch_credential(self, callers: Callers, pause_s: float) -> None:
        """Close when the credential is over (THREATS T30)."""
        while True:
            await asyncio.sleep(pause_s)
            if not await self.is_still_allowed(callers):
                await self.close(WSCloseCode.POLICY_VIOLATION, b"the token is over")
                return

    async def is_still_allowed(self, callers: Callers) -> bool:
        """Whether the credential is still good; takes over what its owner may see by now."""
        try:
            self.owner = await callers.resolve(self._credential)
        except NotAuthenticated:
            return False
        return True

    async def discard_messages(self) -> None:
        """Read until the client closes: what it says means nothing here, but its close and pong frames do."""
        async for _ in self.socket:
            pass

    async def close(self, code: WSCloseCode, message: bytes, limit_s: float = CLOSE_LIMIT_S) -> None:
        """Say why and close; a client that doesn't answer in time is cut off."""
        if not self.socket.prepared:
            return
        try:
            async with asyncio.timeout(limit_s):
                await self.socket.close(code=code, message=message)
        except (TimeoutError, ConnectionError):
            if self._transport is not None:
                self._transport.abort()

    async def _send_event(self, event: Event) -> None:
        """Send `event` where the listener may know of it."""
        if event.is_for(self.owner):
            await self._send(WsMessage(event.seq, event.type, rfc3339(event.at_us), event.data))

    async def _send(self, message: WsMessage) -> None:
        """Send, or close with 1013 when the client takes nothing for 10 s. Raises TimeoutError."""
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                await self.socket.send_str(msgspec.json.encode(message).decode())
        except TimeoutError:
            await self.close(WSCloseCode.TRY_AGAIN_LATER, b"too slow; come back with since")
            raise


class Hub:
    """The open websockets: takes listeners in and ends them."""

    def __init__(self, bus: EventBus, callers: Callers, *, ping_pause_s: float = PING_PAUSE_S) -> None:
        self._bus = bus
        self._callers = callers
        self._ping_pause_s = ping_pause_s
        self._listeners: set[Listener] = set()
        self._is_closing = False

    @property
    def open_count(self) -> int:
        """How many websockets are open."""
        return len(self._listeners)

    async def serve(self, request: web.Request, since: int | None) -> web.WebSocketResponse:
        """Answer the handshake and send events until either side ends it. Raises Unavailable when there is no room."""
        if self._is_closing or len(self._listeners) >= SOCKETS_MAX:
            raise Unavailable("No further listener is taken just now.", reason="busy", retry_after_s=10)
        listener = Listener(request, self._ping_pause_s)
        if not listener.socket.can_prepare(request):
            raise InvalidInput("This address speaks the websocket protocol only.", reason="no_upgrade")
        self._listeners.add(listener)
        try:
            # Subscribed before the handshake is answered, so that a client that sees the answer misses nothing after.
            with self._bus.subscribe(QUEUE_EVENTS) as subscription:
                await listener.socket.prepare(request)
                await _first_of(
                    listener.follow(self._bus, subscription, since),
                    listener.watch_credential(self._callers, self._ping_pause_s),
                    listener.discard_messages(),
                )
        finally:
            self._listeners.discard(listener)
        await listener.close(WSCloseCode.OK, b"")
        return listener.socket

    async def close(self) -> None:
        """End all websockets with 1001 because the daemon stops; none is accepted any more."""
        self._is_closing = True
        await _close_all(self._listeners, WSCloseCode.GOING_AWAY, b"the host stops")

    async def recheck(self) -> None:
        """Somebody's rights have changed: end the websockets whose credential is over by now (THREATS T7)."""
        over = {listener for listener in self._listeners if not await listener.is_still_allowed(self._callers)}
        await _close_all(over, WSCloseCode.POLICY_VIOLATION, b"access was withdrawn", WITHDRAW_LIMIT_S)


async def _close_all(
    listeners: Iterable[Listener], code: WSCloseCode, message: bytes, limit_s: float = CLOSE_LIMIT_S
) -> None:
    await asyncio.gather(*(listener.close(code, message, limit_s) for listener in listeners))


async def _first_of(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run them side by side until one ends; the others are cancelled and awaited. A lost client is no error."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ConnectionError | TimeoutError):
            raise error


async def listen(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/ws: the events, as they happen."""
    request.app[keys.ORIGINS].check_socket(request)
    return await request.app[keys.HUB].serve(request, routing.query(request, WsQuery).since)


async def issue_ticket(request: web.Request) -> web.Response:
    """POST /api/v1/ws/ticket: a ticket for whoever sent this request."""
    ticket = request.app[keys.TICKETS].issue(request.app[keys.CALLERS].credential(request))
    return routing.answer(Ticket(ticket, TICKET_LIFE_S), headers={"Cache-Control": "no-store"})


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/ws",
        handler=listen,
        access=Access.MEMBER,
        rate=Rate.OTHER,
        summary="Events over a websocket, each as one JSON text message.",
        query=WsQuery,
        answer=WsMessage,
        has_ticket=True,
        errors=(503,),
    ),
    Route(
        method="POST",
        path="/api/v1/ws/ticket",
        handler=issue_ticket,
        access=Access.MEMBER,
        rate=Rate.OTHER,
        summary="A one-time ticket for the websocket, for browsers, which can't send headers with a handshake.",
        answer=Ticket,
        errors=(503,),
    ),
)
