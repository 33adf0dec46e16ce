"""Times as the API writes them: RFC 3339, UTC, `Z`."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(at_us: int) -> str:
    """2024-05-31T12:00:00Z for microseconds since the Unix epoch; with milliseconds where there is a fraction."""
    moment = _EPOCH + timedelta(microseconds=at_us)
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.isoformat(timespec=precision).removesuffix("+00:00") + "Z"


def rfc3339_or_none(at_us: int | None) -> str | None:
    """The same; None for what has not happened."""
    return None if at_us is None else rfc3339(at_us)


def rfc3339_ms(at_us: int) -> str:
    """2024-05-31T12:00:00.000Z: always with milliseconds, as PiSync's clients know it."""
    moment = _EPOCH + timedelta(microseconds=at_us)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def now_us() -> int:
    """The wall clock, microseconds since the Unix epoch."""
    return time.time_ns() // 1_000
