"""The key that orders assets by date: where a moment lies among all date keys (asset.date_key in the index)."""

from __future__ import annotations

from datetime import date

UNIQUE_BITS = 19
FIRST_KEYS_END = 1 << UNIQUE_BITS
"""Keys below are of the first millisecond, which stands for everything before it too."""
_START_MS = (date(1823, 1, 1) - date(1970, 1, 1)).days * 86_400_000
_LAST_MS = (1 << 44) - 1


def date_key(at_us: int, number: int) -> int:
    """A key of the millisecond that holds `at_us`; `number` chooses one of its 524,288 keys."""
    return first_key(at_us) | (number & ((1 << UNIQUE_BITS) - 1))


def sort_us_sql(key: str) -> str:
    """The moment of a key, microseconds since the Unix epoch, whole milliseconds: SQL for the expression `key`."""
    return f"((({key}) >> {UNIQUE_BITS}) + {_START_MS}) * 1000"


def first_key(at_us: int) -> int:
    """The lowest date key of the millisecond that holds `at_us` (microseconds since the Unix epoch, UTC).

    Moments before 1823 share the first millisecond, those after the year 2380 the last.
    """
    milliseconds = at_us // 1_000 - _START_MS
    return min(max(milliseconds, 0), _LAST_MS) << UNIQUE_BITS


def last_key(at_us: int) -> int:
    """The highest date key of the millisecond that holds `at_us`."""
    return first_key(at_us) | ((1 << UNIQUE_BITS) - 1)
