"""Tests for dates.py: which instant and which wall clock come of what files state."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlsrve.index.metadata.dates import Moment, choose, gps_offset, parse_exif, parse_iso, parse_offset
from pixlsrve.model import TakenSource
from tests.index.metadata.samples import clock_text

BERLIN = ZoneInfo("Europe/Berlin")
ORIGINAL = TakenSource.DATE_TIME_ORIGINAL


def instant(text: str) -> int:
    moment = parse_iso(text)
    assert moment is not None
    return moment.clock_us


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2023-07-15T14:30:00", "2023-07-15T12:30:00"),
        ("2023-01-15T14:30:00", "2023-01-15T13:30:00"),
        ("2023-10-29T02:30:00", "2023-10-29T00:30:00"),  # happens twice: the first
        ("2023-03-26T02:30:00", "2023-03-26T01:30:00"),  # is skipped: the offset before
        ("1955-05-05T12:00:00", "1955-05-05T11:00:00"),
    ],
)
def test_time_without_zone_is_read_in_the_hosts_zone(local: str, utc: str) -> None:
    """A local time without an offset takes the host's zone, daylight saving included."""
    taken = choose({ORIGINAL: Moment(instant(local))}, BERLIN)
    assert taken is not None
    assert (clock_text(taken.instant_us), clock_text(taken.local_us)) == (utc, local)


def test_stated_offset_beats_gps_and_host() -> None:
    """An offset beside the time decides before GPS time and host's zone."""
    taken = choose(
        {
            ORIGINAL: Moment(instant("2024-04-14T08:34:30"), 12 * 3600),
            TakenSource.GPS: Moment(instant("2024-04-14T06:34:30"), is_utc=True),
        },
        BERLIN,
    )
    assert taken is not None
    assert clock_text(taken.instant_us) == "2024-04-13T20:34:30"


@pytest.mark.parametrize(
    ("local", "gps", "offset_s"),
    [
        ("2023-06-07T13:45:55", "2023-06-07T12:45:55", 3600),
        ("2023-06-07T13:45:55", "2023-06-07T12:44:55", 3600),
        ("2023-06-07T13:45:55", "2023-06-07T08:00:55", 20700),
        ("2023-06-07T01:45:55", "2023-06-07T11:15:00", -34200),
        ("2023-06-07T13:45:55", "2023-06-07T12:25:55", None),  # an old position
        ("2023-06-07T13:45:55", "2023-06-05T12:45:55", None),
    ],
)
def test_gps_offset_is_a_zone_in_use_or_none(local: str, gps: str, offset_s: int | None) -> None:
    """GPS time gives the offset when the clocks differ by an offset that some zone has."""
    assert gps_offset(instant(local), instant(gps)) == offset_s


def test_container_time_is_shown_in_the_hosts_zone() -> None:
    """A UTC time whose wall clock is unknown is shown in the host's zone."""
    taken = choose({TakenSource.CONTAINER: Moment(instant("2023-07-15T12:30:00"), is_utc=True)}, BERLIN)
    assert taken is not None
    assert clock_text(taken.local_us) == "2023-07-15T14:30:00"


def test_order_of_sources_is_the_contracts() -> None:
    """The best source decides, whatever the order in which they were found."""
    sources = list(TakenSource)
    for at, best in enumerate(sources):
        moments = {source: Moment(1_000_000 * n) for n, source in enumerate(reversed(sources[at:]))}
        taken = choose(moments, UTC)
        assert taken is not None
        assert taken.source is best
    assert choose({}, UTC) is None


@pytest.mark.parametrize(
    ("value", "sub", "text"),
    [
        (b"2018:02:18 14:38:32\0", b"574922", "2018-02-18T14:38:32.574922"),
        (b"2018:09:10 12:16:13", b"023", "2018-09-10T12:16:13.023000"),
        (b"2018-09-10 12:16:13", b"", "2018-09-10T12:16:13"),
        (b"1601:06:06 16:39:33", b"", "1601-06-06T16:39:33"),
        (b"1965:06:06 16:39:33", b"5", "1965-06-06T16:39:33.500000"),
        (b"2003:08:31", b"", "2003-08-31T00:00:00"),
    ],
)
def test_exif_dates_keep_their_fractions(value: bytes, sub: bytes, text: str) -> None:
    """Exif dates are read with sub-seconds, before 1970 too."""
    parsed = parse_exif(value, sub)
    assert parsed is not None
    assert clock_text(parsed) == text


@pytest.mark.parametrize(
    "value",
    [b"0000:00:00 00:00:00", b"    :  :     :  :", b"2017:08:21 15:08:70", b"2023:02:30 10:00:00", b"", b"\xff" * 19],
)
def test_impossible_dates_are_absent(value: bytes) -> None:
    """Zeros, blanks and days that no calendar has mean unknown."""
    assert parse_exif(value) is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("+05:45", 20700), ("-0400", -14400), ("Z", 0), ("+15:00", None), ("x", None)]
)
def test_offsets(text: str, seconds: int | None) -> None:
    """Offsets are read in all their spellings, up to 14 hours."""
    assert parse_offset(text) == seconds


@given(st.binary(max_size=40), st.binary(max_size=8))
def test_any_bytes_are_a_date_or_none(value: bytes, sub: bytes) -> None:
    """No bytes in a date field raise anything (T25)."""
    parse_exif(value, sub)
    parse_iso(value.decode("latin-1"))
    parse_offset(value.decode("latin-1"))
