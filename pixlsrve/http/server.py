"""The HTTP listeners: sockets, the framework's runner, and a stop that lets answers finish."""

from __future__ import annotations

import asyncio
import errno
import socket
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from pixlsrve.errors import StartError
from pixlsrve.http import failures

log = structlog.get_logger(__name__)

BACKLOG = 1024
DRAIN_S = 10.0
"""How long answers may take to finish when the daemon stops."""
IDLE_S = 75.0
"""How long a connection without requests is kept: longer than a proxy's usual 60 s, which must be first to close."""
_FREE_PORT_TRIES = 20


class Protocol(RequestHandler):
    """The framework's connection; answers what is no HTTP request in our words, without a trace of the program."""

    __slots__ = ()

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
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("request failed outside the gate", exc_info=exc)
            failure = failures.internal("")
        else:
            failure = failures.from_status(status, "The request is not valid HTTP.")
        response = failures.respond_malformed(failure)
        response.force_close()
        return response


class _Server(web.Server):
    """The framework's factory of connections, making ours."""

    def __init__(self, made: web.Server, **options: Any) -> None:
        super().__init__(made.request_handler, request_factory=made.request_factory, **options)
        self._options = options

    def __call__(self) -> RequestHandler:
        return Protocol(self, **self._options)


class _Runner(web.AppRunner):
    """The framework's runner with our connections; it has no other place to say which."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made, loop=asyncio.get_running_loop(), **self._kwargs)


class HttpServer:
    """Serves `app` while entered: `async with HttpServer(app, port=8080) as server`.

    `host` is an address or a name, empty for all addresses, IPv4 and IPv6; `port` 0 picks a free one, the same for
    both families.
    """

    def __init__(self, app: web.Application, *, host: str = "", port: int = 0, drain_s: float = DRAIN_S) -> None:
        self._host = host
        self._port = port
        self._runner = _Runner(
            app,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=IDLE_S,
            shutdown_timeout=drain_s,
        )
        self._sockets: list[socket.socket] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Bind and listen. Raises StartError when the port is taken or the address isn't ours."""
        self._sockets = await bind(self._host, self._port)
        try:
            await self._runner.setup()
            for bound in self._sockets:
                await web.SockSite(self._runner, bound, backlog=BACKLOG).start()
        except BaseException:
            for bound in self._sockets:
                bound.close()
            await self._runner.cleanup()
            raise

    async def stop(self) -> None:
        """Take no further connection, close the idle ones and the websockets, let answers finish, then cut."""
        await self._runner.cleanup()

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


async def bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets for `host`: one for each of its addresses, all on one port. Raises StartError."""
    tries = _FREE_PORT_TRIES if port == 0 else 1
    for attempt in range(tries):
        try:
            return await _bind_once(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or attempt == tries - 1:
                raise _explain(host, port, error) from error
    raise AssertionError("unreachable")


async def _bind_once(host: str, port: int) -> list[socket.socket]:
    """Bind every address of `host`; for port 0 the first address picks the port. Raises OSError, StartError."""
    bound: list[socket.socket] = []
    try:
        for family, address in await _addresses(host):
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


async def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """The families and addresses that `host` stands for. Raises StartError for an unknown name."""
    if not host:
        return [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]  # noqa: S104  # all of them is what was asked for
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise StartError(
            f"The address {host!r} of http.host is unknown: {error.strerror}.", reason="address"
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


def _explain(host: str, port: int, error: OSError) -> StartError:
    if error.errno == errno.EADDRINUSE:
        return StartError(
            f"Port {port} is taken by another program; stop that one or choose another with --port or http.port.",
            reason="port_taken",
        )
    if error.errno == errno.EACCES:
        return StartError(f"Port {port} needs more rights; choose one above 1023.", reason="port_forbidden")
    return StartError(
        f"Listening on {host or 'all addresses'}, port {port}, failed: {error.strerror}.", reason="listen"
    )
