"""Prefixes and the words that they stand for."""

from __future__ import annotations

from pathlib import Path

from pixlsrve.media.expansion import WORDS_MAX, Expansions
from pixlsrve.media.query import parse_query
from tests.library import open_shelf


async def test_long_prefixes_become_their_words(tmp_path: Path) -> None:
    """A prefix of four letters or more becomes its few words; short ones, phrases and those of many words stay."""
    async with open_shelf(tmp_path) as shelf:
        for number in range(WORDS_MAX + 1):
            shelf.add(f"serial{chr(97 + number // 26)}{chr(97 + number % 26)}.jpg", place="Lisboa" if number else None)
        shelf.add("lisbon.jpg")
        expansions = Expansions(shelf.index, shelf.version)

        async def expand(text: str) -> tuple[str, int | None]:
            match = parse_query(text).match
            assert match is not None
            return await expansions.expand(match)

        assert await expand("lisbo") == ('("lisboa" OR "lisbon")', None)
        assert await expand("lisboa") == ('"lisboa"', WORDS_MAX)
        assert await expand("place:lisboa lis") == ('{place} : "lisboa" AND "lis"*', None)
        assert await expand("serial") == ('"serial"*', None)
        assert await expand("zzzz") == ('"zzzz"*', None)
        assert await expand('"lisboa"') == ('"lisboa"', None)
