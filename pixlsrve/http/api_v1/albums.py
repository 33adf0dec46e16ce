"""Albums: /api/v1/albums (specs/pixlsrve-api-v1.md, Albums & Folders)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from pixlsrve.http import library, routing
from pixlsrve.http.api_v1 import answers
from pixlsrve.http.api_v1.inputs import (
    Cursor,
    KindName,
    Order,
    PageNumber,
    PhotosPaging,
    is_descending,
    page_request,
)
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.media.paging import PageRequest


class AlbumsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which page of the albums, in which order: ascending unless told otherwise."""

    page: PageNumber = 1
    limit: Annotated[int, Meta(ge=1, le=200, description="Items a page.")] = 50
    cursor: Cursor | None = None
    sort: Literal["name", "date", "photo_count"] = "name"
    order: Order = "asc"


class AlbumPhotosQuery(PhotosPaging, frozen=True, kw_only=True):
    """Which page of an album's photos and videos, or of one kind."""

    kind: KindName | None = None


async def list_albums(request: web.Request) -> web.Response:
    """GET /api/v1/albums: all albums, nested ones too."""
    asked = routing.query(request, AlbumsQuery)
    wanted = PageRequest(page=asked.page, limit=asked.limit, cursor=asked.cursor, descending=asked.order == "desc")
    page = await request.app[library.LIBRARY].albums(wanted, sort=asked.sort, viewer=library.viewer_of(request))
    names = answers.root_names(request.app[library.ROOTS])
    albums = [answers.album(album, names) for album in page.items]
    return routing.answer(answers.AlbumsAnswer(albums, answers.pagination(page)))


async def get_album(request: web.Request) -> web.Response:
    """GET /api/v1/albums/{id}: one album and the albums directly in it."""
    viewer = library.viewer_of(request)
    found = await request.app[library.LIBRARY].album(request.match_info["id"], viewer=viewer)
    names = answers.root_names(request.app[library.ROOTS])
    return routing.answer(answers.album_details(found.album, found.sub_albums, names))


async def list_album_photos(request: web.Request) -> web.Response:
    """GET /api/v1/albums/{id}/photos: what lies directly in an album."""
    asked = routing.query(request, AlbumPhotosQuery)
    page = await request.app[library.LIBRARY].album_photos(
        request.match_info["id"],
        page_request(asked, descending=is_descending(asked.order, asked.sort)),
        sort=asked.sort,
        kind=asked.kind,
        viewer=library.viewer_of(request),
    )
    return routing.answer(answers.photos(page, request.app[library.ROOTS]))


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/albums",
        handler=list_albums,
        access=Access.MEMBER,
        rate=Rate.BROWSE,
        summary="All albums, nested ones too.",
        query=AlbumsQuery,
        answer=answers.AlbumsAnswer,
    ),
    Route(
        method="GET",
        path="/api/v1/albums/{id}",
        handler=get_album,
        access=Access.MEMBER,
        rate=Rate.BROWSE,
        summary="One album and the albums directly in it.",
        answer=answers.AlbumDetailsAnswer,
        errors=(404,),
    ),
    Route(
        method="GET",
        path="/api/v1/albums/{id}/photos",
        handler=list_album_photos,
        access=Access.MEMBER,
        rate=Rate.BROWSE,
        summary="The photos and videos directly in an album.",
        query=AlbumPhotosQuery,
        answer=answers.PhotosAnswer,
        errors=(404,),
    ),
)
