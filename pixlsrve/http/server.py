"""The HTTP and HTTPS listeners: sockets, the framework's runner, and a stop that lets answers finish."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, cast

import structlog
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod
from aiohttp.web_protocol import RequestHandler

from pixlsrve.errors import StartError
from pixlsrve.http import failures, keys
from pixlsrve.http.express import Express, is_complete
from pixlsrve.http.guard import Entry, Guard, Limits, cut
from pixlsrve.http.limits import Network

log = structlog.get_logger(__name__)

BACKLOG = 1024
DRAIN_S = 10.0
"""How long answers may take to finish when the daemon stops."""
TLS_CLOSE_S = 5.0
"""For a client's goodbye when an encrypted connection ends."""
_FREE_PORT_TRIES = 20
_REQUEST_LINE = re.compile(r"""^ *b(['"])[!#$%&'*+.^`|~\w-]+ \S+ HTTP/1\.[01]\1$""", re.ASCII | re.MULTILINE)
"""A whole line of RFC 9112 §3, as the parser quotes it where it does not know the method."""

Malformed = Callable[[failures.Failure], web.Response]
"""Makes the answer to what is no HTTP request."""


class Protocol(RequestHandler):
    """The framework's connection under the guard's eyes.

    Answers what is no HTTP request in our words, without a trace of the program.
    """

    __slots__ = ("_entry", "_express", "_guard", "_is_between", "_received")

    def __init__(
        self, manager: web.Server, guard: Guard, express: Express | None, entry: Entry | None = None, **options: Any
    ) -> None:
        super().__init__(manager, **options)
        self._express = express
        # Whether the framework's parser certainly stands before a request and not within one.
        self._is_between = True
        self._guard = guard
        self._entry = entry
        self._received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the guard, unless it knows the connection from its TLS handshake, and begin."""
        connected = cast(asyncio.Transport, transport)
        if self._entry is None:
            self._entry = self._guard.admit(connected)
        if self._entry is None:
            connected.abort()
            return
        self._entry.transport, self._entry.exchange = connected, self
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell the guard, and end."""
        if self._entry is not None:
            self._guard.release(self._entry)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and note how far the request has come."""
        requests = self._request_count
        self._received += len(data)
        if self._is_between and self._express is not None:
            if self._has_answered(data, self._express):
                return
            self._is_between = is_complete(data)
        super().data_received(data)
        entry = self._entry
        if entry is None:
            return
        if self._request_count != requests:
            self._guard.note_request(entry)
        elif data and self.is_waiting():
            self._guard.note_part_of_header(entry)

    def _has_answered(self, data: bytes, express: Express) -> bool:
        """Answer at once what can be; False leaves the request, of which nothing was used, to the framework."""
        transport, entry = self.transport, self._entry
        if self._keepalive_handle is None:
            return False  # the framework begins each connection, and its clock for idle ones
        # Neither before the answers to earlier requests, nor for a client that does not take what it gets (T29).
        if transport is None or entry is None or self._close or self._force_close or not self.is_waiting():
            return False
        if transport.is_closing() or transport.get_write_buffer_size():
            return False
        answer = express.answer(data)
        if answer is None:
            return False
        transport.write(answer)
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        self._guard.note_request(entry)
        return True

    def leave_guard(self) -> None:
        """The connection has become a websocket: whoever has taken it in bounds its number and its time from now on."""
        if self._entry is not None:
            self._guard.release(self._entry)
        self._entry = self._express = None

    def is_waiting(self) -> bool:
        """Whether it waits for a request."""
        return self._waiter is not None and not self._waiter.done()

    def body_bytes(self) -> int | None:
        """What has come in so far, or None while no body is expected or we are not reading."""
        request = self._current_request
        if request is None or request.content.is_eof() or self._reading_paused or self._buffer_paused:
            return None
        return self._received

    def sent_bytes(self) -> int | None:
        """A number that grows as the client takes the answer, or None while nothing waits to be taken."""
        waiting = 0 if self.transport is None else self.transport.get_write_buffer_size()
        if not waiting:
            return None
        request = self._current_request
        return -waiting if request is None else request.writer.output_size - waiting

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """An answer after which the connection closes. Raises ConnectionError when one has begun already."""
        if request.writer.output_size > 0:
            raise ConnectionResetError("the answer had begun")
        if self.transport is None:
            raise ConnectionResetError("the client has gone")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("request failed outside the gate", exc_info=exc)
            failure = failures.internal("")
        elif isinstance(exc, BadHttpMethod) and _REQUEST_LINE.search(exc.message):
            failure = failures.from_status(HTTPStatus.NOT_IMPLEMENTED)  # RFC 9110 §9.1
        else:
            failure = failures.from_status(status, "The request is not valid HTTP.")
        server = cast(_Server, self._manager)
        response = server.malformed(failure)
        response.headers.update(server.count_malformed(request.remote or ""))
        response.force_close()
        return response


class _Handshake:
    """A connection up to the end of its TLS handshake, for the guard; then HTTP takes it over."""

    def __init__(self, connection: socket.socket, peer: object) -> None:
        self.connection = connection
        self.task: asyncio.Task[None] | None = None
        self._peer = peer

    def get_extra_info(self, name: str) -> Any:
        """As a transport's: `socket` and `peername`."""
        return {"socket": self.connection, "peername": self._peer}.get(name)

    def abort(self) -> None:
        """End it."""
        if self.task is not None:
            self.task.cancel()
        else:
            self.connection.close()


