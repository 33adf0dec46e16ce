"""What the websockets share: frames made once for all, clients of whom none delays another, and how they end.

A message to many is encoded once and handed to each client's transport, which keeps a reference to the same bytes for
whoever can't take it at once. There is no queue and no task for each client beside that (THREATS T30).
"""

from __future__ import annotations

import asyncio
import os
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Generic, TypeVar

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from pixlsrve.http.guard import cut, spare_descriptors
from pixlsrve.http.server import Protocol

QUEUE_BYTES = 256 * 1024
"""What may wait for one client; one message more, and it is closed with 1013."""
MESSAGE_MAX_BYTES = 64 * 1024
PING_PAUSE_S = 25.0
SEND_LIMIT_S = 10.0
CLOSE_LIMIT_S = 2.0
CLIENTS_MAX = 12_000
CLIENT_BYTES = 25_000
"""What one client costs at most, by measurement (benchmarks/push.py)."""
MEMORY_SHARE = 8
"""All clients of one kind together take at most this part of the memory."""
_AT_ONCE = 100
"""Clients written to before the rest of the program has its turn."""
_MESSAGES_S = 100.0
_MESSAGES_BURST = 400.0
_BYTES_A_MESSAGE = 1_024


def text_frame(text: bytes) -> bytes:
    """A whole text message as a server sends it: one frame, neither masked nor compressed (RFC 6455 §5.2)."""
    return _frame(WSMsgType.TEXT, text)


def _frame(opcode: WSMsgType, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x80 | opcode, size) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload


_PING = _frame(WSMsgType.PING, b"")


class _Pace:
    """How fast one client may talk; whoever talks faster is read more slowly, and so held back by its own network."""

    __slots__ = ("_at_s", "_left")

    def __init__(self) -> None:
        self._left = _MESSAGES_BURST
        self._at_s = time.monotonic()

    def pause_s(self, size_bytes: int) -> float:
        """How long to wait before the next message is read, after one of this size."""
        now_s = time.monotonic()
        self._left = min(_MESSAGES_BURST, self._left + (now_s - self._at_s) * _MESSAGES_S)
        self._at_s = now_s
        self._left -= 1 + size_bytes / _BYTES_A_MESSAGE
        return max(0.0, -self._left / _MESSAGES_S)


