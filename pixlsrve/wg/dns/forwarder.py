"""Asks other resolvers: over UDP from a port of its own each time, over TCP where the answer is too long."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import struct
from collections.abc import Callable, Sequence

from pixlsrve.wg.dns import message
from pixlsrve.wg.dns.message import Answer, Malformed, Query
from pixlsrve.wg.dns.resolvers import Server

TRY_S = 1.5
"""How long one packet is waited for."""
TRIES = 3
PATIENCE_S = 0.75
"""How long a silent server is waited for before the next one is asked (beside it, from the second on)."""
LIMIT_S = 4.5
"""Phones give up after five seconds."""
_RECEIVED_BYTES_MAX = 4_096
_LENGTH = struct.Struct("!H")
_POOR = frozenset({message.SERVFAIL, message.REFUSED, message.NOTIMP, message.FORMERR})


class NoAnswer(Exception):
    """Nobody who could be asked has answered."""


class Forwarder:
    """Asks `servers` in their order; one that answered where others failed is asked first from then on."""

    def __init__(self, servers: Callable[[], Sequence[Server]]) -> None:
        self._servers = servers
        self._favourite: Server | None = None

    async def ask(self, query: Query) -> Answer:
        """The first good answer, else the first poor one. Raises NoAnswer."""
        servers = self._in_order()
        if not servers:
            raise NoAnswer
        ends_s = asyncio.get_running_loop().time() + LIMIT_S
        try:
            answer = await _try(servers[0], query, PATIENCE_S)  # almost always all it takes
        except (TimeoutError, NoAnswer):
            pass
        else:
            if answer.rcode not in _POOR:
                return answer
        try:
            async with asyncio.timeout_at(ends_s):
                return await self._ask_all(query, [*servers[1:], servers[0]])
        except TimeoutError as error:
            raise NoAnswer from error

    def _in_order(self) -> list[Server]:
        return sorted(self._servers(), key=lambda server: server != self._favourite)

    async def _ask_all(self, query: Query, waiting: list[Server]) -> Answer:
        """Ask the servers, the next one beside the others when these are silent. Raises NoAnswer."""
        asked: dict[asyncio.Task[Answer], Server] = {}
        poor: Answer | None = None
        try:
            while waiting or asked:
                if waiting:
                    server = waiting.pop(0)
                    asked[asyncio.create_task(_exchange(server, query))] = server
                done, _ = await asyncio.wait(
                    asked, timeout=PATIENCE_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    server = asked.pop(task)
                    answer = _result(task)
                    if answer is not None and answer.rcode not in _POOR:
                        self._favourite = server
                        return answer
                    poor = poor or answer
        finally:
            for task in asked:
                task.cancel()
        if poor is None:
            raise NoAnswer
        return poor


def _result(task: asyncio.Task[Answer]) -> Answer | None:
    try:
        return task.result()
    except NoAnswer:
        return None


async def _exchange(server: Server, query: Query) -> Answer:
    """Ask one server until it answers; without EDNS if it knows none (RFC 6891 §7). Raises NoAnswer."""
    has_edns = True
    for _ in range(TRIES):
        try:
            answer = await _try(server, query, TRY_S, has_edns=has_edns)
        except TimeoutError:
            continue
        if not (has_edns and answer.rcode in (message.FORMERR, message.NOTIMP)):
            return answer
        has_edns = False
    raise NoAnswer


async def _try(server: Server, query: Query, limit_s: float, *, has_edns: bool = True) -> Answer:
    """What one server answers to one packet. Raises NoAnswer, TimeoutError."""
    id_ = secrets.randbits(16)
    packet = message.make_query(query, id_, has_edns=has_edns)
    try:
        found = await _over_udp(server, packet, id_, query, limit_s)
        if message.is_truncated(found):
            found = await _over_tcp(server, packet, id_, query)
        return message.read_answer(found, query, asyncio.get_running_loop().time())
    except TimeoutError:
        raise
    except (OSError, EOFError, Malformed) as error:
        raise NoAnswer from error


async def _over_udp(server: Server, packet: bytes, id_: int, query: Query, limit_s: float) -> bytes:
    """The answer to one packet. The connected socket takes none from other addresses or for other ports.

    Raises TimeoutError, and OSError also when the server's computer says that nobody listens there. By callbacks: a
    time-out's context manager and the loop's own receiving take as long as all the rest.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()

    def receive() -> None:
        try:
            found = asking.recv(_RECEIVED_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError as error:
            _settle(answer, error)
            return
        if message.is_answer_to(found, id_, query):
            _settle(answer, found)

    with socket.socket(server.family, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        asking.connect(server.address())
        asking.send(packet)
        loop.add_reader(asking, receive)
        limit = loop.call_later(limit_s, _settle, answer, TimeoutError())
        try:
            return await answer
        finally:
            limit.cancel()
            loop.remove_reader(asking)


def _settle(answer: asyncio.Future[bytes], outcome: bytes | Exception) -> None:
    """Give the outcome to who waits, unless there is one."""
    if answer.done():
        return
    if isinstance(outcome, bytes):
        answer.set_result(outcome)
    else:
        answer.set_exception(outcome)


async def _over_tcp(server: Server, packet: bytes, id_: int, query: Query) -> bytes:
    """The answer over a connection of its own (RFC 7766). Raises OSError, EOFError, Malformed, TimeoutError."""
    host = str(server.address()[0]) + (f"%{server.zone}" if server.zone else "")
    async with asyncio.timeout(TRY_S):
        reader, writer = await asyncio.open_connection(host, server.port)
        try:
            writer.write(_LENGTH.pack(len(packet)) + packet)
            (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
            found = await reader.readexactly(length)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    if not message.is_answer_to(found, id_, query):
        raise Malformed
    return found
