"""Search and completions."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from pixlsrve.http import library, routing
from pixlsrve.http.api_v1 import answers
from pixlsrve.http.api_v1.inputs import KindName, Order, Paging, page_request
from pixlsrve.http.api_v1.photos import Day
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.media.assets import SearchRequest

SearchText = Annotated[str, Meta(max_length=1000, description="Words and refinements.")]


class SearchQuery(Paging, frozen=True, kw_only=True):
    """What to look for; `q` may be missing where another filter is given. `album_id` includes what lies below."""

    q: SearchText = ""
    date_from: Day | None = None
    date_to: Day | None = None
    album_id: str | None = None
    kind: KindName | None = None
    order: Order = "desc"


class SuggestQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What has been typed so far."""

    q: SearchText
    limit: Annotated[int, Meta(ge=1, le=50, description="Suggestions at most.")] = 10


class SearchAnswer(msgspec.Struct, frozen=True):
    """A page of matches, by date; `results_count` counts all of them."""

    photos: list[answers.PhotoAnswer]
    pagination: answers.Pagination
    query: str
    results_count: int


class SuggestAnswer(msgspec.Struct, frozen=True):
    """Words that complete the last one of `query`, the most frequent first."""

    query: str
    suggestions: list[str]


async def search_photos(request: web.Request) -> web.Response:
    """GET /api/v1/photos/search: photos and videos that match."""
    asked = routing.query(request, SearchQuery)
    wanted = SearchRequest(
        text=asked.q,
        date_from=asked.date_from,
        date_to=asked.date_to,
        album_id=asked.album_id,
        kind=asked.kind,
    )
    page = await request.app[library.LIBRARY].search(
        wanted, page_request(asked, descending=asked.order == "desc"), viewer=library.viewer_of(request)
    )
    found = answers.photos(page, request.app[library.ROOTS])
    return routing.answer(SearchAnswer(found.photos, found.pagination, asked.q, page.total))


async def suggest(request: web.Request) -> web.Response:
    """GET /api/v1/search/suggest: completions of the word being typed."""
    asked = routing.query(request, SuggestQuery)
    viewer = library.viewer_of(request)
    words = await request.app[library.LIBRARY].suggest(asked.q, limit=asked.limit, viewer=viewer)
    return routing.answer(SuggestAnswer(asked.q, words))


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/photos/search",
        handler=search_photos,
        access=Access.MEMBER,
        rate=Rate.SEARCH,
        summary="Search photos by words, days, album and kind.",
        query=SearchQuery,
        answer=SearchAnswer,
        errors=(404, 503),
    ),
    Route(
        method="GET",
        path="/api/v1/search/suggest",
        handler=suggest,
        access=Access.MEMBER,
        rate=Rate.BROWSE,
        summary="Words that complete the last one of q.",
        query=SuggestQuery,
        answer=SuggestAnswer,
    ),
)
