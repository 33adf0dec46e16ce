"""Conditional requests: what If-Match and its relatives decide (RFC 9110 §13), and HTTP dates (§5.6.7). No I/O."""

from __future__ import annotations

import calendar
import datetime
import re
from email.utils import formatdate
from enum import Enum, auto
from typing import NamedTuple

from multidict import MultiMapping

CONDITIONAL_FIELDS = ("If-None-Match", "Range", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range")
"""The request fields that can make an answer other than the plain whole."""

_ETAG = re.compile(r'(W/)?"([^"\x00-\x20\x7f]*)"')
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY = "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
_DATE_FORMS = (
    re.compile(rf"{_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"),
    re.compile(rf"{_LONG_DAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"),
    re.compile(rf"{_DAY} {_MONTH} (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
)


class Outcome(Enum):
    """What the preconditions of a request come to."""

    PROCEED = auto()
    NOT_MODIFIED = auto()
    FAILED = auto()


class Validators(NamedTuple):
    """What tells one version of a representation from another."""

    etag: str
    """Opaque tag of a strong entity tag, without its quotes."""
    last_modified_s: int | None = None
    """Unix time, not later than now (§8.8.2.1); None where there is none."""
    is_date_strong: bool = False
    """Whether the date alone identifies the version, its second being over (§8.8.2.2)."""

    @classmethod
    def of(cls, etag: str, last_modified_us: int | None, now_s: float) -> Validators:
        """The validators of a version last modified at `last_modified_us` (Unix microseconds), as seen at `now_s`."""
        if last_modified_us is None:
            return cls(etag)
        now = int(now_s)
        modified_s = max(last_modified_us // 1_000_000, 0)
        return cls(etag, min(modified_s, now), modified_s < now)


def evaluate(method: str, headers: MultiMapping[str], current: Validators) -> Outcome:
    """What the preconditions say, in the order of §13.2.2, for a request whose target exists."""
    reads = method in ("GET", "HEAD")
    if _has_changed(headers, current):
        return Outcome.FAILED
    if "If-None-Match" in headers:
        if _matches(_joined(headers, "If-None-Match"), current.etag, weakly=True):
            return Outcome.NOT_MODIFIED if reads else Outcome.FAILED
        return Outcome.PROCEED
    since = _date(headers, "If-Modified-Since") if reads else None
    if since is not None and current.last_modified_s is not None and current.last_modified_s <= since:
        return Outcome.NOT_MODIFIED
    return Outcome.PROCEED


def _has_changed(headers: MultiMapping[str], current: Validators) -> bool:
    """Whether If-Match, or in its absence If-Unmodified-Since, is false."""
    if "If-Match" in headers:
        return not _matches(_joined(headers, "If-Match"), current.etag, weakly=False)
    since = _date(headers, "If-Unmodified-Since")
    return since is not None and current.last_modified_s is not None and current.last_modified_s > since


def applicable_range(method: str, headers: MultiMapping[str], current: Validators) -> str | None:
    """The Range header to honour, None where there is none, the method isn't GET, or If-Range says another version."""
    if method != "GET" or "Range" not in headers:
        return None
    if "If-Range" in headers and not _is_same_version(_joined(headers, "If-Range"), current):
        return None
    return _joined(headers, "Range")


def _is_same_version(if_range: str, current: Validators) -> bool:
    """§13.1.5: strong comparison of a tag, or exact comparison of a date that is a strong validator."""
    tag = _ETAG.fullmatch(if_range)
    if tag is not None:
        return tag[1] is None and tag[2] == current.etag
    return current.is_date_strong and parse_http_date(if_range) == current.last_modified_s


def _matches(value: str, etag: str, *, weakly: bool) -> bool:
    """Whether `*` or the list of entity tags holds ours, which is strong (§8.8.3.2); a malformed list holds nothing."""
    if value.strip(" \t") == "*":
        return True
    found = False
    for element in _split_tags(value):
        tag = _ETAG.fullmatch(element)
        if tag is None:
            return False
        found = found or (tag[2] == etag and (weakly or tag[1] is None))
    return found


def _split_tags(value: str) -> list[str]:
    """The elements of a list of entity tags; a comma inside quotes belongs to its tag."""
    elements = re.findall(r'(?:"[^"]*"|[^",])+|"', value)
    return [text for element in elements if (text := element.strip(" \t"))]


def _joined(headers: MultiMapping[str], name: str) -> str:
    """All lines of a field as one value (§5.3)."""
    return ", ".join(headers.getall(name))


def _date(headers: MultiMapping[str], name: str) -> int | None:
    """The one valid date of a field; absent, repeated and malformed fields count as absent (§13.1.3, §13.1.4)."""
    return parse_http_date(_joined(headers, name)) if name in headers else None


def parse_http_date(text: str) -> int | None:
    """Unix time of an HTTP date in any of its three forms (§5.6.7), None for anything else."""
    for form in _DATE_FORMS:
        match = form.fullmatch(text)
        if match is not None:
            return _unix_time(match)
    return None


def _unix_time(match: re.Match[str]) -> int | None:
    year = int(match["year"])
    if len(match["year"]) == 2:
        # A two-digit year that seems more than 50 years ahead is in the past (§5.6.7).
        this_year = datetime.datetime.now(datetime.UTC).year
        year += this_year // 100 * 100
        year -= 100 if year > this_year + 50 else 0
    month, day = _MONTHS.index(match["month"]) + 1, int(match["day"])
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
    if not (year >= 1 and 1 <= day <= calendar.monthrange(year, month)[1] and hour < 24 and minute < 60):
        return None
    # 60 is a leap second, which Unix time counts as the next one.
    return calendar.timegm((year, month, day, hour, minute, second)) if second <= 60 else None


def format_http_date(unix_s: int) -> str:
    """`unix_s` (0 or later) in the preferred form, such as "Sun, 06 Nov 1994 08:49:37 GMT"."""
    return formatdate(unix_s, usegmt=True)
