"""The helper's life: a Unix socket that only the service's user may speak on, one service at a time, and its end.

systemd hands the socket over (sd_listen_fds(3)) and starts the helper when the service first speaks, so that nothing
with these rights runs where nobody wants a tunnel; after IDLE_S without a service it ends by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import structlog

from pixlsrve.errors import StartError
from pixlsrve.notify import notify
from pixlsrve.wg.helper import frames
from pixlsrve.wg.helper.session import Session, Sockets
from pixlsrve.wg.interface import TunnelUnavailable

log = structlog.get_logger(__name__)

IDLE_S = 30.0
BUSY_S = 10.0
"""How long a service waits for the end of the one before it."""
MOST_CONNECTIONS = 8
_FIRST_HANDED_OVER = 3
"""SD_LISTEN_FDS_START."""
_UCRED = struct.Struct("=iII")
_PIECE_BYTES = 1 << 16


class Server:
    """Serves the user `uid` on a listening socket until told to stop, or until nobody needs it any more."""

    def __init__(self, listening: socket.socket, uid: int, *, idle_s: float | None = IDLE_S) -> None:
        listening.setblocking(False)
        self._listening = listening
        self._uid = uid
        self._idle_s = idle_s
        self._session: Session | None = None
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._active = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, or for as long as there is something to do; then take everything down."""
        accepting = asyncio.create_task(self._accept())
        stopping = asyncio.create_task(stop.wait())
        idling = asyncio.create_task(self._idle())
        try:
            await asyncio.wait({accepting, stopping, idling}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending = [accepting, stopping, idling, *self._tasks]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)

    async def _idle(self) -> None:
        """Returns once nobody was connected for `idle_s`."""
        while True:
            self._active.clear()
            try:
                async with asyncio.timeout(None if self._tasks else self._idle_s):
                    await self._active.wait()
            except TimeoutError:
                return

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._listening)
            connection.setblocking(False)
            if peer_uid(connection) != self._uid or len(self._tasks) >= MOST_CONNECTIONS:
                log.warning("a stranger was turned away", uid=peer_uid(connection))
                connection.close()
                continue
            task = asyncio.create_task(self._serve(connection))
            self._tasks.add(task)
            task.add_done_callback(self._forget)
            self._active.set()

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._active.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("a connection failed", exc_info=task.exception())

    async def _serve(self, connection: socket.socket) -> None:
        """One connection: the service's, or one that only watches."""
        with connection, contextlib.suppress(OSError, TunnelUnavailable):
            first = await _read(connection)
            if isinstance(first, frames.Watch):
                await self._watch(connection)
                return
            try:
                async with asyncio.timeout(BUSY_S):
                    await self._turn.acquire()
            except TimeoutError:
                await _send(
                    connection, frames.Refused("The tunnel's helper serves another one.", "", "no_tunnel"), None
                )
                return
            try:
                await self._hold(connection, first)
            finally:
                self._turn.release()

    async def _hold(self, connection: socket.socket, first: frames.AnyRequest) -> None:
        """A service's session, from its first request to the end of its connection."""
        session = self._session = Session()
        guarding = asyncio.create_task(session.guard())
        log.info("the service is there")
        try:
            request = first
            while True:
                await _send(connection, *await session.answer(request))
                request = await _read(connection)
        finally:
            self._session = None
            guarding.cancel()
            await asyncio.gather(guarding, return_exceptions=True)
            await asyncio.shield(asyncio.create_task(session.end()))
            log.info("the service has gone")

    async def _watch(self, connection: socket.socket) -> None:
        """Tell of the loss of the interface, unless the other end has gone before."""
        session = self._session
        if session is None:
            return
        gone = asyncio.create_task(asyncio.get_running_loop().sock_recv(connection, 1))
        lost = asyncio.create_task(session.lost())
        try:
            await asyncio.wait({gone, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not gone.done():
                await _send(connection, frames.Done(), None)
        finally:
            for task in (gone, lost):
                task.cancel()
            await asyncio.gather(gone, lost, return_exceptions=True)


def serve(uid: int, path: Path | None) -> None:
    """Be the helper of the user `uid`, on the socket that systemd hands over, or on a new one at `path`.

    Raises StartError where there is no socket.
    """
    os.umask(0o077)
    with _listening(uid, path) as listening, asyncio.Runner() as runner:
        runner.run(_serve_until_told(Server(listening, uid, idle_s=IDLE_S if path is None else None)))


def peer_uid(connection: socket.socket) -> int:
    """The user at the other end, as the kernel knows it (SO_PEERCRED)."""
    _, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)


async def _serve_until_told(server: Server) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    notify("READY=1")
    await server.run(stop)
    notify("STOPPING=1")


@contextlib.contextmanager
def _listening(uid: int, path: Path | None) -> Iterator[socket.socket]:
    """The listening socket. Raises StartError."""
    if path is None:
        if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
            raise StartError("The tunnel's helper is started by systemd (pixlsrve-tunnel.socket), or with --socket.")
        with socket.socket(fileno=_FIRST_HANDED_OVER) as handed_over:
            os.set_inheritable(_FIRST_HANDED_OVER, False)
            yield handed_over
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        path.unlink(missing_ok=True)
        made.bind(str(path))
        try:
            os.chown(path, uid, -1)
            path.chmod(0o600)
            made.listen(MOST_CONNECTIONS)
            yield made
        finally:
            path.unlink(missing_ok=True)


async def _read(connection: socket.socket) -> frames.AnyRequest:
    """The next request. Raises OSError at the connection's end, TunnelUnavailable for what is no request."""
    (length,) = frames.LENGTH.unpack(await _exactly(connection, frames.LENGTH.size))
    if length > frames.MAX_REQUEST_BYTES:
        raise OSError("the service says too much")
    return frames.decode_request(await _exactly(connection, length))


async def _exactly(connection: socket.socket, count: int) -> bytes:
    loop, parts = asyncio.get_running_loop(), bytearray()
    while len(parts) < count:
        piece = await loop.sock_recv(connection, min(count - len(parts), _PIECE_BYTES))
        if not piece:
            raise OSError("the connection has ended")
        parts += piece
    return bytes(parts)


async def _send(connection: socket.socket, reply: frames.Reply, sockets: Sockets | None) -> None:
    """Send a reply; sockets ride on its length, and are ours no longer."""
    data = frames.encode(reply)
    if sockets is None:
        await asyncio.get_running_loop().sock_sendall(connection, data)
        return
    try:
        # Nothing else is under way on this connection: its buffer has room for so little.
        socket.send_fds(connection, [data], [each.fileno() for each in sockets])
    finally:
        for each in sockets:
            each.close()
