"""Query parameters that several routes of /api/v1 share."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pixlsrve.media.paging import PageRequest

PAGE_MAX = 2**53 - 1
PageNumber = Annotated[int, Meta(ge=1, le=PAGE_MAX, description="Page number.")]
Cursor = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=4096,
        description="The `next_cursor` of the page before; then `page` is ignored.",
    ),
]
PhotoLimit = Annotated[int, Meta(ge=1, le=500, description="Items a page.")]
Order = Literal["asc", "desc"]
KindName = Literal["photo", "video", "audio"]


class Paging(msgspec.Struct, frozen=True, kw_only=True):
    """Which page, of up to 500 items."""

    page: PageNumber = 1
    limit: PhotoLimit = 100
    cursor: Cursor | None = None


class PhotosPaging(Paging, frozen=True, kw_only=True):
    """Which page of photos, in which order: by date the newest first, else ascending."""

    sort: Literal["date", "name", "size"] = "date"
    order: Order | None = None


def page_request(asked: Paging, *, descending: bool) -> PageRequest:
    """The page that the parameters mean."""
    return PageRequest(page=asked.page, limit=asked.limit, cursor=asked.cursor, descending=descending)


def is_descending(order: Order | None, sort: str) -> bool:
    """The order asked for; by date descending, by anything else ascending, when none is."""
    return order == "desc" if order is not None else sort == "date"
