"""The event websocket: `GET /api/v1/ws` and its tickets (DESIGN sections 4 and 9, THREATS T30)."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
import structlog
from aiohttp import WSCloseCode, web
from msgspec import Meta

from pixlsrve.errors import InvalidInput, NotAuthenticated, Unavailable
from pixlsrve.events import Event, EventBus, EventType, Subscription
from pixlsrve.http import keys, routing
from pixlsrve.http.credentials import TICKET_LIFE_S, Callers, Credential
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.http.sockets import PING_PAUSE_S, Client, Crowd, text_frame
from pixlsrve.http.times import now_us, rfc3339
from pixlsrve.model import Principal

log = structlog.get_logger(__name__)

WAITING_EVENTS = 5_000
WAITING_BYTES = 8 << 20
"""Events that wait to be handed out, once for all listeners; one more, and all have to come back with `since`."""
CHECK_PAUSE_S = 25.0
"""How often credentials are looked at that nobody has withdrawn: they may have come to their end."""
WITHDRAW_LIMIT_S = 0.5
"""For the goodbye of a client whose access was withdrawn: all is over within a second."""
_AT_ONCE = 100
_encode = msgspec.json.Encoder().encode


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


class Listener(Client):
    """One websocket, whose it is, and how far it has come."""

    __slots__ = ("credential", "principal", "seq")

    def __init__(self, request: web.Request) -> None:
        self.principal = request[keys.PRINCIPAL]
        self.credential = request[keys.CREDENTIAL]
        self.seq: int | None = None
        """The last event that it had, or that was not for it; None while it is still catching up."""
        super().__init__(request, self.principal.device_id or self.principal.account_id or self.principal.id)

    async def catch_up(self, bus: EventBus, seq: int) -> None:
        """Send what came after `seq`, until nothing is missing."""
        while seq != bus.last_seq:
            missed = bus.since(seq)
            if missed is None:
                seq = bus.last_seq
                await self.send(_encode(WsMessage(seq, EventType.RESYNC, rfc3339(now_us()), {})))
                continue
            for event in missed:
                if event.is_for(self.principal):
                    await self.send(_message(event))
                seq = event.seq
        self.seq = seq

    def is_due(self, event: Event) -> bool:
        """Whether the event is for it and new to it."""
        return self.seq is not None and self.seq < event.seq and event.is_for(self.principal)


class Hub:
    """The open websockets: takes listeners in, hands events out while `run` runs, and ends them."""

    def __init__(
        self,
        bus: EventBus,
        callers: Callers,
        *,
        ping_pause_s: float = PING_PAUSE_S,
        check_pause_s: float = CHECK_PAUSE_S,
        most: int | None = None,
    ) -> None:
        self._bus = bus
        self._callers = callers
        self._check_pause_s = check_pause_s
        self._crowd = Crowd[Listener](most, ping_pause_s=ping_pause_s)
        self._is_closing = False

    @property
    def open_count(self) -> int:
        """How many websockets are open."""
        return len(self._crowd)

    async def run(self) -> None:
        """Hand out events, keep connections alive and end those whose credential is over, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hand_out())
            tasks.create_task(self._crowd.keep_alive())
            tasks.create_task(self._watch_credentials())

    async def serve(self, request: web.Request, since: int | None) -> web.WebSocketResponse:
        """Answer the handshake and send events until either side ends it. Raises Unavailable when there is no room."""
        listener = Listener(request)
        if self._is_closing:
            raise Unavailable("The host is about to stop.", reason="busy", retry_after_s=10)
        if not listener.can_open(request):
            raise InvalidInput("This address speaks the websocket protocol only.", reason="no_upgrade")
        if not self._crowd.add(listener):
            raise Unavailable("No further listener is taken just now.", reason="busy", retry_after_s=10)
        # From before the handshake is answered, so that a client that sees the answer misses nothing after.
        start = self._bus.last_seq if since is None else since
        try:
            await listener.open(request)
            await listener.catch_up(self._bus, start)
            async for _ in listener.messages():
                pass  # what it says means nothing here
        except (ConnectionError, TimeoutError):
            await listener.close(WSCloseCode.TRY_AGAIN_LATER, b"too slow; come back with since")
        finally:
            self._crowd.remove(listener)
        await listener.close(WSCloseCode.OK, b"")
        return listener.socket

    async def close(self) -> None:
        """End all websockets with 1001 because the daemon stops; none is accepted any more."""
        self._is_closing = True
        await self._crowd.close(self._crowd, WSCloseCode.GOING_AWAY, b"the host stops")

    async def recheck(self) -> None:
        """Somebody's rights have changed: end the websockets whose credential is over by now (THREATS T7, T30)."""
        found: dict[Credential, Principal | None] = {}
        for number, listener in enumerate(self._crowd, 1):
            if listener.credential not in found:
                found[listener.credential] = await self._find(listener.credential)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        over = []
        for listener in self._crowd:
            principal = found.get(listener.credential, listener.principal)
            if principal is None:
                over.append(listener)
            else:
                listener.principal = principal
        await self._crowd.close(over, WSCloseCode.POLICY_VIOLATION, b"access was withdrawn", WITHDRAW_LIMIT_S)

    async def _find(self, credential: Credential) -> Principal | None:
        """Whose credential it is now; None when it is over."""
        try:
            return await self._callers.resolve(credential)
        except NotAuthenticated:
            return None

    async def _watch_credentials(self) -> None:
        while True:
            await asyncio.sleep(self._check_pause_s)
            await self.recheck()

    async def _hand_out(self) -> None:
        while True:
            with self._bus.subscribe(WAITING_EVENTS, WAITING_BYTES) as subscription:
                await self._hand_out_from(subscription)
            log.warning("events came faster than they could be handed out", listeners=len(self._crowd))
            self._crowd.end(self._crowd, WSCloseCode.TRY_AGAIN_LATER, b"come back with since")

    async def _hand_out_from(self, subscription: Subscription) -> None:
        """Send each event to all whom it is for, until too many wait."""
        while not subscription.is_overrun:
            event = await subscription.get()
            if len(self._crowd):
                await self._tell(event)

    async def _tell(self, event: Event) -> None:
        await self._crowd.tell(text_frame(_message(event)), lambda listener: listener.is_due(event))


def _message(event: Event) -> bytes:
    return _encode(WsMessage(event.seq, event.type, rfc3339(event.at_us), event.data))


async def listen(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/ws: the events, as they happen."""
    request.app[keys.ORIGINS].check_socket(request)
    return await request.app[keys.HUB].serve(request, routing.query(request, WsQuery).since)


async def issue_ticket(request: web.Request) -> web.Response:
    """POST /api/v1/ws/ticket: a ticket for whoever sent this request."""
    ticket = request.app[keys.TICKETS].issue(request.app[keys.CALLERS].credential(request))
    return routing.answer(Ticket(ticket, TICKET_LIFE_S), headers=routing.NO_STORE)


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