class _TlsSite(web.SockSite):
    """A site of the framework's that accepts by itself, so that handshakes too are under the guard's eyes.

    The loops' own listeners tell nobody of a connection before its handshake is over.
    """

    ACCEPTED_AT_ONCE = 64
    FULL_PAUSE_S = 1.0

    def __init__(self, runner: _Runner, bound: socket.socket, context: ssl.SSLContext, handshake_s: float) -> None:
        super().__init__(runner, bound, ssl_context=context)
        self._context = context
        self._handshake_s = handshake_s
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._handshakes: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen."""
        await web.BaseSite.start(self)
        self._factory = cast(_Server, self._runner.server)
        self._sock.setblocking(False)
        self._loop.add_reader(self._sock, self._accept)

    async def stop(self) -> None:
        """Listen no more; handshakes end with the guard."""
        self._loop.remove_reader(self._sock)
        if self._pause is not None:
            self._pause.cancel()
        self._sock.close()
        await super().stop()

    def _accept(self) -> None:
        """Take what waits, up to a number after which others have their turn."""
        for _ in range(self.ACCEPTED_AT_ONCE):
            try:
                connection, peer = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue
            except OSError as error:
                # No descriptors or memory left: what waits is still there when others have ended.
                log.warning("a connection could not be accepted", cause=error.strerror)
                self._loop.remove_reader(self._sock)
                self._pause = self._loop.call_later(self.FULL_PAUSE_S, self._loop.add_reader, self._sock, self._accept)
                return
            self._take(connection, peer)

    def _take(self, connection: socket.socket, peer: object) -> None:
        """Begin the handshake where the guard admits the connection."""
        connection.setblocking(False)
        handshake = _Handshake(connection, peer)
        entry = self._factory.guard.admit(handshake)
        if entry is None:
            cut(handshake)
            return
        task = handshake.task = self._loop.create_task(self._shake_hands(connection, entry))
        self._handshakes.add(task)
        task.add_done_callback(lambda done: self._forget(done, connection))

    def _forget(self, task: asyncio.Task[None], connection: socket.socket) -> None:
        self._handshakes.discard(task)
        if task.cancelled():
            connection.close()  # one that was ended before its first step has no transport to do so

    async def _shake_hands(self, connection: socket.socket, entry: Entry) -> None:
        """Have the loop do it; the connection's protocol hears of it afterwards."""
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._factory.connection(entry),
                connection,
                ssl=self._context,
                ssl_handshake_timeout=self._handshake_s,
                ssl_shutdown_timeout=TLS_CLOSE_S,
            )
        except OSError:  # no TLS, a client that doesn't trust us, too slow, or gone: all in a day's work
            self._factory.guard.release(entry)
        except BaseException:
            self._factory.guard.release(entry)
            raise


