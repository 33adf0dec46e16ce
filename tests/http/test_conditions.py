"""Conditional requests and HTTP dates (RFC 9110 §13, §5.6.7)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from pixlsrve.http.conditions import (
    Outcome,
    Validators,
    applicable_range,
    evaluate,
    format_http_date,
    parse_http_date,
)

MODIFIED_S = 784_111_777
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
EARLIER = "Sun, 06 Nov 1994 08:49:36 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"
NOW = Validators("v1", MODIFIED_S, True)

PROCEED, NOT_MODIFIED, FAILED = Outcome.PROCEED, Outcome.NOT_MODIFIED, Outcome.FAILED


def headers(*pairs: tuple[str, str]) -> CIMultiDict[str]:
    return CIMultiDict(pairs)


@pytest.mark.parametrize(
    ("pairs", "outcome"),
    [
        ((), PROCEED),
        ((("If-Match", '"v1"'),), PROCEED),
        ((("If-Match", "*"),), PROCEED),
        ((("If-Match", '"v0", "v1"'),), PROCEED),
        ((("If-Match", '"v0"'), ("If-Match", '"v1"')), PROCEED),
        ((("If-Match", '"v0"'),), FAILED),
        ((("If-Match", 'W/"v1"'),), FAILED),
        ((("If-Match", "v1"),), FAILED),
        ((("If-Match", ""),), FAILED),
        ((("If-Match", '"*"'),), FAILED),
        ((("If-Match", '"v0"'), ("If-None-Match", '"v1"')), FAILED),
        ((("If-Match", '"v1"'), ("If-Unmodified-Since", EARLIER)), PROCEED),
        ((("If-Unmodified-Since", DATE),), PROCEED),
        ((("If-Unmodified-Since", LATER),), PROCEED),
        ((("If-Unmodified-Since", EARLIER),), FAILED),
        ((("If-Unmodified-Since", "yesterday"),), PROCEED),
        ((("If-Unmodified-Since", EARLIER), ("If-None-Match", '"v1"')), FAILED),
        ((("If-None-Match", '"v1"'),), NOT_MODIFIED),
        ((("If-None-Match", 'W/"v1"'),), NOT_MODIFIED),
        ((("If-None-Match", "*"),), NOT_MODIFIED),
        ((("If-None-Match", ' "a,b" ,, W/"c", "v1"'),), NOT_MODIFIED),
        ((("If-None-Match", '"a"'), ("If-None-Match", '"v1"')), NOT_MODIFIED),
        ((("If-None-Match", '"v0"'),), PROCEED),
        ((("If-None-Match", '"v1'),), PROCEED),
        ((("If-None-Match", "v1"),), PROCEED),
        ((("If-None-Match", 'w/"v1"'),), PROCEED),
        ((("If-None-Match", '"v0"'), ("If-Modified-Since", LATER)), PROCEED),
        ((("If-Modified-Since", DATE),), NOT_MODIFIED),
        ((("If-Modified-Since", LATER),), NOT_MODIFIED),
        ((("If-Modified-Since", EARLIER),), PROCEED),
        ((("If-Modified-Since", DATE), ("If-Modified-Since", DATE)), PROCEED),
        ((("If-Modified-Since", "1994-11-06"),), PROCEED),
        ((("If-Match", '"v1"'), ("If-None-Match", '"v1"')), NOT_MODIFIED),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_evaluate_follows_the_order_of_precedence(
    method: str, pairs: tuple[tuple[str, str], ...], outcome: Outcome
) -> None:
    """§13.2.2: each field alone and against those that outrank it."""
    assert evaluate(method, headers(*pairs), NOW) is outcome


def test_evaluate_of_a_change_never_answers_not_modified() -> None:
    """§13.1.2, §13.1.3: for other methods a matching If-None-Match fails and If-Modified-Since is ignored."""
    assert evaluate("PUT", headers(("If-None-Match", "*")), NOW) is FAILED
    assert evaluate("PUT", headers(("If-Modified-Since", DATE)), NOW) is PROCEED


def test_dates_are_ignored_where_there_is_no_modification_date() -> None:
    """§13.1.3, §13.1.4: without a date of its own a representation ignores the client's dates."""
    undated = Validators("v1")
    assert evaluate("GET", headers(("If-Modified-Since", LATER)), undated) is PROCEED
    assert evaluate("GET", headers(("If-Unmodified-Since", EARLIER)), undated) is PROCEED
    assert applicable_range("GET", headers(("Range", "bytes=0-"), ("If-Range", DATE)), undated) is None


