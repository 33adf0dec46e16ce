"""Byte ranges as arithmetic: which parts of a representation a Range header asks for (RFC 9110 §14). No I/O."""

from __future__ import annotations

import re
from typing import NamedTuple

RANGES_MAX = 64
"""A header with more ranges than this is ignored, no reader needs them (§14.2, §17.15)."""
OVERLAPS_MAX = 2
"""§14.2 names more than two overlapping ranges as a reason to ignore the header."""
_DIGITS_MAX = 1000
"""Keeps int() below its own limit of digits; a real position has at most 19."""

_SPEC = re.compile(r"([0-9]*)-([0-9]*)")


class Span(NamedTuple):
    """The bytes from `start` up to, but not including, `end`; never empty."""

    start: int
    end: int

    def content_range(self, size_bytes: int) -> str:
        """The Content-Range value for this part of a representation of `size_bytes` (§14.4)."""
        return f"bytes {self.start}-{self.end - 1}/{size_bytes}"


class RangeSpec(NamedTuple):
    """One range as asked for, both ends inclusive; without `first` the last `last` bytes, without `last` to the end."""

    first: int | None
    last: int | None


def parse_range(value: str) -> list[RangeSpec] | None:
    """The ranges of a Range header, None where the whole header has to be, or had better be, ignored.

    That is: another unit than bytes, anything outside the grammar of §14.1.1 and §14.1.2, a last position before the
    first, and more than RANGES_MAX ranges. Empty list elements are skipped (§5.6.1.2).
    """
    unit, separator, range_set = value.partition("=")
    if unit.lower() != "bytes" or not separator or range_set[:1] in (" ", "\t"):
        return None
    texts = [text for element in range_set.split(",") if (text := element.strip(" \t"))]
    if not 1 <= len(texts) <= RANGES_MAX:
        return None
    specs = [_parse_spec(text) for text in texts]
    parsed = [spec for spec in specs if spec is not None]
    return parsed if len(parsed) == len(specs) else None


def _parse_spec(text: str) -> RangeSpec | None:
    match = _SPEC.fullmatch(text)
    if match is None or text == "-" or len(text) > _DIGITS_MAX:
        return None
    first = int(match[1]) if match[1] else None
    last = int(match[2]) if match[2] else None
    if first is not None and last is not None and last < first:
        return None
    return RangeSpec(first, last)


def select_spans(value: str, size_bytes: int) -> list[Span] | None:
    """What to send of a representation of `size_bytes` for this Range header.

    None: ignore the header and send the whole (200). An empty list: not satisfiable (416). Else the parts in the order
    asked for, those that overlap merged into the place of the first, unsatisfiable ones left out; neighbours that only
    touch stay apart. More than OVERLAPS_MAX overlaps count as a header to ignore. A suffix of an empty representation
    is satisfiable (§14.1.2), but no Content-Range can say so: the whole, empty, is sent.
    """
    specs = parse_range(value)
    if specs is None:
        return None
    if size_bytes == 0:
        return None if any(spec.first is None and spec.last for spec in specs) else []
    spans = [span for spec in specs if (span := _satisfied(spec, size_bytes)) is not None]
    merged = _merge(spans)
    return None if len(spans) - len(merged) > OVERLAPS_MAX else merged


def _satisfied(spec: RangeSpec, size_bytes: int) -> Span | None:
    if spec.first is None:
        length = min(spec.last or 0, size_bytes)
        return Span(size_bytes - length, size_bytes) if length else None
    if spec.first >= size_bytes:
        return None
    return Span(spec.first, size_bytes if spec.last is None else min(spec.last + 1, size_bytes))


def _merge(spans: list[Span]) -> list[Span]:
    """The spans with overlapping ones joined, each where the earliest of its members stood (§15.3.7.2)."""
    joined: list[tuple[int, Span]] = []
    for place, span in sorted(enumerate(spans), key=lambda item: item[1]):
        if joined and span.start < joined[-1][1].end:
            first_place, before = joined[-1]
            joined[-1] = (min(first_place, place), Span(before.start, max(before.end, span.end)))
        else:
            joined.append((place, span))
    return [span for _, span in sorted(joined)]
