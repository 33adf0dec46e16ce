"""How long connections may take and how many there may be, so that stalled ones harm nobody (THREATS T29).

The framework by itself closes an idle or half-sent header after the keep-alive time and a stalled body never.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import resource
import socket
import struct
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from pixlsrve.http.limits import Network, address_key

log = structlog.get_logger(__name__)

OPEN_FILES_MAX = 65_536
"""Further descriptors would only make tables larger."""
_DESCRIPTORS_KEPT = 256
"""For databases, workers, listeners and files that are being sent."""
_LEAST_TOTAL = 32
_DISCARD = struct.pack("ii", 1, 0)
"""struct linger: on, for no time (socket(7))."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a connection may take. Times are in seconds, sizes in bytes."""

    header_s: float = 15.0
    """From the connection, or from a further request's first byte, to the end of the header; TLS included."""
    idle_s: float = 75.0
    """Without a request: longer than a proxy's usual 60 s, which must be first to close."""
    lingering_s: float = 5.0
    """For the rest of a body that nobody wanted."""
    body_window_s: float = 30.0
    """A body brings `least_bytes_s` on average over each such time while we are reading."""
    response_window_s: float = 60.0
    """An answer is taken at `least_bytes_s` on average over each such time while bytes of it wait."""
    least_bytes_s: int = 1_024
    """Slower than any phone's network; a transfer that was cut is resumed."""
    total: int = 2_048
    """Connections at once; fewer where the system gives fewer descriptors. Some 20 kB each, with TLS 60 kB."""
    per_address: int = 256
    """Connections of one IPv4 address or IPv6 /64; a trusted proxy, which speaks for many, has only the total."""
    sweep_s: float = 1.0
    """How often deadlines are looked at."""


class Connected(Protocol):
    """What the guard needs of a transport, or of what is to become one."""

    def get_extra_info(self, name: str) -> Any:
        """`socket`, `peername`; None where unknown."""

    def abort(self) -> None:
        """End it without waiting for anything."""


class Exchange(Protocol):
    """What the guard asks of an HTTP connection."""

    def is_waiting(self) -> bool:
        """Whether it waits for a request, so that ending it loses nothing."""

    def body_bytes(self) -> int | None:
        """What has come in so far, or None while no body is expected or we are not reading."""

    def sent_bytes(self) -> int | None:
        """A number that grows as the client takes the answer, or None while nothing waits to be taken."""


class _Mark:
    """Progress over one window: at least so many bytes from each look that begins one to the look that ends it."""

    __slots__ = ("_at_s", "_bytes", "_seen", "is_silent")

    def __init__(self) -> None:
        self._at_s = 0.0
        self._bytes: int | None = None
        self._seen: int | None = None
        self.is_silent = False
        """Whether something is due and nothing at all has come from one look to the next."""

    def is_stalled(self, now_s: float, done: int | None, window_s: float, least_bytes_s: int) -> bool:
        """Whether the window that ends now brought too little; `done` None says that nothing is due."""
        self.is_silent = done is not None and done == self._seen
        self._seen = done
        if done is None or self._bytes is None:
            self._at_s, self._bytes = now_s, done
            return False
        if now_s - self._at_s < window_s:
            return False
        # A smaller number than before is that of another answer.
        is_stalled = 0 <= done - self._bytes < window_s * least_bytes_s
        self._at_s, self._bytes = now_s, done
        return is_stalled


class Entry:
    """The guard's note on one connection."""

    __slots__ = ("body", "exchange", "group", "header_since_s", "key", "sent", "transport")

    def __init__(self, transport: Connected, key: str, group: OrderedDict[Entry, None], now_s: float) -> None:
        self.transport = transport
        self.key = key
        self.group = group
        """The connections of the same address, the longest unused first."""
        self.exchange: Exchange | None = None
        """None during the TLS handshake."""
        self.header_since_s: float | None = now_s
        """Since when a header is due; None while none has begun."""
        self.body, self.sent = _Mark(), _Mark()


