"""The search language: what somebody typed becomes an FTS5 expression and exact filters. Pure, no I/O.

The rules, with examples, are in docs/search.md. Every word reaches FTS5 as a quoted string of folded letters and digits
(THREATS T33), so no input can be read as its syntax.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Callable

import msgspec

from pixlsrve.errors import InvalidInput
from pixlsrve.media.words import tokens
from pixlsrve.model import Kind

QUERY_LIMIT = 1000
"""Characters of a query at most."""

_RAW_NAMES = "3fr arw cr2 cr3 crw dcr dng erf fff iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 srf srw x3f"
RAW_FORMATS = frozenset(_RAW_NAMES.split())
"""What `format:raw` means."""

_FORMATS = {
    "jpg": frozenset({"jpeg"}),
    "jpe": frozenset({"jpeg"}),
    "tif": frozenset({"tiff"}),
    "heif": frozenset({"heif", "heic"}),
    "heic": frozenset({"heif", "heic"}),
    "raw": RAW_FORMATS,
}
_KINDS = {"photos": "photo", "image": "photo", "images": "photo", "videos": "video"}
_COLUMNS = {"camera": "{camera lens}", "lens": "{lens}", "place": "{place}", "folder": "{folder}"}

_TERM = re.compile(r'(?:(?P<key>[A-Za-z]+):\s*)?(?:"(?P<quoted>[^"]*)(?:"|$)|(?P<plain>[^\s"]*))')
_TIES = frozenset("-_.'\u2019")
"""Punctuation that ties words to one name: `IMG_1234.jpg`, `2023-07`, `L'Aquila`."""

_DAY = re.compile(r"([0-9]{4})(?:[-/.]([0-9]{1,2})(?:[-/.]([0-9]{1,2}))?)?", re.ASCII)
_COMPACT_DAY = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})", re.ASCII)
_ISO = re.compile(r"(>=|<=|>|<|=|≥|≤)?([0-9]{1,9})|([0-9]{1,9})(?:\.\.|-)([0-9]{1,9})", re.ASCII)


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A search, ready for the store. Filters that are None or empty do not restrict; all of them must hold."""

    match: str | None = None
    """A safe FTS5 MATCH expression over the columns of `words.Document`; None restricts nothing."""
    formats: frozenset[str] = frozenset()
    """Lower-case `Facts.format` values, any of them."""
    kinds: frozenset[Kind] = frozenset()
    iso_min: int | None = None
    """Inclusive."""
    iso_max: int | None = None
    """Inclusive."""
    date_from: datetime.date | None = None
    """The first local day, inclusive."""
    date_to: datetime.date | None = None
    """The last local day, inclusive."""
    nothing: bool = False
    """True when something was asked for that no asset can have (only punctuation, filters that exclude each other)."""


class _Draft:
    """A query under construction."""

    def __init__(self) -> None:
        self.terms: dict[str, None] = {}
        self.formats: frozenset[str] = frozenset()
        self.kinds: frozenset[Kind] = frozenset()
        self.iso_min: int | None = None
        self.iso_max: int | None = None
        self.date_from: datetime.date | None = None
        self.date_to: datetime.date | None = None
        self.is_filtered = False

    def words(self, text: str, *, exact: bool) -> None:
        """Ask for `text` in any column: as a phrase if `exact`, else each of its words as a prefix."""
        for part in (text,) if exact else _parts(text):
            phrase = _phrase(part, exact=exact)
            if phrase is not None:
                self.terms[phrase] = None

    def finish(self, text: str) -> Query:
        nothing = (
            (not self.terms and not self.is_filtered and bool(text.strip()))
            or (self.iso_min is not None and self.iso_max is not None and self.iso_min > self.iso_max)
            or (self.date_from is not None and self.date_to is not None and self.date_from > self.date_to)
        )
        return Query(
            match=" AND ".join(self.terms) or None,
            formats=self.formats,
            kinds=self.kinds,
            iso_min=self.iso_min,
            iso_max=self.iso_max,
            date_from=self.date_from,
            date_to=self.date_to,
            nothing=nothing,
        )


def parse_query(text: str) -> Query:
    """The search that `text` means; the empty text restricts nothing.

    Raises InvalidInput, reason `invalid_refinement`, with `parameter` and `refinement` in its details, for a refinement
    that makes no sense, and `too_long` for a text over `QUERY_LIMIT` characters.
    """
    if len(text) > QUERY_LIMIT:
        message = f"A search has at most {QUERY_LIMIT} characters."
        raise InvalidInput(message, reason="too_long", parameter="q")
    draft = _Draft()
    for term in _TERM.finditer(text):
        key, quoted, plain = term.group("key", "quoted", "plain")
        refine = _REFINEMENTS.get((key or "").lower())
        if refine is not None:
            draft.is_filtered = True
            refine(draft, key.lower(), (plain if quoted is None else quoted).strip(), quoted is not None)
        elif quoted is None:
            draft.words(term.group(), exact=False)
        else:
            draft.words(key or "", exact=False)
            draft.words(quoted, exact=True)
    return draft.finish(text)