@pytest.mark.parametrize(
    ("method", "pairs", "applies"),
    [
        ("GET", (), True),
        ("HEAD", (), False),
        ("POST", (), False),
        ("GET", (("If-Range", '"v1"'),), True),
        ("GET", (("If-Range", '"v0"'),), False),
        ("GET", (("If-Range", 'W/"v1"'),), False),
        ("GET", (("If-Range", "v1"),), False),
        ("GET", (("If-Range", '"v0", "v1"'),), False),
        ("GET", (("If-Range", "*"),), False),
        ("GET", (("If-Range", DATE),), True),
        ("GET", (("If-Range", "Sunday, 06-Nov-94 08:49:37 GMT"),), True),
        ("GET", (("If-Range", LATER),), False),
        ("GET", (("If-Range", EARLIER),), False),
        ("GET", (("If-Range", ""),), False),
    ],
)
def test_applicable_range_needs_get_and_the_same_version(
    method: str, pairs: tuple[tuple[str, str], ...], applies: bool
) -> None:
    """T26, §13.1.5, §14.2: Range counts only for GET and only for the very version that If-Range names."""
    found = applicable_range(method, headers(("Range", "bytes=0-1"), *pairs), NOW)
    assert found == ("bytes=0-1" if applies else None)


def test_if_range_distrusts_a_date_whose_second_is_not_over() -> None:
    """§8.8.2.2: a file that changed within the current second may change again in it."""
    fresh = Validators.of("v1", MODIFIED_S * 1_000_000 + 100, MODIFIED_S + 0.9)
    assert applicable_range("GET", headers(("Range", "bytes=0-1"), ("If-Range", DATE)), fresh) is None
    settled = Validators.of("v1", MODIFIED_S * 1_000_000 + 100, MODIFIED_S + 1.0)
    assert applicable_range("GET", headers(("Range", "bytes=0-1"), ("If-Range", DATE)), settled) == "bytes=0-1"


def test_validators_never_date_from_the_future_or_before_the_epoch() -> None:
    """§8.8.2.1: a modification time ahead of the clock is replaced by now, and is no strong validator."""
    assert Validators.of("v1", 2_000_000_000_000_000, 1_000_000_000.5) == Validators("v1", 1_000_000_000, False)
    assert Validators.of("v1", -5_000_000, 1_000_000_000.5) == Validators("v1", 0, True)


@pytest.mark.parametrize(
    "text", [DATE, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"], ids=["imf", "rfc850", "asctime"]
)
def test_parse_http_date_reads_all_three_forms(text: str) -> None:
    """The three examples of §5.6.7 are the same instant."""
    assert parse_http_date(text) == MODIFIED_S


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        DATE + ", " + DATE,
        DATE + "; length=5",
    ],
)
def test_parse_http_date_refuses_anything_else(text: str) -> None:
    """Impossible and malformed dates are no dates."""
    assert parse_http_date(text) is None


@given(st.integers(0, 253_402_300_799))
def test_http_dates_survive_the_round_trip(unix_s: int) -> None:
    """What is written is read back as the same second, up to the year 9999."""
    assert parse_http_date(format_http_date(unix_s)) == unix_s


@given(st.text())
def test_evaluate_takes_any_text(value: str) -> None:
    """No field value raises."""
    for name in ("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"):
        evaluate("GET", headers((name, value)), NOW)
        applicable_range("GET", headers((name, value), ("Range", value)), NOW)