class Guard:
    """Counts the connections in, and ends those that stall or that make room.

    Where an address or the whole host has reached its cap, the connection that has waited longest without any request
    goes, else the one that has been idle longest, else one whose client has stopped in the middle; only when all
    move the new one is refused. So whoever fills the host with silent connections shuts nobody else out, not even from
    his own address.
    """

    def __init__(self, limits: Limits, trusted_proxies: Sequence[Network] = ()) -> None:
        self._limits = limits
        self._total = max(_LEAST_TOTAL, min(limits.total, (_descriptors() - _DESCRIPTORS_KEPT) // 2))
        self._trusted = tuple(trusted_proxies)
        self._loop = asyncio.get_running_loop()
        self._is_closed = False
        self._groups: dict[str, OrderedDict[Entry, None]] = {}
        # Without a request so far, the oldest first; and those that have had one, the longest unused first.
        self._strangers: OrderedDict[Entry, None] = OrderedDict()
        self._served: OrderedDict[Entry, None] = OrderedDict()

    @property
    def open_count(self) -> int:
        """How many connections are open."""
        return len(self._strangers) + len(self._served)

    def admit(self, transport: Connected) -> Entry | None:
        """The note on a new connection, or None when it is refused; the caller then ends it."""
        if self._is_closed:
            return None
        peer = transport.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) else ""
        key = address_key(address)
        group = self._groups.setdefault(key, OrderedDict())
        has_room = len(group) < self._limits.per_address or self._is_trusted(address) or self._make_room(group)
        if has_room and self.open_count >= self._total:
            has_room = self._make_room(self._strangers) or self._make_room(self._served)
        if not has_room:
            if not group:
                self._groups.pop(key, None)
            return None
        # Making room may have emptied the group, and with it dropped it.
        group = self._groups.setdefault(key, group)
        entry = Entry(transport, key, group, self._loop.time())
        group[entry] = None
        self._strangers[entry] = None
        return entry

    def note_request(self, entry: Entry) -> None:
        """A header has come in whole."""
        entry.header_since_s = None
        if entry not in entry.group:
            return
        if entry in self._strangers:
            del self._strangers[entry]
            self._served[entry] = None
        self._served.move_to_end(entry)
        entry.group.move_to_end(entry)

    def note_part_of_header(self, entry: Entry) -> None:
        """Bytes have come in that are no whole header yet."""
        if entry.header_since_s is None:
            entry.header_since_s = self._loop.time()

    def release(self, entry: Entry) -> None:
        """The connection is over; saying so twice does no harm."""
        self._strangers.pop(entry, None)
        self._served.pop(entry, None)
        entry.group.pop(entry, None)
        if not entry.group:
            self._groups.pop(entry.key, None)

    def sweep(self) -> None:
        """End what has missed a deadline."""
        now_s = self._loop.time()
        for entry in (*self._strangers, *self._served):
            if self._is_late(entry, now_s):
                self._end(entry)

    def close(self) -> None:
        """Admit nobody any more, and end the connections that have not come as far as HTTP: the daemon stops."""
        self._is_closed = True
        for entry in [entry for entry in self._strangers if entry.exchange is None]:
            self._end(entry)

    @contextlib.asynccontextmanager
    async def sweeping(self) -> AsyncIterator[None]:
        """Sweep regularly for the length of the block."""
        task = asyncio.create_task(self._sweep_on(), name="connection guard")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _sweep_on(self) -> None:
        while True:
            await asyncio.sleep(self._limits.sweep_s)
            self.sweep()

    def _is_late(self, entry: Entry, now_s: float) -> bool:
        """Whether the connection has missed a deadline."""
        limits, exchange = self._limits, entry.exchange
        if entry.header_since_s is not None and now_s - entry.header_since_s >= limits.header_s:
            return exchange is None or exchange.is_waiting()
        if exchange is None:
            return False
        least = limits.least_bytes_s
        is_body_late = entry.body.is_stalled(now_s, exchange.body_bytes(), limits.body_window_s, least)
        is_answer_late = entry.sent.is_stalled(now_s, exchange.sent_bytes(), limits.response_window_s, least)
        return is_body_late or is_answer_late

    def _make_room(self, candidates: OrderedDict[Entry, None]) -> bool:
        """End the longest-waiting one of `candidates`, strangers first; False where all are at work."""
        idle: Entry | None = None
        silent: Entry | None = None
        for entry in candidates:
            if entry.exchange is None or entry.exchange.is_waiting():
                if entry in self._strangers:
                    self._end(entry)
                    return True
                idle = idle or entry
            elif entry.body.is_silent or entry.sent.is_silent:
                silent = silent or entry
        chosen = idle or silent
        if chosen is None:
            return False
        self._end(chosen)
        return True

    def _end(self, entry: Entry) -> None:
        self.release(entry)
        cut(entry.transport)

    def _is_trusted(self, address: str) -> bool:
        if not self._trusted:
            return False
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._trusted)


def cut(transport: Connected) -> None:
    """End a connection at once; what the kernel has not sent yet is thrown away, which closing alone does not do."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DISCARD)
    transport.abort()


def raise_descriptor_limit() -> None:
    """Let this process open as many files as the system lets it, at most OPEN_FILES_MAX."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_MAX)
    # macOS names no bound as the hard limit and refuses more than kern.maxfilesperproc.
    for number in (wanted, 24_576, 10_240):
        if soft != resource.RLIM_INFINITY and soft < number <= wanted:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
                return


def spare_descriptors() -> int:
    """How many descriptors the connections under the guard's eyes leave for others, such as websockets."""
    return max(0, _descriptors() - _DESCRIPTORS_KEPT - Limits.total)


def _descriptors() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_FILES_MAX if soft == resource.RLIM_INFINITY else soft
