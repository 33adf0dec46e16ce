"""Dates in file names, as phones, messengers and screenshot tools write them (pure).

Digits alone are not a date: a time of day must stand beside the day, or the day must be written with separators, or a
messenger's pattern must be complete, or eight digits that are a day since 1990 must stand by themselves.
"""

from __future__ import annotations

import re

from pixlsrve.index.metadata.dates import Moment, clock, micros

_YEAR, _MONTH, _DAY = r"(?P<year>(?:19|20)\d\d)", r"(?P<month>0[1-9]|1[0-2])", r"(?P<day>0[1-9]|[12]\d|3[01])"

# 20230715_143000, 2023-07-15-14-30-00, 2023-07-15 14.30.00, 20230715_143000123 (milliseconds), and the words that
# macOS puts between day and time in its screenshots' names.
_DAY_AND_TIME = re.compile(
    rf"(?<!\d){_YEAR}(?P<a>[-_.]?){_MONTH}(?P=a){_DAY}"
    r"(?:[-_ T.]|,? (?:at|um|à|a las|alle|om) )"
    r"(?P<hour>[01]?\d|2[0-3])(?P<b>[-_.:h]?)(?P<minute>[0-5]\d)(?P=b)(?P<second>[0-5]\d)"
    r"(?:[.,_]?(?P<fraction>\d{3}))?(?:[ \u00a0\u202f](?P<half>[AP])M)?(?!\d)"
)
_DAY_ONLY = re.compile(rf"(?<![\d-]){_YEAR}-{_MONTH}-{_DAY}(?!-?\d)")
# 20130405.jpg, IMG_20130405.jpg, 2013_04_05.jpg, 2013.04.05 party.jpg
_PLAIN_DAY = re.compile(
    rf"(?<![^-_ .()])(?P<year>199\d|20\d\d)(?P<a>[_.]?){_MONTH}(?P=a){_DAY}(?![^-_ .()])(?![-_.]?\d{{3}})"
)
# WhatsApp: IMG-20230715-WA0001
_MESSENGER = re.compile(rf"^(?:IMG|VID|AUD|PTT|STK|DOC)-{_YEAR}{_MONTH}{_DAY}-WA\d{{4}}")


def parse_name(name: str) -> Moment | None:
    """The time that a base file name states, or None.

    The wall clock where the file was made, except for Google's `PXL_` names, which are UTC. A day without a time is
    its midnight.
    """
    name = name[:255]
    match = _DAY_AND_TIME.search(name)
    if match is not None:
        return _with_time(match, is_utc=name.startswith("PXL_"))
    match = _MESSENGER.search(name) or _DAY_ONLY.search(name) or _PLAIN_DAY.search(name)
    if match is None:
        return None
    value = clock(int(match["year"]), int(match["month"]), int(match["day"]))
    return None if value is None else Moment(value)


def _with_time(match: re.Match[str], *, is_utc: bool) -> Moment | None:
    hour = int(match["hour"])
    if match["half"]:
        hour = hour % 12 + (12 if match["half"] == "P" else 0)
    day = int(match["year"]), int(match["month"]), int(match["day"])
    value = clock(*day, hour, int(match["minute"]), int(match["second"]), micros(match["fraction"] or ""))
    return None if value is None else Moment(value, is_utc=is_utc)
