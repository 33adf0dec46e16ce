"""The broadcast websocket on a port of its own: heartbeat, echo, dropped files and PLAY (specs/flutter-app-backend.md).

Whatever is to be sent goes through one queue, from which it is handed to all clients one message after the other.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
from typing import Any

import msgspec
import structlog
from aiohttp import WSCloseCode, WSMsgType, hdrs, web

from pixlsrve.config import CompatConfig
from pixlsrve.errors import InvalidInput, NotAuthenticated, NotPermitted, PixlsrveError, StartError, Unavailable
from pixlsrve.events import EventBus, EventType
from pixlsrve.http import failures
from pixlsrve.http.credentials import Callers, Credential
from pixlsrve.http.flutter.drop import DropDirectory
from pixlsrve.http.hosts import Hosts, name_of
from pixlsrve.http.middleware import ALWAYS, MisdirectedRequest, proceed
from pixlsrve.http.peers import Peers
from pixlsrve.http.server import HttpServer
from pixlsrve.http.sockets import PING_PAUSE_S, Client, Crowd, text_frame

log = structlog.get_logger(__name__)

HEARTBEAT = b"[ping] Server heartbeat"
HEARTBEAT_S = 10.0
PLAY_AFTER_S = (1.0, 10.0)
"""PLAY follows an upload after a time between these."""
PLAYS_MAX = 1_000
"""Uploads whose PLAY is still to come; further ones have none."""
WAITING_MAX = 64
"""Messages that wait to be handed out; who wants to send one more waits, and so is read no further."""
CHECK_PAUSE_S = 25.0
WITHDRAW_LIMIT_S = 0.5
_TOKEN_MAX = 4_096
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Hearer(Client):
    """One client, with the credential that it sent; where none is required it is kept and not looked at."""

    __slots__ = ("credential", "is_checked")

    def __init__(self, request: web.Request, owner: str, credential: Credential | None, *, is_checked: bool) -> None:
        self.credential = credential
        self.is_checked = is_checked
        super().__init__(request, owner)


class Broadcast:
    """The listener on `compat.websocket_port`; off until `open` has succeeded. `run` begins before and ends after it.

    `http_ports` are those of our other listeners, by scheme, whose pages may connect.
    """

    def __init__(
        self,
        config: CompatConfig,
        *,
        callers: Callers,
        peers: Peers,
        hosts: Hosts,
        bus: EventBus,
        heartbeat_s: float = HEARTBEAT_S,
        play_after_s: tuple[float, float] = PLAY_AFTER_S,
        ping_pause_s: float = PING_PAUSE_S,
    ) -> None:
        self._config = config
        self._callers = callers
        self._peers = peers
        self._hosts = hosts
        self._bus = bus
        self._heartbeat_s = heartbeat_s
        self._play_after_s = play_after_s
        self._crowd = Crowd[Hearer](ping_pause_s=ping_pause_s)
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(WAITING_MAX)
        self._is_closing = False
        self._is_on_loopback = False
        self._server: HttpServer | None = None
        self.http_ports: dict[str, int] = {}
        self.drop: DropDirectory | None = None
        """Where files to be sent are put; None while there is no such place."""
        self.trouble = ""
        """Why it does not listen although it should: a sentence."""

    @property
    def port(self) -> int | None:
        """Where it listens; None while it doesn't."""
        return None if self._server is None else self._server.bound_port

    @property
    def open_count(self) -> int:
        """How many clients there are."""
        return len(self._crowd)

    async def open(self, port: int) -> None:
        """Listen at `port`, at any free one for 0; what fails is kept as `trouble`, and the rest goes on alone."""
        if not self._config.websocket_port:
            return
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer, expect_handler=proceed)
        app.on_response_prepare.append(_add_headers)
        app.on_shutdown.append(self._close)
        server = HttpServer(app, host=self._config.websocket_host, port=port, setting="compat.websocket_port")
        try:
            await server.start()
        except StartError as error:
            self.trouble = error.message
            log.warning("the broadcast websocket is off", cause=error.message)
            return
        self._server = server
        self._is_on_loopback = all(ipaddress.ip_address(host).is_loopback for host, _ in server.bound_addresses)

    async def stop(self) -> None:
        """Close all clients with 1001 and listen no more."""
        if self._server is not None:
            await self._server.stop()

    async def run(self) -> None:
        """Send what is to be sent, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hand_out())
            tasks.create_task(self._beat())
            tasks.create_task(self._crowd.keep_alive())
            tasks.create_task(self._watch_credentials())
            tasks.create_task(self._follow_uploads(tasks))

    async def send(self, text: str) -> None:
        """Send a text to all clients, once it is its turn; waits while much is to be sent before it."""
        await self._queue.put(text_frame(text.encode("utf-8")))

    async def recheck(self) -> None:
        """Somebody's rights have changed: end the clients whose credential is over by now (THREATS T7)."""
        over = [client for client in self._crowd if client.is_checked and not await self._is_good(client.credential)]
        await self._crowd.close(over, WSCloseCode.POLICY_VIOLATION, b"access was withdrawn", WITHDRAW_LIMIT_S)

    def status(self) -> dict[str, Any]:
        """What `pixlsrve status --json` shows under `websocket`."""
        if self._server is None:
            return {"enabled": False, "reason": self.trouble or "switched off"}
        host = self._config.websocket_host
        return {"enabled": True, "host": host, "port": self.port, "clients": self.open_count}

    def notices(self) -> list[dict[str, str]]:
        """What is wrong, with its remedy."""
        notices = []
        if self.trouble:
            message = f"The broadcast websocket is off: {self.trouble}"
            remedy = "Free the port or set compat.websocket_port and compat.websocket_host; port 0 switches it off."
            notices.append({"message": message, "remedy": remedy})
        if self.drop is not None and self.drop.trouble:
            message = f"The drop directory is not watched: {self.drop.trouble}"
            notices.append({"message": message, "remedy": "Mend it; it is looked at again every 10 seconds."})
        return notices

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        """Any request: a websocket, or why not."""
        try:
            return await self._serve(request)
        except MisdirectedRequest as error:
            return failures.respond(msgspec.structs.replace(failures.from_error(error), status=421), "/")
        except PixlsrveError as error:
            return failures.respond(failures.from_error(error), "/")

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        """Answer the handshake and take part until either side ends it. Raises PixlsrveError."""
        self._check_host(request)
        self._check_origin(request)
        client = await self._admit(request)
        if not client.can_open(request):
            raise InvalidInput("This port speaks the websocket protocol only.", reason="no_upgrade")
        if self._is_closing or not self._crowd.add(client):
            raise Unavailable("No further client is taken just now.", reason="busy", retry_after_s=10)
        try:
            await client.open(request)
            async for message in client.messages():
                if message.type is WSMsgType.TEXT:
                    await self.send(f"Echo: {message.data}")
        finally:
            self._crowd.remove(client)
        await client.close(WSCloseCode.OK, b"")
        return client.socket

    def _check_host(self, request: web.Request) -> None:
        """Raises MisdirectedRequest where the Host is not ours (THREATS T27), InvalidInput."""
        if len(request.headers.getall(hdrs.HOST, ())) != 1:
            raise InvalidInput("A request needs exactly one Host header.", reason="bad_host")
        if not self._hosts.is_ours(request.host):
            raise MisdirectedRequest(request.host)

    def _check_origin(self, request: web.Request) -> None:
        """Only programs, and pages of our own listeners here, may connect (THREATS T28). Raises NotPermitted."""
        origins = request.headers.getall(hdrs.ORIGIN, ())
        if origins and (len(origins) > 1 or origins[0] not in self._own_origins(request.host)):
            raise NotPermitted("This was sent by a page of another origin.", reason="foreign_origin")

    def _own_origins(self, host: str) -> set[str]:
        """The origins of our listeners under the name that the client uses; loopback's names are one and the same."""
        name = name_of(host) or ""
        name = f"[{name}]" if ":" in name else name
        names = _LOOPBACK_NAMES if name in _LOOPBACK_NAMES else (name,)
        ports = [*self.http_ports.items(), ("http", self.port)]
        return {_origin(scheme, name, port) for name in names for scheme, port in ports}

    async def _admit(self, request: web.Request) -> Hearer:
        """The client, known by its credential where that is required. Raises NotAuthenticated, InvalidInput."""
        is_open = self._is_on_loopback and self._peers.is_on_host(request)
        credential = self._credential(request, is_open=is_open)
        if is_open:
            return Hearer(request, "" if credential is None else str(hash(credential)), credential, is_checked=False)
        if credential is None:
            raise NotAuthenticated("This needs a token: a header, a cookie, or ?token=.")
        principal = await self._callers.resolve(credential)
        return Hearer(request, principal.id, credential, is_checked=True)

    def _credential(self, request: web.Request, *, is_open: bool) -> Credential | None:
        """What the client sent to prove who it is; None without. Raises NotAuthenticated where that is a reason to."""
        token = request.query.get("token", "")
        if token and hdrs.AUTHORIZATION not in request.headers:
            return Credential(token) if len(token) <= _TOKEN_MAX else None
        try:
            return self._callers.credential(request)
        except (NotAuthenticated, InvalidInput):
            if is_open:
                return None
            raise

    async def _is_good(self, credential: Credential | None) -> bool:
        try:
            if credential is not None:
                await self._callers.resolve(credential)
        except NotAuthenticated:
            return False
        return credential is not None

    async def _hand_out(self) -> None:
        while True:
            await self._crowd.tell(await self._queue.get())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            await self._queue.put(text_frame(HEARTBEAT))

    async def _watch_credentials(self) -> None:
        while True:
            await asyncio.sleep(CHECK_PAUSE_S)
            await self.recheck()

    async def _follow_uploads(self, tasks: asyncio.TaskGroup) -> None:
        """Have a PLAY follow each file that came by /media_post/."""
        pending: set[asyncio.Task[None]] = set()
        while True:
            with self._bus.subscribe() as subscription:
                while not subscription.is_overrun:
                    event = await subscription.get()
                    if event.type is EventType.MEDIA_POSTED and len(pending) < PLAYS_MAX:
                        task = tasks.create_task(self._play(str(event.data["media_id"])))
                        pending.add(task)
                        task.add_done_callback(pending.discard)

    async def _play(self, media_id: str) -> None:
        await asyncio.sleep(random.uniform(*self._play_after_s))  # noqa: S311  # no secret
        await self.send(msgspec.json.encode({"action": "PLAY", "value": media_id}).decode())

    async def _close(self, _: web.Application) -> None:
        """End all with 1001 because the daemon stops."""
        self._is_closing = True
        await self._crowd.close(self._crowd, WSCloseCode.GOING_AWAY, b"the host stops")


def _origin(scheme: str, name: str, port: int | None) -> str:
    """An origin as a browser writes it (RFC 6454 §6.2)."""
    is_default = (scheme, port) in {("http", 80), ("https", 443)}
    return f"{scheme}://{name}" if is_default else f"{scheme}://{name}:{port}"


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(ALWAYS)
