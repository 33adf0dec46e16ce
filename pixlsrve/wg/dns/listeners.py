"""The sockets that devices in the tunnel ask: UDP and TCP (RFC 7766) at the host's address there."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable, Coroutine

from pixlsrve.wg.dns import message
from pixlsrve.wg.dns.desk import Desk
from pixlsrve.wg.dns.message import Query

BATCH = 64
"""Packets taken from the socket before others have their turn."""
CONNECTIONS_MAX = 64
CONNECTIONS_PER_CLIENT = 8
PIPELINED_MAX = 16
"""Questions of one connection that are answered at one time (RFC 7766 §6.2.1.1)."""
IDLE_S = 10.0
"""RFC 7766 §6.2.3: a few seconds."""
WRITE_LIMIT_S = 5.0
BACKLOG = 64
_RECEIVE_BUFFER_BYTES = 512 * 1024
_IP_BOUND_IF = 25
"""macOS: netinet/in.h."""
_LENGTH = struct.Struct("!H")
OpenSockets = Callable[[str, int, str | None], tuple[socket.socket, socket.socket]]
"""What `open_sockets` is."""


class Clients:
    """Who may ask: the devices in the tunnel, nobody else (THREATS T35)."""

    def __init__(self, network: ipaddress.IPv4Network) -> None:
        self._mask = int(network.netmask)
        self._network = int(network.network_address)

    def are(self, host: str) -> bool:
        """Whether `host`, an IPv4 address, is in the tunnel."""
        return int.from_bytes(socket.inet_aton(host)) & self._mask == self._network


class UdpListener:
    """Answers datagrams on a bound socket; what can't be sent at once is lost, as datagrams are."""

    def __init__(self, bound: socket.socket, desk: Desk, clients: Clients) -> None:
        self._socket = bound
        self._desk = desk
        self._clients = clients
        asyncio.get_running_loop().add_reader(bound.fileno(), self._receive)

    def close(self) -> None:
        """Take no more; answers that are still found go nowhere."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()

    def _receive(self) -> None:
        for _ in range(BATCH):
            try:
                packet, source = self._socket.recvfrom(message.QUERY_BYTES_MAX + 1)
            except OSError:  # nothing more, or news of an answer that did not arrive
                return
            if self._clients.are(source[0]):
                self._answer(packet, source)

    def _answer(self, packet: bytes, source: tuple[str, int]) -> None:
        answer = self._desk.answer_now(packet, is_udp=True)
        if isinstance(answer, Query):
            self._desk.answer_soon(packet, answer, source[0], functools.partial(self._send, source))
        elif answer is not None:
            self._send(source, answer)

    def _send(self, source: tuple[str, int], answer: bytes) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendto(answer, source)


class TcpListener:
    """Answers connections; each may ask many questions, and gets the answers as they are found."""

    def __init__(self, desk: Desk, clients: Clients) -> None:
        self._desk = desk
        self._clients = clients
        self._open: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, bound: socket.socket) -> None:
        """Take connections from a listening socket."""
        self._server = await asyncio.start_server(self._accept, sock=bound, limit=message.QUERY_BYTES_MAX + 2)

    async def close(self) -> None:
        """Take no more, and end what is open."""
        if self._server is not None:
            self._server.close()
        await _end(self._tasks)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        host = peer[0] if peer else ""
        if (
            not host
            or not self._clients.are(host)
            or self._open[host] >= CONNECTIONS_PER_CLIENT
            or self._open.total() >= CONNECTIONS_MAX
        ):
            writer.transport.abort()
            return
        self._open[host] += 1
        _start(self._tasks, self._serve(host, reader, writer))

    async def _serve(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from its first question to its end."""
        pending: set[asyncio.Task[None]] = set()
        room = asyncio.Semaphore(PIPELINED_MAX)
        try:
            while True:
                await room.acquire()
                packet = await _read(reader)
                _start(pending, self._answer(packet, host, writer, room))
        except (OSError, EOFError, TimeoutError):
            if pending and not writer.is_closing():
                await asyncio.wait(pending)  # its side may be closed for sending and still read
        finally:
            await _end(pending)
            if writer.transport.get_write_buffer_size():  # its device doesn't read
                writer.transport.abort()
            writer.close()
            self._open[host] -= 1
            if not self._open[host]:
                del self._open[host]

    async def _answer(self, packet: bytes, host: str, writer: asyncio.StreamWriter, room: asyncio.Semaphore) -> None:
        """Answer one question. A device that doesn't read loses its connection."""
        try:
            answer = self._desk.answer_now(packet, is_udp=False)
            if isinstance(answer, Query):
                answer = await self._desk.answer_later(packet, answer, host)
            if answer is None:
                writer.transport.abort()
                return
            writer.write(_LENGTH.pack(len(answer)) + answer)
            async with asyncio.timeout(WRITE_LIMIT_S):
                await writer.drain()
        except (OSError, TimeoutError):
            writer.transport.abort()
        finally:
            room.release()


async def _read(reader: asyncio.StreamReader) -> bytes:
    """The next message. Raises EOFError, OSError, and TimeoutError where it doesn't come in time."""
    async with asyncio.timeout(IDLE_S):
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > message.QUERY_BYTES_MAX:
            raise EOFError
        return await reader.readexactly(length)


def open_sockets(address: str, port: int, interface: str | None) -> tuple[socket.socket, socket.socket]:
    """A datagram and a listening socket, bound. Raises OSError.

    They are tied to `interface` where the system lets us; the senders' addresses are checked in any case.
    """
    with contextlib.ExitStack() as stack:
        datagrams = stack.enter_context(contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))
        stream = stack.enter_context(contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)))
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for each in (datagrams, stream):
            each.setblocking(False)
            if interface:
                _tie(each, interface)
            each.bind((address, port or datagrams.getsockname()[1]))
        with contextlib.suppress(OSError):
            datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        stream.listen(BACKLOG)
        stack.pop_all()
        return datagrams, stream


def _tie(made: socket.socket, interface: str) -> None:
    """Let a socket hear this interface only."""
    with contextlib.suppress(OSError):
        if sys.platform == "darwin":
            made.setsockopt(socket.IPPROTO_IP, _IP_BOUND_IF, socket.if_nametoindex(interface))
        elif hasattr(socket, "SO_BINDTODEVICE"):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")


def _start(tasks: set[asyncio.Task[None]], work: Coroutine[None, None, None]) -> None:
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
