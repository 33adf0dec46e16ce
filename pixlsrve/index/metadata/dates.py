"""Capture times: parsing the ways files write them, and choosing instant and wall clock (pure).

Local times without a zone are read in the host's zone as PEP 495 does with fold=0: a time that a clock change repeats
is its first occurrence, and a time that a clock change skips is read with the offset from before the change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from pixlsrve.model import TakenSource

SECOND_US = 1_000_000
FIRST_YEAR, LAST_YEAR = 1000, 2199
"""Years outside are no dates. Scanned works may be older than photography; clocks of hosts without a battery start in
1970, so the present is no bound."""

MAX_OFFSET_S = 14 * 3600
_EPOCH_ORDINAL = datetime(1970, 1, 1, tzinfo=UTC).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The offsets, in quarters of an hour, that zones of the present day use (tz database 2024a): rounding to any quarter
# would take a position that is some minutes old for a zone that does not exist.
_ZONE_QUARTERS = (
    *range(-48, 57, 4),
    *(-38, -14, -10, 14, 18, 22, 26, 38, 42),
    *(23, 35, 51, 55),
)
_GPS_TOLERANCE_S = 300

_EXIF = re.compile(rb"\s*(\d{4})[:/.-](\d\d?)[:/.-](\d\d?)(?:[ T]+(\d\d?):(\d\d)(?::(\d\d))?)?([.,]\d+)?")
_ISO = re.compile(
    r"\s*(\d{4})-?(\d\d)-?(\d\d)"
    r"(?:[T ](\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d\d:?\d\d|[+-]\d\d)?)?\s*$"
)
_OFFSET = re.compile(r"\s*([+-])(\d\d):?(\d\d)?\s*$")


class Moment(NamedTuple):
    """A time as one place in a file has it."""

    clock_us: int
    """Wall clock encoded as if it were UTC, microseconds since the epoch; the instant itself when `is_utc`."""
    offset_s: int | None = None
    """Seconds east of UTC that the file states with it."""
    is_utc: bool = False
    """The time is UTC and the file does not say what the wall clock showed."""


class Taken(NamedTuple):
    """The capture time chosen of all."""

    instant_us: int
    local_us: int
    source: TakenSource


def clock(
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, micro: int = 0
) -> int | None:
    """Microseconds since the epoch of a wall clock as if it were UTC; None for an impossible or absurd time."""
    if not (FIRST_YEAR <= year <= LAST_YEAR and hour < 24 and minute < 60 and second <= 60):
        return None
    try:
        days = datetime(year, month, day, tzinfo=UTC).toordinal() - _EPOCH_ORDINAL
    except ValueError:
        return None
    return (days * 86400 + hour * 3600 + minute * 60 + min(second, 59)) * SECOND_US + micro


def parse_exif(value: bytes, sub_seconds: bytes = b"") -> int | None:
    """The wall clock of an Exif date (`YYYY:MM:DD HH:MM:SS`, Exif 2.32 §4.6.5) with its SubSecTime digits.

    A date alone is its midnight. Zeros, blanks and impossible dates are None: they mean unknown.
    """
    match = _EXIF.match(value)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    digits = sub_seconds.strip(b" \0") or (match[7] or b"")[1:]
    return clock(year, month, day, hour, minute, second, micros(digits.decode("ascii", "ignore")))


def micros(digits: str) -> int:
    """The microseconds of a fraction's digits: `023` is 23,000. 0 for anything but digits."""
    return int(digits[:6].ljust(6, "0")) if digits.isascii() and digits.isdecimal() else 0


def parse_offset(text: str) -> int | None:
    """Seconds east of UTC of `+05:45`, `-0400`, `+02` or `Z`; None for anything else or beyond 14 hours."""
    if text.strip() in {"Z", "z"}:
        return 0
    match = _OFFSET.match(text)
    if match is None:
        return None
    seconds = int(match[2]) * 3600 + int(match[3] or 0) * 60
    if seconds > MAX_OFFSET_S:
        return None
    return -seconds if match[1] == "-" else seconds


def parse_iso(text: str) -> Moment | None:
    """A time as XMP and QuickTime write it (ISO 8601, basic or extended, with or without offset)."""
    match = _ISO.match(text[:64])
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    value = clock(year, month, day, hour, minute, second, micros(match[7] or ""))
    return None if value is None else Moment(value, parse_offset(match[8]) if match[8] else None)


def gps_offset(local_us: int, gps_us: int) -> int | None:
    """The zone that lies between a wall clock and the GPS time (UTC) of the same photo, in seconds east of UTC.

    The nearest offset in use anywhere, when the two clocks then agree to five minutes; else None (an old position).
    """
    difference_s = (local_us - gps_us) / SECOND_US
    nearest = min(_ZONE_QUARTERS, key=lambda quarter: abs(quarter * 900 - difference_s)) * 900
    return nearest if abs(nearest - difference_s) <= _GPS_TOLERANCE_S else None


def choose(moments: Mapping[TakenSource, Moment], zone: tzinfo) -> Taken | None:
    """The best of what a file offers, in the order of DESIGN section 4, as instant and wall clock."""
    source = next((source for source in TakenSource if source in moments), None)
    if source is None:
        return None
    moment = moments[source]
    if moment.is_utc:
        return Taken(moment.clock_us, moment.clock_us + _host_offset_of_instant(moment.clock_us, zone), source)
    if moment.offset_s is not None:
        return Taken(moment.clock_us - moment.offset_s * SECOND_US, moment.clock_us, source)
    gps = moments.get(TakenSource.GPS)
    if gps is not None and source is not TakenSource.FILE_NAME:
        offset_s = gps_offset(moment.clock_us, gps.clock_us)
        if offset_s is not None:
            return Taken(moment.clock_us - offset_s * SECOND_US, moment.clock_us, source)
    return Taken(moment.clock_us - _host_offset_of_clock(moment.clock_us, zone), moment.clock_us, source)


def _host_offset_of_instant(instant_us: int, zone: tzinfo) -> int:
    offset = (_EPOCH + timedelta(microseconds=instant_us)).astimezone(zone).utcoffset()
    return _microseconds(offset)


def _host_offset_of_clock(clock_us: int, zone: tzinfo) -> int:
    return _microseconds((_EPOCH + timedelta(microseconds=clock_us)).replace(tzinfo=zone, fold=0).utcoffset())


def _microseconds(offset: timedelta | None) -> int:
    return 0 if offset is None else round(offset.total_seconds() * SECOND_US)
