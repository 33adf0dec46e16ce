"""Search, its filters, and completions."""

from __future__ import annotations

from typing import Any

import pytest
import yarl

from pixlsrve.model import Kind
from tests.library_api import Api


@pytest.fixture
async def filled(api: Api) -> Api:
    """A few photos with words of every kind."""
    shelf = api.shelf
    shelf.add("Summer/IMG_1.jpg", taken="2023-07-15T12:00:00", place="Lisboa", camera="Pixel 7", iso=50)
    shelf.add("Summer/Lake/IMG_2.jpg", taken="2023-07-16T12:00:00", place="Lisboa", camera="EOS R6", iso=1600)
    shelf.add("Summering/IMG_3.jpg", taken="2022-01-01T12:00:00", camera="EOS R6", format="heic", iso=800)
    shelf.add("Songs/fado lisboa.mp3", kind=Kind.AUDIO, format="mp3", mime="audio/mpeg", taken=None)
    shelf.add("Clips/lisboa.mp4", kind=Kind.VIDEO, format="mp4", mime="video/mp4", taken="2021-01-01T12:00:00")
    await shelf.settle()
    return api


async def names(api: Api, **query: Any) -> list[str]:
    """The names that a search finds."""
    answer = await api.json("/api/v1/photos/search", **query)
    assert answer["results_count"] == answer["pagination"]["total"] == len(answer["photos"])
    assert answer["query"] == query.get("q", "")
    return [photo["filename"] for photo in answer["photos"]]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lisb", ["IMG_2.jpg", "IMG_1.jpg", "lisboa.mp4"]),
        ("LISBOA pixel", ["IMG_1.jpg"]),
        ('"eos r6"', ["IMG_2.jpg", "IMG_3.jpg"]),
        ("camera:eos iso:>800", ["IMG_2.jpg"]),
        ("format:heic", ["IMG_3.jpg"]),
        ("after:2023-07-16", ["IMG_2.jpg"]),
        ("summer before:2023", ["IMG_3.jpg"]),
        ("kind:audio", ["fado lisboa.mp3"]),
        ("lisboa kind:audio", ["fado lisboa.mp3"]),
        ("kind:video", ["lisboa.mp4"]),
        ("july 2023", ["IMG_2.jpg", "IMG_1.jpg"]),
        ("nothing like it", []),
        ("!!!", []),
        ("iso:>5 iso:<3", []),
    ],
)
async def test_search_finds(filled: Api, text: str, found: list[str]) -> None:
    """Words, phrases and refinements find what they should, the newest first, songs only when asked for."""
    assert await names(filled, q=text) == found


async def test_search_by_album_includes_what_lies_below(filled: Api) -> None:
    """album_id means the album and its sub-albums, and not its neighbours with longer names."""
    summer = filled.shelf.album_id("Summer")
    assert await names(filled, q="img", album_id=summer) == ["IMG_2.jpg", "IMG_1.jpg"]
    assert await names(filled, album_id=summer) == ["IMG_2.jpg", "IMG_1.jpg"]
    assert await names(filled, q="lisboa", album_id=filled.shelf.album_id("")) == [
        "IMG_2.jpg",
        "IMG_1.jpg",
        "lisboa.mp4",
    ]
    await filled.json("/api/v1/photos/search", album_id="00000000-0000-4000-8000-000000000000", status=404)
    await filled.json("/api/v1/photos/search", q="x", album_id="nonsense", status=404)
    await filled.json("/api/v1/photos/search", album_id=summer, token="uploads", status=404)


async def test_search_by_days_and_kind(filled: Api) -> None:
    """Parameters narrow a search, alone or with words."""
    assert await names(filled, date_from="2023-07-16") == ["IMG_2.jpg"]
    assert await names(filled, q="lisboa", date_to="2021-12-31") == ["lisboa.mp4"]
    assert await names(filled, q="lisboa", kind="photo") == ["IMG_2.jpg", "IMG_1.jpg"]
    assert await names(filled, q="lisboa", kind="audio") == ["fado lisboa.mp3"]
    assert await names(filled, q="img", order="asc") == ["IMG_3.jpg", "IMG_1.jpg", "IMG_2.jpg"]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({}, "q"),
        ({"q": "  "}, "q"),
        ({"q": "before:yesterday"}, "q"),
        ({"q": "a", "date_from": "2023-13-01"}, "date_from"),
        ({"q": "a", "limit": "501"}, "limit"),
        ({"q": "a", "page": "0"}, "page"),
        ({"q": "a" * 1001}, "q"),
        ({"q": "a", "cursor": "zzz"}, "cursor"),
    ],
)
async def test_search_refuses_what_makes_no_sense(filled: Api, query: dict[str, Any], name: str) -> None:
    """A search without any filter, or with a senseless one, is 400 and named (T33)."""
    assert (await filled.refusal("/api/v1/photos/search", **query))["parameter"] == name


