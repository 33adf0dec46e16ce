"""Search words: how text is folded and cut up, the same for documents and queries, and an asset's search document.

The full-text table (FTS5, `unicode61`) sees only what `fold` and `tokens` leave: lower-case letters and digits between
single spaces. So nothing depends on the Unicode version or on the diacritics table inside SQLite.
"""

from __future__ import annotations

import datetime
import functools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

COLUMN_LIMIT = 2000
"""Characters of one column of a document at most; a word cut by it is left out whole."""

_MARKS = re.compile("[\u0300-\u036f]")
_LETTERS = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "\u0131": "i", "þ": "th", "ħ": "h", "ŧ": "t"}
)
"""Letters that Unicode does not decompose, though people type them without the stroke."""

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, kana and Han: scripts written without spaces between words."""

_ASCII_WORD = re.compile("[a-z0-9]+")
_INNER_WORDS = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])")


class Document(NamedTuple):
    """What the full-text table holds of one asset, column by column, already folded."""

    name: str
    folder: str
    camera: str
    lens: str
    place: str
    dates: str
    extra: str


def fold(text: str) -> str:
    """`text` as it is compared: compatibility forms, case and Latin, Greek and Cyrillic accents folded away (UAX #15).

    The result holds no lone surrogates and no NUL.
    """
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", decomposed)).translate(_LETTERS)
    return unicodedata.normalize("NFC", plain)


def tokens(text: str) -> list[str]:
    """The words of `text` in order, folded: runs of letters and digits; everything else separates.

    Each character of a script without spaces is a word, so that a phrase of them finds any part of a longer run
    (`里斯本` is found by `斯本`). A mark that spells (a Hindi or Thai vowel) separates too, as FTS5 has it.
    """
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    pieces = []
    for char in fold(text):
        if unicodedata.category(char)[0] not in "LN":
            pieces.append(" ")
        elif _UNSPACED.match(char):
            pieces.append(f" {char} ")
        else:
            pieces.append(char)
    return "".join(pieces).split()


def normalise_prefix(text: str) -> str | None:
    """The word being typed at the end of `text`, as the full-text table's vocabulary spells it; None without one.

    `normalise_prefix("lisbon Álm")` is `"alm"`.
    """
    words = tokens(text)
    return words[-1] if words and tokens(text[-1]) else None


def inner_words(text: str) -> list[str]:
    """The words inside the words of `text`, folded: `DSC01234` has `dsc`, `01234` and `1234`, `LisbonTrip` both halves.

    Only what `tokens` does not give already; single characters are left out.
    """
    whole = set(tokens(text))
    found: dict[str, None] = {}
    for piece in _INNER_WORDS.findall(unicodedata.normalize("NFC", _CAMEL.sub(" ", text))):
        for word in (*tokens(piece), *tokens(piece.lstrip("0"))):
            if len(word) > 1 and word not in whole:
                found[word] = None
    return list(found)


def date_words(day: datetime.date) -> str:
    """The words that find a local day: `2023-07-15`, `2023-07`, `15.07.2023`, `07/2023`, `20230715`, `15 July 2023`,
    `Saturday`, and each of their parts. Names are English.
    """
    year, month, number = f"{day.year:04}", f"{day.month:02}", f"{day.day:02}"
    name, weekday = _MONTHS[day.month - 1], _WEEKDAYS[day.weekday()]
    return f"{year} {month} {number} {month} {year} {year}{month}{number} {number} {name} {year} {day.day} {weekday}"


def document(
    *,
    name: str,
    folders: Sequence[str] = (),
    make: str | None = None,
    model: str | None = None,
    lens: str | None = None,
    places: Sequence[str] = (),
    day: datetime.date | None = None,
    extra: Iterable[str | None] = (),
) -> Document:
    """The search document of one asset.

    `name` is the file name as displayed, `folders` the names of the folders above it from the root's down, `places`
    a `Place`'s names, `day` the local day of capture, `extra` title, artist, album, caption and keywords. Each column
    has at most `COLUMN_LIMIT` characters.
    """
    return Document(
        name=_column([name], inner=True),
        folder=_common_column(tuple(folders), inner=True),
        camera=_common_column((_without_repetition(make, model),), inner=True),
        lens=_common_column((lens or "",), inner=True),
        place=_common_column(tuple(places)),
        dates="" if day is None else date_words(day),
        extra=_column(text for text in extra if text),
    )


_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _without_repetition(make: str | None, model: str | None) -> str:
    """Make and model, the make once: many cameras repeat it in the model."""
    first, second = make or "", model or ""
    return second if second.casefold().startswith(first.casefold()) else f"{first} {second}"


def _column(texts: Iterable[str], *, inner: bool = False) -> str:
    """The words of `texts`, then the words inside them, up to the limit. Texts past the limit are not even folded."""
    words: list[str] = []
    extra: list[str] = []
    room = COLUMN_LIMIT
    for text in texts:
        part = text[: max(room, 0)]
        room -= len(part) + 1
        words += tokens(part)
        if inner:
            extra += inner_words(part)
    joined = " ".join((*words, *extra))
    return joined if len(joined) <= COLUMN_LIMIT else joined[: COLUMN_LIMIT + 1].rpartition(" ")[0]


# Folders, cameras and places are the same for many assets in a row.
_common_column = functools.lru_cache(512)(_column)
