"""Byte ranges (RFC 9110 §14), against the rules' own examples and a slow reference."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlsrve.http.ranges import OVERLAPS_MAX, RANGES_MAX, RangeSpec, Span, parse_range, select_spans


@pytest.mark.parametrize(
    ("value", "specs"),
    [
        ("bytes=0-499", [RangeSpec(0, 499)]),
        ("bytes=9500-", [RangeSpec(9500, None)]),
        ("bytes=-500", [RangeSpec(None, 500)]),
        ("BYTES=0-0", [RangeSpec(0, 0)]),
        ("bytes=0-0,-1", [RangeSpec(0, 0), RangeSpec(None, 1)]),
        ("bytes=500-600, 601-999", [RangeSpec(500, 600), RangeSpec(601, 999)]),
        ("bytes=, 0-1 ,\t,2-3,", [RangeSpec(0, 1), RangeSpec(2, 3)]),
        ("bytes=007-0008", [RangeSpec(7, 8)]),
        ("bytes=-0", [RangeSpec(None, 0)]),
    ],
)
def test_parse_range_reads_the_grammar(value: str, specs: list[RangeSpec]) -> None:
    """§14.1.2's examples and the list rule of §5.6.1.2 are understood."""
    assert parse_range(value) == specs


@pytest.mark.parametrize(
    "value",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=--1",
        "bytes=a-b",
        "bytes=0-1;2-3",
        "bytes=0 -1",
        "bytes= 0-1",
        "bytes =0-1",
        "items=0-1",
        "0-1",
        "bytes=2-1",
        "bytes=0-1,x",
        "bytes=0-1,5-4",
        "bytes=\u0661-\u0662",
        "bytes:0-1",
        "bytes=+0-1",
        "bytes=0x1-2",
        "bytes=0-1, bytes=2-3",
        "bytes=" + "9" * 5000 + "-",
        "bytes=1-2-3",
        "bytes=0-1\n",
        "bytes=" + ",".join(f"{n * 2}-{n * 2}" for n in range(RANGES_MAX + 1)),
    ],
)
def test_parse_range_ignores_what_it_must_not_obey(value: str) -> None:
    """Unknown units, invalid sets and silly numbers of ranges make the whole header count as absent (§14.2)."""
    assert parse_range(value) is None


@pytest.mark.parametrize(
    ("value", "size", "spans"),
    [
        ("bytes=0-499", 10000, [Span(0, 500)]),
        ("bytes=9500-", 10000, [Span(9500, 10000)]),
        ("bytes=-500", 10000, [Span(9500, 10000)]),
        ("bytes=-20000", 10000, [Span(0, 10000)]),
        ("bytes=9999-99999999999999999999999", 10000, [Span(9999, 10000)]),
        ("bytes=10000-", 10000, []),
        ("bytes=-0", 10000, []),
        ("bytes=10000-,-0", 10000, []),
        ("bytes=10000-,1-1", 10000, [Span(1, 2)]),
        ("bytes=5-9,0-3", 10, [Span(5, 10), Span(0, 4)]),
        ("bytes=0-4,5-9", 10, [Span(0, 5), Span(5, 10)]),
        ("bytes=8-9,0-5,4-6", 10, [Span(8, 10), Span(0, 7)]),
        ("bytes=0-,-5", 10, [Span(0, 10)]),
        ("bytes=0-,0-,0-,0-", 10, None),
        ("bytes=0-", 0, []),
        ("bytes=-0", 0, []),
        ("bytes=-5", 0, None),
        ("lines=0-", 10, None),
    ],
)
def test_select_spans_gives_what_the_rules_say(value: str, size: int, spans: list[Span] | None) -> None:
    """Clipped, suffix, unsatisfiable, overlapping and empty cases are each as §14.1.2 and §15.3.7 say."""
    assert select_spans(value, size) == spans


def test_content_range_is_inclusive() -> None:
    """§14.4's example."""
    assert Span(42, 1234).content_range(1234) == "bytes 42-1233/1234"


specs = st.one_of(
    st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda ends: RangeSpec(min(ends), max(ends))),
    st.builds(RangeSpec, st.integers(0, 40), st.none()),
    st.builds(RangeSpec, st.none(), st.integers(0, 40)),
)


def positions(spec: RangeSpec, size: int) -> set[int]:
    """The byte positions that one range names, counted one by one."""
    if spec.first is None:
        return {at for at in range(size) if at >= size - (spec.last or 0)}
    return {at for at in range(size) if spec.first <= at and (spec.last is None or at <= spec.last)}


def text(spec: RangeSpec) -> str:
    return f"{'' if spec.first is None else spec.first}-{'' if spec.last is None else spec.last}"


@given(st.lists(specs, min_size=1, max_size=8), st.integers(1, 30))
def test_select_spans_agrees_with_counting_bytes(asked: list[RangeSpec], size: int) -> None:
    """Exactly the bytes asked for are selected, none twice, in the order in which they were first asked for."""
    spans = select_spans("bytes=" + ", ".join(map(text, asked)), size)
    wanted = [found for spec in asked if (found := positions(spec, size))]
    if spans is None:
        assert sum(bool(one & other) for at, one in enumerate(wanted) for other in wanted[:at]) > OVERLAPS_MAX
        return
    selected = [set(range(span.start, span.end)) for span in spans]
    assert all(selected)
    assert sum(map(len, selected)) == len(set().union(*wanted))
    assert set().union(*selected) == set().union(*wanted)
    first_members = [min(at for at, want in enumerate(wanted) if want <= got) for got in selected]
    assert first_members == sorted(first_members)


@given(st.text(), st.integers(0, 100))
def test_select_spans_takes_any_text(value: str, size: int) -> None:
    """No header value raises, and whatever is selected lies within the representation."""
    for header in (value, "bytes=" + value):
        for span in select_spans(header, size) or ():
            assert 0 <= span.start < span.end <= size