def _parts(text: str) -> list[str]:
    """`text` cut at spaces and punctuation, but not where the punctuation ties words to one name."""
    return "".join(
        " " if unicodedata.category(char)[0] in "PSZC" and char not in _TIES else char for char in text
    ).split()


def _phrase(text: str, *, exact: bool) -> str | None:
    """The words of `text`, side by side, as an FTS5 string literal; the last is a prefix unless `exact`.

    None when no word is in it.
    """
    words = tokens(text)
    if not words:
        return None
    return f'"{" ".join(words)}"' + ("" if exact else "*")


def _senseless(key: str, value: str, allowed: str) -> InvalidInput:
    refinement = f"{key}:{value}"
    return InvalidInput(
        f"The refinement {refinement!a} makes no sense: {allowed}.",
        reason="invalid_refinement",
        parameter="q",
        refinement=refinement.encode("utf-8", "replace").decode(),
    )


def _in_columns(draft: _Draft, key: str, value: str, is_quoted: bool) -> None:
    phrases = [_phrase(part, exact=is_quoted) for part in ((value,) if is_quoted else _parts(value))]
    words = [phrase for phrase in phrases if phrase is not None]
    if not words:
        raise _senseless(key, value, f"{key}: needs a word")
    for phrase in words:
        draft.terms[f"{_COLUMNS[key]} : {phrase}"] = None


def _formats(draft: _Draft, key: str, value: str, _: bool) -> None:
    for name in value.lower().split(","):
        plain = name.strip().removeprefix(".")
        if not re.fullmatch("[a-z0-9]{1,16}", plain):
            raise _senseless(key, value, "it takes a file format such as jpeg, heic or raw")
        draft.formats |= _FORMATS.get(plain, frozenset({plain}))


def _kinds(draft: _Draft, key: str, value: str, _: bool) -> None:
    for name in value.lower().split(","):
        plain = name.strip()
        try:
            draft.kinds |= {Kind(_KINDS.get(plain, plain))}
        except ValueError:
            raise _senseless(key, value, "it takes photo, video or audio") from None


def _iso(draft: _Draft, key: str, value: str, _: bool) -> None:
    match = _ISO.fullmatch("".join(value.split()))
    if match is None:
        raise _senseless(key, value, "it takes a number such as 800, >800, <=400 or 100..400")
    sign, number, low, high = match.groups()
    first, last = _range(sign, int(number)) if number else (int(low), int(high))
    if first is not None and last is not None and first > last:
        raise _senseless(key, value, "the range ends before it starts")
    if first is not None:
        draft.iso_min = first if draft.iso_min is None else max(first, draft.iso_min)
    if last is not None:
        draft.iso_max = last if draft.iso_max is None else min(last, draft.iso_max)


def _range(sign: str | None, number: int) -> tuple[int | None, int | None]:
    """The first and last whole number that `sign` `number` admits."""
    if sign == ">":
        return number + 1, None
    if sign in (">=", "≥"):
        return number, None
    if sign == "<":
        return None, number - 1
    if sign in ("<=", "≤"):
        return None, number
    return number, number


def _after(draft: _Draft, key: str, value: str, _: bool) -> None:
    day = _first_day(key, value)
    draft.date_from = day if draft.date_from is None else max(day, draft.date_from)


def _before(draft: _Draft, key: str, value: str, _: bool) -> None:
    first = _first_day(key, value)
    if first == datetime.date.min:
        raise _senseless(key, value, "no day is before it")
    day = first - datetime.timedelta(days=1)
    draft.date_to = day if draft.date_to is None else min(day, draft.date_to)


def _first_day(key: str, value: str) -> datetime.date:
    """The first day of a year, month or day."""
    match = _DAY.fullmatch(value) or _COMPACT_DAY.fullmatch(value)
    try:
        if match is not None:
            year, month, day = match.groups()
            return datetime.date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        pass
    raise _senseless(key, value, "it takes a year, a month or a day: 2023, 2023-07 or 2023-07-15")


_REFINEMENTS: dict[str, Callable[[_Draft, str, str, bool], None]] = {
    "camera": _in_columns,
    "lens": _in_columns,
    "place": _in_columns,
    "folder": _in_columns,
    "format": _formats,
    "kind": _kinds,
    "iso": _iso,
    "after": _after,
    "before": _before,
}