@pytest.mark.parametrize(
    "text",
    [
        '"',
        "*",
        "a* OR b",
        "NEAR(a b)",
        "name:x",
        "(((",
        "'; DROP TABLE asset; --",
        "\u202e\U0001f600",
        "^a",
        "-",
        "a AND",
    ],
)
async def test_any_text_is_a_search(filled: Api, text: str) -> None:
    """What looks like a query language's syntax is text (T33)."""
    await filled.json("/api/v1/photos/search", q=text)
    await filled.json("/api/v1/search/suggest", q=text)


async def test_search_pages_by_number_and_cursor(filled: Api) -> None:
    """Pages of a search follow each other; results_count is the total on each."""
    first = await filled.json("/api/v1/photos/search", q="img", limit=2)
    assert (first["results_count"], first["pagination"]["total_pages"]) == (3, 2)
    cursor = first["pagination"]["next_cursor"]
    second = await filled.json("/api/v1/photos/search", q="img", limit=2, cursor=cursor)
    by_number = await filled.json("/api/v1/photos/search", q="img", limit=2, page=2)
    assert second == by_number
    assert [photo["filename"] for photo in second["photos"]] == ["IMG_3.jpg"]
    assert (await filled.refusal("/api/v1/photos/search", q="other", cursor=cursor))["parameter"] == "cursor"


async def test_search_sees_only_the_callers_roots(filled: Api) -> None:
    """Words and counts of roots that may not be seen stay hidden (T15, T17)."""
    filled.shelf.add("lisboa.jpg", root_id=2)
    answer = await filled.json("/api/v1/photos/search", q="lisboa", token="uploads")
    assert [photo["path"] for photo in answer["photos"]] == ["/Uploads/lisboa.jpg"]
    assert answer["results_count"] == 1
    assert (await filled.json("/api/v1/search/suggest", q="li", token="uploads"))["suggestions"] == ["lisboa"]
    assert (await filled.json("/api/v1/search/suggest", q="pix", token="uploads"))["suggestions"] == []


async def test_suggestions_complete_the_last_word(filled: Api) -> None:
    """The last word is completed with words that occur together with those before it, frequent ones first."""
    assert (await filled.json("/api/v1/search/suggest", q="Li"))["suggestions"] == ["lisboa"]
    assert "summer" in (await filled.json("/api/v1/search/suggest", q="lisboa su"))["suggestions"]
    assert (await filled.json("/api/v1/search/suggest", q="pixel su"))["suggestions"] != []
    assert (await filled.json("/api/v1/search/suggest", q="pixel 6x"))["suggestions"] == []
    assert (await filled.json("/api/v1/search/suggest", q=""))["suggestions"] == []
    assert len((await filled.json("/api/v1/search/suggest", q="s", limit=1))["suggestions"]) == 1


async def test_cursors_of_searches_outlive_changes(filled: Api) -> None:
    """New words, and albums that grow, don't break a search that is being scrolled."""
    summer = filled.shelf.album_id("Summer")
    queries: tuple[dict[str, Any], ...] = ({"q": "summ"}, {"q": "lisb", "album_id": summer}, {"album_id": summer})
    for number, query in enumerate(queries):
        first = await filled.json("/api/v1/photos/search", limit=1, **query)
        cursor = first["pagination"]["next_cursor"]
        filled.shelf.add(f"Summer/lisbonne summit{number}.jpg", taken=f"201{number}-01-01T12:00:00")
        await filled.shelf.settle()
        rest = await filled.json("/api/v1/photos/search", cursor=cursor, **query)
        assert len(rest["photos"]) == rest["results_count"] - 1


async def test_a_prefix_finds_all_its_words(filled: Api) -> None:
    """A beginning finds every word that begins so, in the columns that were asked for, few words or many."""
    for number in range(45):
        filled.shelf.add(f"Many/longword{chr(97 + number % 26)}{number}.jpg")
    await filled.shelf.settle()
    for text, count in (("longword", 45), ("longworda", 2), ("summeri", 1), ("folder:summe", 3), ("place:summe", 0)):
        assert (await filled.json("/api/v1/photos/search", q=text))["results_count"] == count, text


@pytest.mark.parametrize("raw", ["%ff", "%ed%a0%80", "%00", "a%00b", "%f0%9f%98", "+%2B+", "%"])
async def test_bytes_that_are_no_text_are_a_search_too(filled: Api, raw: str) -> None:
    """What a URL can hold is answered or refused, never a failure of ours (T33)."""
    headers = {"Authorization": "Bearer member"}
    for path in (
        "photos/search?q=",
        "search/suggest?q=",
        "photos?cursor=",
        "photos/search?q=a&album_id=",
        "photos?date_from=",
    ):
        url = yarl.URL(f"{filled.base}/api/v1/{path}{raw}", encoded=True)
        async with filled.client.get(url, headers=headers) as answer:
            assert answer.status in (200, 400, 404), path
