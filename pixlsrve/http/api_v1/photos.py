"""Photos across albums and one by one: lists, details, map, timeline, duplicates."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from pixlsrve.errors import InvalidInput
from pixlsrve.http import library, routing
from pixlsrve.http.api_v1 import answers
from pixlsrve.http.api_v1.inputs import KindName, PhotosPaging, is_descending, page_request
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.media.paging import Page, PageRequest
from pixlsrve.store.assets import Asset
from pixlsrve.store.positions import Box

_BOX = r"^-?\d{1,3}(\.\d{1,12})?(,-?\d{1,3}(\.\d{1,12})?){3}$"
Day = Annotated[str, Meta(max_length=64, description="A local day such as 2023-07-15, inclusive.")]


class PhotosQuery(PhotosPaging, frozen=True, kw_only=True):
    """Which page of the library, narrowed to days and a kind."""

    date_from: Day | None = None
    date_to: Day | None = None
    kind: KindName | None = None
    box: (
        Annotated[
            str,
            Meta(pattern=_BOX, description="`south,west,north,east` in degrees: only what was taken there, by date."),
        ]
        | None
    ) = None
    sha256: Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$", description="Only files with these bytes.")] | None = None


class MapQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the world that is shown; `west` beyond `east` is a part across the date line."""

    south: Annotated[float, Meta(ge=-90, le=90)] = -90.0
    west: Annotated[float, Meta(ge=-180, le=180)] = -180.0
    north: Annotated[float, Meta(ge=-90, le=90)] = 90.0
    east: Annotated[float, Meta(ge=-180, le=180)] = 180.0
    limit: Annotated[int, Meta(ge=1, le=5000, description="So many positions at most, roughly.")] = 1000


class DuplicatesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which page of the groups of equal files."""

    page: Annotated[int, Meta(ge=1, le=2**53 - 1)] = 1
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None


class MapPhoto(msgspec.Struct, frozen=True):
    """One photo, or several near each other (`count`): then one of them, in the middle of all."""

    id: str
    latitude: float
    longitude: float
    count: int
    thumbnail_url: str
    place: str | None


class MapAnswer(msgspec.Struct, frozen=True):
    """Positions, and how many photos they stand for."""

    photos: list[MapPhoto]
    total: int


class DayCount(msgspec.Struct, frozen=True):
    """Photos and videos of a local day."""

    date: str
    count: int


class MonthCount(msgspec.Struct, frozen=True):
    """Photos and videos of a month."""

    month: str
    count: int


class TimelineAnswer(msgspec.Struct, frozen=True):
    """The whole library by local day and month, oldest first."""

    days: list[DayCount]
    months: list[MonthCount]


class DuplicateGroup(msgspec.Struct, frozen=True):
    """Photos and videos with the same bytes."""

    sha256: str
    count: int
    size_bytes: int
    photos: list[answers.PhotoAnswer]


class DuplicatesAnswer(msgspec.Struct, frozen=True):
    """A page of groups of equal files."""

    duplicates: list[DuplicateGroup]
    pagination: answers.Pagination


async def list_photos(request: web.Request) -> web.Response:
    """GET /api/v1/photos: photos and videos across albums."""
    page = await _page(request, routing.query(request, PhotosQuery))
    return _packed(answers.photos(page, request.app[library.ROOTS]))


def _packed(value: object) -> web.Response:
    """An answer that is sent compressed to who takes it so: days of twenty years and pages of photos are 100 to 250 KB,
    and about a tenth of that packed."""
    answer = routing.answer(value, headers={hdrs.VARY: hdrs.ACCEPT_ENCODING})
    answer.enable_compression()
    return answer


async def _page(request: web.Request, asked: PhotosQuery) -> Page[Asset]:
    photos, viewer = request.app[library.LIBRARY], library.viewer_of(request)
    wanted = page_request(asked, descending=is_descending(asked.order, asked.sort))
    alone = [name for name in ("box", "sha256") if getattr(asked, name) is not None]
    others = [name for name in ("date_from", "date_to", "kind") if getattr(asked, name) is not None]
    if alone and (len(alone) > 1 or others or asked.sort != "date"):
        raise InvalidInput(f"{alone[0]} narrows the library by itself, sorted by date.", parameter=alone[0])
    if asked.box is not None:
        return await photos.photos_in(_box(asked.box), wanted, viewer=viewer)
    if asked.sha256 is not None:
        return await photos.copies_of(bytes.fromhex(asked.sha256), wanted, viewer=viewer)
    return await photos.photos(
        wanted,
        sort=asked.sort,
        kind=asked.kind,
        date_from=asked.date_from,
        date_to=asked.date_to,
        viewer=viewer,
    )


def _box(text: str) -> Box:
    box = Box(*map(float, text.split(",")))
    if not (-90 <= box.south <= box.north <= 90 and -180 <= box.west <= 180 and -180 <= box.east <= 180):
        raise InvalidInput("box is south,west,north,east in degrees.", parameter="box")
    return box


async def get_photo(request: web.Request) -> web.Response:
    """GET /api/v1/photos/{id}: everything known about one photo."""
    viewer = library.viewer_of(request)
    photo = await request.app[library.LIBRARY].photo(request.match_info["id"], viewer=viewer)
    return routing.answer(answers.photo(photo, answers.root_names(request.app[library.ROOTS])))


async def get_map(request: web.Request) -> web.Response:
    """GET /api/v1/photos/map: where photos were taken."""
    asked = routing.query(request, MapQuery)
    box = Box(asked.south, asked.west, asked.north, asked.east)
    found = await request.app[library.LIBRARY].map(box, limit=asked.limit, viewer=library.viewer_of(request))
    photos = [
        MapPhoto(
            place.asset_id,
            place.latitude,
            place.longitude,
            place.number,
            answers.thumbnail_url(place.asset_id, place.version),
            place.name,
        )
        for place in found.places
    ]
    return routing.answer(MapAnswer(photos, found.total))


async def get_timeline(request: web.Request) -> web.Response:
    """GET /api/v1/timeline: counts by local day and month."""
    found = await request.app[library.LIBRARY].timeline(viewer=library.viewer_of(request))
    days = [DayCount(day, count) for day, count in found.days]
    months = [MonthCount(month, count) for month, count in found.months]
    return _packed(TimelineAnswer(days, months))


async def list_duplicates(request: web.Request) -> web.Response:
    """GET /api/v1/duplicates: groups of photos and videos with the same bytes."""
    asked = routing.query(request, DuplicatesQuery)
    wanted = PageRequest(page=asked.page, limit=asked.limit, cursor=asked.cursor)
    page = await request.app[library.LIBRARY].duplicates(wanted, viewer=library.viewer_of(request))
    names = answers.root_names(request.app[library.ROOTS])
    groups = [
        DuplicateGroup(
            group.sha256.hex(),
            len(group.assets),
            sum(asset.original.size_bytes for asset in group.assets),
            [answers.photo(asset, names) for asset in group.assets],
        )
        for group in page.items
    ]
    return routing.answer(DuplicatesAnswer(groups, answers.pagination(page)))


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/photos",
        handler=list_photos,
        access=Access.MEMBER,
        rate=Rate.BROWSE,
        summary="Photos and videos across albums.",
        query=PhotosQuery,
        answer=answers.PhotosAnswer,
    ),
    Route(
        method="GET",
        path="/api/v1/photos/map",
        handler=get_map,
        access=Access.MEMBER,
        rate=Rate.BROWSE,
        summary="Where photos were taken; near ones are put together where there are many.",
        query=MapQuery,
        answer=MapAnswer,
    ),
    Route(
        method="GET",
        path="/api/v1/photos/{id}",
        handler=get_photo,
        access=Access.MEMBER,
        rate=Rate.PHOTOS,
        summary="Everything known about one photo.",
        answer=answers.PhotoAnswer,
        errors=(404,),
    ),
    Route(
        method="GET",
        path="/api/v1/timeline",
        handler=get_timeline,
        access=Access.MEMBER,
        rate=Rate.BROWSE,
        summary="How many photos and videos each local day and month has.",
        answer=TimelineAnswer,
    ),
    Route(
        method="GET",
        path="/api/v1/duplicates",
        handler=list_duplicates,
        access=Access.MEMBER,
        rate=Rate.OTHER,
        summary="Groups of photos and videos with the same bytes.",
        query=DuplicatesQuery,
        answer=DuplicatesAnswer,
    ),
)
