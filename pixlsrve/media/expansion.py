"""Prefixes of a search replaced by the whole words that they stand for, where these are few.

FTS5 answers a prefix longer than its prefix indexes by merging all matches of all words before it gives the first one;
the words themselves it follows one match at a time. At a million photos that is 40 ms against 0.1 ms for a page.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pixlsrve.media.version import LibraryVersion, VersionedCache
from pixlsrve.store import search
from pixlsrve.store.database import Database

WORDS_MAX = 40
PREFIXES_KEPT = 1_000
# Shorter prefixes have an index of their own (prefix = '2 3' in the schema); one letter stands for too many words.
_PREFIX = re.compile(r'"([^" ]{4,})"\*')


class Expanded(NamedTuple):
    """An FTS5 expression, and how many documents match where that came to light."""

    match: str
    total: int | None


class Expansions:
    """Knows the words of the library by their beginnings."""

    def __init__(self, index: Database, version: LibraryVersion) -> None:
        self._index = index
        self._words: VersionedCache[list[tuple[str, int]]] = VersionedCache(version, PREFIXES_KEPT)

    async def expand(self, match: str) -> Expanded:
        """An expression that matches the same documents as `match`, which comes from `query.parse_query`."""
        parts, end = list[str](), 0
        total: int | None = None
        for found in _PREFIX.finditer(match):
            words = await self._starting_with(found[1])
            parts.append(match[end : found.start()])
            parts.append(_either(words) if 0 < len(words) <= WORDS_MAX else found[0])
            end = found.end()
            if found[0] == match and len(words) == 1:
                total = words[0][1]
        return Expanded("".join((*parts, match[end:])), total)

    async def _starting_with(self, prefix: str) -> list[tuple[str, int]]:
        """Words and the number of documents that have each; one more than are of use."""
        return await self._words.get(prefix, lambda: search.words(self._index, prefix, WORDS_MAX + 1))


def _either(words: list[tuple[str, int]]) -> str:
    quoted = [f'"{word}"' for word, _ in words]
    return quoted[0] if len(quoted) == 1 else f"({' OR '.join(quoted)})"