class _Server(web.Server):
    """The framework's factory of connections, making ours."""

    def __init__(self, made: web.Server, guard: Guard, express: Express | None, **options: Any) -> None:
        super().__init__(made.request_handler, request_factory=made.request_factory, **options)
        self.guard = guard
        self.count_malformed: Callable[[str], Mapping[str, str]] = lambda _: {}
        self.malformed: Malformed = failures.respond_malformed
        self._express = express
        # Which the server keeps itself; connections don't know it.
        self._options = {name: value for name, value in options.items() if name != "handler_cancellation"}

    def __call__(self) -> RequestHandler:
        return self.connection()

    def connection(self, entry: Entry | None = None) -> Protocol:
        """A new connection; `entry` is the guard's note where there is one."""
        return Protocol(self, self.guard, self._express, entry, **self._options)


class _Runner(web.AppRunner):
    """The framework's runner with our connections; it has no other place to say which."""

    def __init__(self, app: web.Application, guard: Guard, malformed: Malformed, **options: Any) -> None:
        super().__init__(app, **options)
        self._guard = guard
        self._malformed = malformed

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        server = _Server(made, self._guard, self.app.get(keys.EXPRESS), loop=asyncio.get_running_loop(), **self._kwargs)
        server.count_malformed = self.app.get(keys.COUNT_MALFORMED, server.count_malformed)
        server.malformed = self._malformed
        return server


class HttpServer:
    """Serves `app` while entered: `async with HttpServer(app, port=8080) as server`.

    `host` is an address or a name, empty for all addresses, IPv4 and IPv6; `port` 0 picks a free one, the same for
    both families. Connections of `trusted_proxies` are not capped by address. `setting` is where the port comes from.
    `malformed` words the answer to what is no HTTP request. `is_cancelling` ends a handler whose client has gone.
    """

    def __init__(
        self,
        app: web.Application,
        *,
        host: str = "",
        port: int = 0,
        drain_s: float = DRAIN_S,
        limits: Limits | None = None,
        trusted_proxies: Sequence[Network] = (),
        setting: str = "http.port",
        malformed: Malformed = failures.respond_malformed,
        is_cancelling: bool = False,
    ) -> None:
        self._app = app
        self._malformed = malformed
        self._is_cancelling = is_cancelling
        self._setting = setting
        self._host = host
        self._port = port
        self._drain_s = drain_s
        self._limits = limits or Limits()
        self._trusted = trusted_proxies
        self._sockets: list[socket.socket] = []
        self._tls_sockets: list[socket.socket] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Bind and listen. Raises StartError when the port is taken or the address isn't ours."""
        self._sockets = await bind(self._host, self._port, setting=self._setting)
        self._guard = Guard(self._limits, self._trusted)
        self._runner = _Runner(
            self._app,
            self._guard,
            self._malformed,
            access_log=None,
            handler_cancellation=self._is_cancelling,
            auto_decompress=False,
            keepalive_timeout=self._limits.idle_s,
            lingering_time=self._limits.lingering_s,
            shutdown_timeout=self._drain_s,
        )
        await self._stack.enter_async_context(self._guard.sweeping())
        self._stack.push_async_callback(self._runner.cleanup)
        self._stack.callback(self._guard.close)
        try:
            await self._runner.setup()
            for bound in self._sockets:
                await web.SockSite(self._runner, bound, backlog=BACKLOG).start()
        except BaseException:
            for bound in self._sockets:
                bound.close()
            await self._stack.aclose()
            raise

    async def listen_tls(self, context: ssl.SSLContext, port: int) -> None:
        """Serve HTTPS too, at the same addresses. Raises StartError when the port is taken."""
        self._tls_sockets = await bind(self._host, port, setting="http.tls_port")
        for bound in self._tls_sockets:
            await _TlsSite(self._runner, bound, context, self._limits.header_s).start()

    async def stop(self) -> None:
        """Take no further connection, close the idle ones and the websockets, let answers finish, then cut."""
        await self._stack.aclose()

    @property
    def open_count(self) -> int:
        """How many connections are open."""
        return self._guard.open_count

    @property
    def tls_port(self) -> int | None:
        """The port of HTTPS; None where there is none."""
        return self._tls_sockets[0].getsockname()[1] if self._tls_sockets else None

    @property
    def bound_port(self) -> int:
        """The port that is listened on."""
        port: int = self._sockets[0].getsockname()[1]
        return port

    @property
    def bound_addresses(self) -> list[tuple[str, int]]:
        """The addresses and ports that are listened on."""
        return [bound.getsockname()[:2] for bound in self._sockets]

    @property
    def url_host(self) -> str:
        """How the host is written in a URL that works on this machine: 127.0.0.1 when bound to all."""
        address = self.bound_addresses[0][0]
        if address in {"0.0.0.0", "::"}:  # noqa: S104  # compared, not bound
            return "127.0.0.1" if self._sockets[0].family is socket.AF_INET else "[::1]"
        return f"[{address}]" if ":" in address else address


