"""Which of a town's many recorded names are worth searching by."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from pixlsrve.media.words import fold

_SCRIPTS = {
    "am": ("ETHIOPIC",),
    "ar": ("ARABIC",),
    "be": ("CYRILLIC",),
    "bg": ("CYRILLIC",),
    "bn": ("BENGALI",),
    "el": ("GREEK",),
    "fa": ("ARABIC",),
    "he": ("HEBREW",),
    "hi": ("DEVANAGARI",),
    "hy": ("ARMENIAN",),
    "ja": ("CJK", "HIRAGANA", "KATAKANA"),
    "ka": ("GEORGIAN",),
    "kk": ("CYRILLIC",),
    "km": ("KHMER",),
    "ko": ("HANGUL",),
    "ky": ("CYRILLIC",),
    "lo": ("LAO",),
    "mk": ("CYRILLIC",),
    "mn": ("CYRILLIC",),
    "my": ("MYANMAR",),
    "ne": ("DEVANAGARI",),
    "ps": ("ARABIC",),
    "ru": ("CYRILLIC",),
    "si": ("SINHALA",),
    "sr": ("CYRILLIC",),
    "ta": ("TAMIL",),
    "tg": ("CYRILLIC",),
    "th": ("THAI",),
    "uk": ("CYRILLIC",),
    "ur": ("ARABIC",),
    "zh": ("CJK",),
}
"""The scripts of languages (ISO 639-1) not written in Latin letters, as the character names of Unicode spell them."""

_LENGTH_LIMIT = 40
_NATIVE_LIMIT = 2


def native_scripts(languages: str) -> frozenset[str]:
    """The scripts of a country's first two languages, given as GeoNames does: `sr,hu,bs,rom`, `ar-EG,en,fr`."""
    codes = [language.partition("-")[0] for language in languages.split(",")[:2]]
    return frozenset(script for code in codes for script in _SCRIPTS.get(code, ()))


def choose_names(
    name: str, recorded: Iterable[str], known: Iterable[str], scripts: frozenset[str], limit: int
) -> list[str]:
    """At most `limit` of a town's names, best first: its name, the `known` ones, native spellings, other languages.

    GeoNames records names without their language, transliterations and airport codes among them. Those that look like
    neither are ranked by how much they resemble the others, so that the odd ones fall off the end. A name that begins
    another one is left out, since words are found by their beginnings.
    """
    first = [name, *known]
    usable = [text for text in recorded if 1 < len(text) <= _LENGTH_LIMIT and not set(text) & set(",()/")]
    native = _by_likeness(text for text in usable if _script(text) in scripts)[:_NATIVE_LIMIT]
    taken = [fold(text) for text in (*first, *native)]
    foreign = []
    for text in _by_likeness(text for text in usable if _is_latin_name(text)):
        folded = fold(text)
        if not any(other.startswith(folded) for other in taken):
            taken.append(folded)
            foreign.append(text)
    return list(dict.fromkeys((*first, *native, *foreign)))[:limit]


def _script(text: str) -> str:
    return unicodedata.name(text[0], "").partition(" ")[0]


def _is_latin_name(text: str) -> bool:
    """Whether this is a name in Latin letters: transliterations are recorded in lower case, codes in capitals."""
    return text[0].isupper() and not text.isupper() and _script(text) == "LATIN"


def _by_likeness(texts: Iterable[str]) -> list[str]:
    """Longest first where alike, else those that share the most letter pairs with all the others first."""
    candidates = sorted(set(texts), key=lambda text: (-len(text), text))
    pairs = {text: _pairs(text) for text in candidates}
    totals = {
        text: sum(len(own & other) / (len(own) + len(other)) for other in pairs.values()) for text, own in pairs.items()
    }
    return sorted(candidates, key=lambda text: -totals[text])


def _pairs(text: str) -> frozenset[str]:
    padded = f" {fold(text)} "
    return frozenset(padded[at : at + 2] for at in range(len(padded) - 1))
