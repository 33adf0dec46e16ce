"""Cleaning of the texts and numbers that files carry: bounded, printable, finite."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable

SHORT = 256
"""Characters kept of a name, a title or a keyword."""

LONG = 2048
"""Characters kept of a caption."""

KEYWORDS = 64
"""Keywords kept of one file."""

# Categories that draw nothing or redraw their surroundings: controls, surrogates, private use, unassigned.
_UNWANTED = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
# Bidirectional controls can make one name look like another (T22 wants the same of file names).
_BIDI = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def clean(text: str, limit: int = SHORT) -> str | None:
    """`text` in NFC without control characters, runs of blanks as one, at most `limit` characters; None when empty."""
    if text.isascii() and text.isprintable():
        return " ".join(text[:limit].split()) or None
    kept = "".join(
        " " if char.isspace() else char
        for char in text[: limit * 4]
        if char.isspace() or (char not in _BIDI and unicodedata.category(char) not in _UNWANTED)
    )
    return " ".join(unicodedata.normalize("NFC", kept).split())[:limit].rstrip() or None


def decode(data: bytes, limit: int = SHORT) -> str | None:
    """Cleaned text of a NUL-ended string. UTF-8 where it is that, else Windows-1252, as cameras and editors write."""
    data = data[: limit * 8].split(b"\0", 1)[0]
    try:
        return clean(data.decode("utf-8"), limit)
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            return clean(data[: error.start].decode("utf-8", "ignore"), limit)
        return clean(data.decode("cp1252", "ignore"), limit)


def decode_utf16(data: bytes, limit: int = SHORT) -> str | None:
    """Cleaned text of a little-endian UTF-16 string, ended by NUL (the XP tags of Windows)."""
    return clean(data[: limit * 4].decode("utf-16-le", "ignore").split("\0", 1)[0], limit)


def keywords(texts: Iterable[str]) -> tuple[str, ...]:
    """The cleaned, distinct, non-empty texts in their order, at most KEYWORDS of them."""
    kept: dict[str, None] = {}
    for text in texts:
        if (word := clean(text)) is not None:
            kept[word] = None
        if len(kept) == KEYWORDS:
            break
    return tuple(kept)


def number(text: str) -> float | None:
    """A finite number out of `12`, `1.5` or the fraction `3/2`; None for anything else."""
    over, _, under = text.strip()[:64].partition("/")
    try:
        value = float(over) / float(under) if under else float(over)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return value if math.isfinite(value) else None
