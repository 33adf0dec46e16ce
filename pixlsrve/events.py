"""What happened, told to whoever listens: event types and the bus that hands them out in order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import msgspec

from pixlsrve.model import Principal, Role

ENVELOPE_BYTES = 100
"""What an event takes beside its data: number, type, time."""
QUEUE_BYTES = 256 * 1024
"""What may wait for one listener (THREATS T30)."""


class EventType(StrEnum):
    """The types of `GET /api/v1/ws` (DESIGN section 4)."""

    PHOTO_ADDED = "photo.added"
    PHOTO_CHANGED = "photo.changed"
    PHOTO_REMOVED = "photo.removed"
    ALBUM_CHANGED = "album.changed"
    SCAN_PROGRESS = "scan.progress"
    SCAN_FINISHED = "scan.finished"
    ROOT_STATE = "root.state"
    DEVICE_PAIRED = "device.paired"
    DEVICE_REVOKED = "device.revoked"
    DEVICE_SYNCED = "device.synced"
    SYNC_PROGRESS = "sync.progress"
    MEDIA_UPLOADED = "media.uploaded"
    MEDIA_POSTED = "media.posted"
    TUNNEL_ENDPOINT = "tunnel.endpoint"
    TOKEN_REUSED = "token.reused"  # noqa: S105  # an event's name
    RESYNC = "resync"


_OF_THE_LIBRARY = frozenset({EventType.SCAN_PROGRESS, EventType.SCAN_FINISHED})
"""What tells how much the library holds, of no root in particular."""


class Event(msgspec.Struct, frozen=True):
    """One thing that happened. `at_us` is microseconds since the Unix epoch; `root_id` limits who may see it.

    `audience` limits it further, where it isn't None, to admins and these devices and accounts (their UUIDs).
    """

    seq: int
    type: EventType
    at_us: int
    data: dict[str, Any]
    root_id: int | None = None
    audience: frozenset[str] | None = None

    def is_for(self, principal: Principal) -> bool:
        """Whether this principal may know of it."""
        if self.root_id is not None and principal.roots is not None and self.root_id not in principal.roots:
            return False
        if self.type in _OF_THE_LIBRARY and principal.roots == frozenset():
            return False
        if self.audience is None or principal.role is Role.ADMIN:
            return True
        return principal.device_id in self.audience or principal.account_id in self.audience


class Subscription:
    """One listener's queue, at most `size` events of `size_bytes` together; who falls further behind is `is_overrun`.

    An event's size is that of its data as JSON, and some for the rest.
    """

    def __init__(self, size: int, size_bytes: int) -> None:
        self._queue: asyncio.Queue[tuple[Event, int]] = asyncio.Queue(size)
        self._left_bytes = size_bytes
        self.is_overrun = False

    def offer(self, event: Event, size_bytes: int) -> None:
        """Queue `event`, or mark the subscription as overrun when it is full."""
        if size_bytes > self._left_bytes or self._queue.full():
            self.is_overrun = True
            return
        self._left_bytes -= size_bytes
        self._queue.put_nowait((event, size_bytes))

    async def get(self) -> Event:
        """The next event; waits for it."""
        event, size_bytes = await self._queue.get()
        self._left_bytes += size_bytes
        return event


class EventBus:
    """Numbers events and hands each to every subscriber; keeps the last HISTORY of them for replay.

    `next_seq` continues where the last run stopped, `reserve(upto)` is called before numbers up to `upto` are used, so
    that a number is never given twice, whatever happens to the process.
    """

    BLOCK = 10_000
    HISTORY = 5_000

    def __init__(self, *, next_seq: int = 1, reserve: Callable[[int], None] | None = None) -> None:
        self._next_seq = next_seq
        self._reserved = next_seq
        self._reserve = reserve
        self._history: deque[Event] = deque(maxlen=self.HISTORY)
        self._subscriptions: set[Subscription] = set()

    @property
    def last_seq(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self._next_seq - 1

    def publish(
        self,
        type_: EventType,
        data: dict[str, Any],
        *,
        root_id: int | None = None,
        audience: frozenset[str] | None = None,
    ) -> Event:
        """Number an event, remember it and hand it to every subscriber without waiting."""
        if self._reserve is not None and self._next_seq >= self._reserved:
            self._reserved = self._next_seq + self.BLOCK
            self._reserve(self._reserved)
        event = Event(self._next_seq, type_, time.time_ns() // 1_000, data, root_id, audience)
        self._next_seq += 1
        self._history.append(event)
        if self._subscriptions:
            size_bytes = len(msgspec.json.encode(data)) + ENVELOPE_BYTES
            for subscription in self._subscriptions:
                subscription.offer(event, size_bytes)
        return event

    def since(self, seq: int) -> list[Event] | None:
        """The events after `seq`, oldest first, or None when that far back (or forward) is not known any more."""
        if seq == self.last_seq:
            return []
        if not self._history or seq > self.last_seq or seq < self._history[0].seq - 1:
            return None
        return [event for event in self._history if event.seq > seq]

    @contextmanager
    def subscribe(self, size: int = 1_000, size_bytes: int = QUEUE_BYTES) -> Iterator[Subscription]:
        """A subscription for the length of the block."""
        subscription = Subscription(size, size_bytes)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