async def bind(host: str, port: int, *, setting: str = "http.port") -> list[socket.socket]:
    """Listening sockets for `host`: one for each of its addresses, all on one port. Raises StartError.

    `setting` is where the port comes from, for the error's words.
    """
    tries = _FREE_PORT_TRIES if port == 0 else 1
    for attempt in range(tries):
        try:
            return await _bind_once(host, port, setting)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or attempt == tries - 1:
                raise _explain(host, port, setting, error) from error
    raise AssertionError("unreachable")


async def _bind_once(host: str, port: int, setting: str) -> list[socket.socket]:
    """Bind every address of `host`; for port 0 the first address picks the port. Raises OSError, StartError."""
    bound: list[socket.socket] = []
    try:
        for family, address in await _addresses(host, setting):
            try:
                made = _listening_socket(family, address, bound[0].getsockname()[1] if bound else port)
            except OSError as error:
                # A host without IPv6 (or without IPv4) serves the family that it has.
                if not host and error.errno in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
                    continue
                raise
            bound.append(made)
    except BaseException:
        for made in bound:
            made.close()
        raise
    if not bound:
        raise StartError("This host has neither IPv4 nor IPv6.", reason="no_network")
    return bound


async def _addresses(host: str, setting: str) -> list[tuple[socket.AddressFamily, str]]:
    """The families and addresses that `host` stands for. Raises StartError for an unknown name."""
    if not host:
        return [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]  # noqa: S104  # all of them is what was asked for
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise StartError(
            f"The address {host!r} of {_host_setting(setting)} is unknown: {error.strerror}.", reason="address"
        ) from error
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _listening_socket(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def _host_setting(setting: str) -> str:
    """The setting of the address that belongs to a port's."""
    return "http.host" if setting.startswith("http.") else setting.replace("port", "host")


def _explain(host: str, port: int, setting: str, error: OSError) -> StartError:
    if error.errno == errno.EADDRINUSE:
        return StartError(
            f"Port {port} is taken by another program; stop that one or choose another with "
            f"{'--port or ' if setting == 'http.port' else ''}{setting}.",
            reason="port_taken",
        )
    if error.errno == errno.EACCES:
        return StartError(f"Port {port} needs more rights; choose one above 1023.", reason="port_forbidden")
    return StartError(
        f"Listening on {host or 'all addresses'}, port {port}, failed: {error.strerror}.", reason="listen"
    )
