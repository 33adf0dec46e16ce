"""How far indexing has come, and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum

import msgspec


class Stage(StrEnum):
    """What the indexer is busy with."""

    IDLE = "idle"
    LISTING = "listing"
    READING = "reading"
    DECODING = "decoding"
    NAMING = "naming"
    """Positions wait for the names of places, which the first start makes."""


class IndexStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot for `host/status`, the command line and events."""

    in_progress: bool
    stage: Stage
    done: int
    """Files finished in this stage."""
    total: int
    """Files of this stage, finished or not; while listing, those found so far."""
    eta_seconds: int | None
    """Until the last thumbnail is made; None when nothing is known yet."""
    quarantined: int
    last_completed_us: int | None
    photos_indexed: int


class Pace:
    """Files a second, measured over the last stretch of uninterrupted work."""

    WINDOW_S = 30.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since_s: float | None = None
        self._count = 0.0

    def note(self, count: int) -> None:
        """So many files were finished just now."""
        now = self._clock()
        if self._since_s is None:
            self._since_s = now
        elif now - self._since_s > 2 * self.WINDOW_S:
            keep = self.WINDOW_S / (now - self._since_s)
            self._count, self._since_s = self._count * keep, now - self.WINDOW_S
        self._count += count

    def rest(self) -> None:
        """Nothing to do: time from here on doesn't count."""
        self._since_s, self._count = None, 0.0

    def seconds_for(self, count: int) -> float | None:
        """How long `count` more will take; None before there is a measure."""
        if self._since_s is None or not self._count:
            return None
        elapsed_s = self._clock() - self._since_s
        return count * elapsed_s / self._count if elapsed_s > 0.5 else None


class Progress:
    """Counts of what is done and to be done; kept by the indexer's parts, read by everybody."""

    def __init__(self) -> None:
        self.is_listing = False
        self.listed = 0
        self.unread = 0
        self.undecoded = 0
        self.read = 0
        self.decoded = 0
        self.quarantined = 0
        self.photos_indexed = 0
        self.last_completed_us: int | None = None
        self.are_names_coming = False
        """Whether the names of places are being made, so that positions can't be named yet."""
        self.has_unnamed = False
        """Whether a position was read that may have to be named later."""
        self.reading_pace = Pace()
        self.decoding_pace = Pace()

    def note_read(self, count: int) -> None:
        """So many headers were read; their contents come next."""
        self.read += count
        self.unread = max(0, self.unread - count)
        self.undecoded += count
        self.reading_pace.note(count)

    def note_decoded(self, count: int) -> None:
        """So many contents were read."""
        self.decoded += count
        self.undecoded = max(0, self.undecoded - count)
        self.decoding_pace.note(count)

    def finish(self, at_us: int) -> None:
        """Everything has been read."""
        self.read = self.decoded = self.unread = self.undecoded = 0
        self.reading_pace.rest()
        self.decoding_pace.rest()
        self.last_completed_us = at_us

    @property
    def in_progress(self) -> bool:
        """Whether anything is left to do."""
        return self.is_listing or self.unread > 0 or self.undecoded > 0 or self._is_naming

    @property
    def _is_naming(self) -> bool:
        return self.are_names_coming and self.has_unnamed

    def status(self) -> IndexStatus:
        """The snapshot."""
        if self.is_listing:
            stage, done, total = Stage.LISTING, self.listed, self.listed
        elif self.unread > 0:
            stage, done, total = Stage.READING, self.read, self.read + self.unread
        elif self.undecoded > 0:
            stage, done, total = Stage.DECODING, self.decoded, self.decoded + self.undecoded
        else:
            stage = Stage.NAMING if self._is_naming else Stage.IDLE
            done = total = self.photos_indexed
        return IndexStatus(
            in_progress=self.in_progress,
            stage=stage,
            done=done,
            total=total,
            eta_seconds=self._eta_s() if self.in_progress else 0,
            quarantined=self.quarantined,
            last_completed_us=self.last_completed_us,
            photos_indexed=self.photos_indexed,
        )

    def _eta_s(self) -> int | None:
        """Headers, then contents, at the pace of each so far."""
        if self.is_listing:
            return None
        contents = self.unread + self.undecoded
        decoding_s = self.decoding_pace.seconds_for(contents)
        reading_s = self.reading_pace.seconds_for(self.unread) if self.unread else 0.0
        if decoding_s is None or reading_s is None:
            return None
        return max(1, round(reading_s + decoding_s))
