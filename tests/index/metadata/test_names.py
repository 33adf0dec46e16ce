"""Tests for names.py: dates in file names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlsrve.index.metadata.dates import Moment
from pixlsrve.index.metadata.names import parse_name
from tests.index.metadata.samples import clock_text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("IMG_20230715_143000.jpg", "2023-07-15T14:30:00"),
        ("IMG_20230715_143000_1.jpg", "2023-07-15T14:30:00"),
        ("VID_20230715_143000123.mp4", "2023-07-15T14:30:00.123000"),
        ("20230715_143000.heic", "2023-07-15T14:30:00"),
        ("IMG-20230715-WA0001.jpg", "2023-07-15T00:00:00"),
        ("Screenshot_2023-07-15-14-30-00.png", "2023-07-15T14:30:00"),
        ("Screenshot_20230715-143000_Maps.jpg", "2023-07-15T14:30:00"),
        ("Screen Shot 2023-07-15 at 2.30.00\u202fPM.png", "2023-07-15T14:30:00"),
        ("2023-07-15 14.30.00-1.jpg", "2023-07-15T14:30:00"),
        ("signal-2023-07-15-14-30-00-123.jpg", "2023-07-15T14:30:00"),
        ("signal-2023-07-15-143000.jpg", "2023-07-15T14:30:00"),
        ("2023-07-15 birthday.jpg", "2023-07-15T00:00:00"),
        ("scan 1999-12-31.tif", "1999-12-31T00:00:00"),
    ],
)
def test_names_with_dates(name: str, text: str) -> None:
    """Names as phones, messengers and screenshot tools write them give their time."""
    moment = parse_name(name)
    assert moment is not None
    assert (clock_text(moment.clock_us), moment.is_utc) == (text, False)


def test_google_names_are_utc() -> None:
    """A Pixel's names are UTC."""
    moment = parse_name("PXL_20230715_143000123.jpg")
    assert moment is not None
    assert moment.is_utc


@pytest.mark.parametrize(
    "name",
    [
        "IMG_20231315_143000.jpg",
        "IMG_20230230_143000.jpg",
        "1234567820230715_1430001.jpg",
        "255015e07b6f9137b53b0f97d67a8aef.jpg",
        "order-4711-2023-07-15-99.pdf.jpg",
        "12023-07-15.jpg",
        "",
    ],
)
def test_arbitrary_digits_are_no_date(name: str) -> None:
    """Digits that only might be a day, and days that do not exist, give nothing."""
    assert parse_name(name) is None


@given(st.text(alphabet="0123456789-_. :IMGPXLWAatPM", max_size=40))
def test_any_name_is_a_date_or_none(name: str) -> None:
    """No name raises anything."""
    parse_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "20130405.jpg",
        "IMG_20130405.jpg",
        "2013_04_05.jpg",
        "2013.04.05 party.jpg",
        "IMG_20130405_2.jpg",
        "trip (20130405).png",
    ],
)
def test_a_day_that_stands_by_itself_counts(name: str) -> None:
    """Eight digits that are a day, alone or between separators, are a date."""
    assert parse_name(name) == Moment(clock_us=1_365_120_000_000_000)


@pytest.mark.parametrize(
    "name",
    ["12345678.jpg", "20139905.jpg", "a20130405.jpg", "20130405123.jpg", "DSC20130405.jpg", "20130405-1234567.jpg"],
)
def test_other_digits_do_not(name: str) -> None:
    """Digits that go on, or are no day, are no date."""
    assert parse_name(name) is None