class Client:
    """One websocket. `owner` says whose it is, for the fair sharing of room."""

    __slots__ = ("_transport", "has_spoken", "is_over", "owner", "socket")

    def __init__(self, request: web.Request, owner: str, *, max_bytes: int = MESSAGE_MAX_BYTES) -> None:
        self.owner = owner
        self.is_over = False
        """Whether it has been told to go."""
        self.has_spoken = True
        """Whether anything came from it since the last ping."""
        self._transport = request.transport
        # Pings are the crowd's: the framework's need two timers and a task for each client.
        self.socket = web.WebSocketResponse(
            autoping=False,
            autoclose=False,
            compress=False,
            max_msg_size=max_bytes,
            timeout=CLOSE_LIMIT_S,
            writer_limit=MESSAGE_MAX_BYTES,
        )

    def can_open(self, request: web.Request) -> bool:
        """Whether the request is a websocket's handshake."""
        return bool(self.socket.can_prepare(request))

    async def open(self, request: web.Request) -> None:
        """Answer the handshake; from now on the connection counts as a websocket and no more as a request."""
        await self.socket.prepare(request)
        if isinstance(request.protocol, Protocol):
            request.protocol.leave_guard()

    def offer(self, frame: bytes) -> bool:
        """Send without waiting; False when too much waits already, and nothing was sent."""
        transport = self._transport
        if transport is None or transport.is_closing() or self.is_over:
            return True
        if transport.get_write_buffer_size() + len(frame) > QUEUE_BYTES:
            return False
        transport.write(frame)
        return True

    async def send(self, text: bytes) -> None:
        """Send as fast as the client takes it. Raises TimeoutError when it takes nothing for 10 s, ConnectionError."""
        async with asyncio.timeout(SEND_LIMIT_S):
            await self.socket.send_frame(text, WSMsgType.TEXT)
        self.has_spoken = True

    async def messages(self, *, is_paced: bool = True) -> AsyncIterator[WSMessage]:
        """What the client says, at a bounded pace, until it or we close; pings are answered in between."""
        pace = _Pace()
        async for message in self.socket:
            self.has_spoken = True
            if message.type is WSMsgType.PING and not self.offer(_frame(WSMsgType.PONG, message.data)):
                return
            size_bytes = len(message.data) if isinstance(message.data, bytes | str) else 0
            if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                yield message
            if is_paced and (pause_s := pace.pause_s(size_bytes)):
                await asyncio.sleep(pause_s)
        if self.socket.close_code == WSCloseCode.ABNORMAL_CLOSURE:
            # A code that no peer may send (RFC 6455 §7.4.1), which the framework lets pass.
            await self.close(WSCloseCode.PROTOCOL_ERROR, b"")

    async def close(self, code: WSCloseCode, reason: bytes, limit_s: float = CLOSE_LIMIT_S) -> None:
        """Say why and close; a client that doesn't answer in time is cut off."""
        self.is_over = True
        if not self.socket.prepared:
            return
        try:
            async with asyncio.timeout(limit_s):
                await self.socket.close(code=code, message=reason)
        except (TimeoutError, ConnectionError):
            self.cut()
        self._cut_unread()

    def cut(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            cut(self._transport)

    def _cut_unread(self) -> None:
        """A client that doesn't read would keep a closing connection for ever."""
        if self._transport is not None and self._transport.get_write_buffer_size():
            self.cut()


ClientT = TypeVar("ClientT", bound=Client)


class Crowd(Generic[ClientT]):
    """The clients of one kind of websocket, at most `most` of them.

    Where there is no more room, whoever has the most open gives up his oldest one for somebody who has fewer.
    """

    def __init__(self, most: int | None = None, *, ping_pause_s: float = PING_PAUSE_S) -> None:
        self._most = room() if most is None else most
        self._ping_pause_s = ping_pause_s
        self._clients: dict[ClientT, None] = {}
        self._owners: Counter[str] = Counter()
        self._endings: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[ClientT]:
        return iter(list(self._clients))

    def add(self, client: ClientT) -> bool:
        """Take a client in; False when there is no room for it."""
        if len(self._clients) >= self._most and not self._make_room(client.owner):
            return False
        self._clients[client] = None
        self._owners[client.owner] += 1
        return True

    def remove(self, client: ClientT) -> None:
        """Forget a client; saying so twice does no harm."""
        if client not in self._clients:
            return
        del self._clients[client]
        self._owners[client.owner] -= 1
        if not self._owners[client.owner]:
            del self._owners[client.owner]

    async def tell(self, frame: bytes, is_for: Callable[[ClientT], bool] = lambda _: True) -> None:
        """Send a frame to all whom it is for; who has too much waiting is closed with 1013."""
        for number, client in enumerate(self, 1):
            if is_for(client) and not client.offer(frame):
                self.end([client], WSCloseCode.TRY_AGAIN_LATER, b"too slow")
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        # Transports send when the loop has its turn: without one, a few messages in a row would be too many for all.
        await asyncio.sleep(0)

    async def keep_alive(self) -> None:
        """Ping all regularly, and close who has not made a sound for a whole pause, until cancelled."""
        while True:
            # Spread over the pause, so that ten thousand answers don't come at once.
            rounds = len(self) // _AT_ONCE + 1
            for number, client in enumerate(self, 1):
                if not client.has_spoken or not client.offer(_PING):
                    client.cut()
                client.has_spoken = False
                if number % _AT_ONCE == 0:
                    await asyncio.sleep(self._ping_pause_s / rounds)
            await asyncio.sleep(self._ping_pause_s / rounds)

    def end(self, clients: Iterable[ClientT], code: WSCloseCode, reason: bytes) -> None:
        """Close some, without waiting for it; they count no more."""
        for client in clients:
            if not client.is_over:
                client.is_over = True
                self.remove(client)
                task = asyncio.create_task(client.close(code, reason))
                self._endings.add(task)
                task.add_done_callback(self._endings.discard)

    async def close(
        self, clients: Iterable[ClientT], code: WSCloseCode, reason: bytes, limit_s: float = CLOSE_LIMIT_S
    ) -> None:
        """Close some, and wait until it is done."""
        await asyncio.gather(*(client.close(code, reason, limit_s) for client in clients))

    def _make_room(self, owner: str) -> bool:
        most = max(self._owners, key=self._owners.__getitem__, default=owner)
        if self._owners[most] <= self._owners[owner] + 1:
            return False
        oldest = next(client for client in self._clients if client.owner == most)
        self.end([oldest], WSCloseCode.TRY_AGAIN_LATER, b"others need the room")
        return True


def room() -> int:
    """How many clients of one kind this host has room for, by its memory and the system's bound on open files."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(100, min(CLIENTS_MAX, memory_bytes // MEMORY_SHARE // CLIENT_BYTES, spare_descriptors()))
