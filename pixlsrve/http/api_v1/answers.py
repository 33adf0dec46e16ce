"""What /api/v1 answers about the library: the shapes of the specification, and how domain values become them."""

from __future__ import annotations

import base64
from typing import TypeVar

import msgspec

from pixlsrve.http.times import rfc3339
from pixlsrve.media.originals import display_name, visible_text
from pixlsrve.media.paging import Page
from pixlsrve.media.roots import Roots
from pixlsrve.model import Facts
from pixlsrve.store.albums import Album
from pixlsrve.store.assets import Asset, Live

T = TypeVar("T")
_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The years 1 to 9999, which is what RFC 3339 can write; file systems know more."""


class Pagination(msgspec.Struct, frozen=True):
    """Where a page stands in the whole; `next_cursor` is null at the end."""

    page: int
    limit: int
    total: int
    total_pages: int
    next_cursor: str | None


class AlbumAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An album. `photo_count` and `size_bytes` are its own, `total_photo_count` counts what lies below too."""

    id: str
    name: str
    path: str
    parent_id: str | None
    photo_count: int
    total_photo_count: int
    size_bytes: int
    cover_photo_id: str | None
    cover_thumbnail_url: str | None
    created_at: str | None
    updated_at: str | None


class AlbumDetailsAnswer(AlbumAnswer, frozen=True, kw_only=True):
    """An album with the albums directly in it."""

    sub_albums: list[AlbumAnswer]


class AlbumsAnswer(msgspec.Struct, frozen=True):
    """A page of albums."""

    albums: list[AlbumAnswer]
    pagination: Pagination


class Location(msgspec.Struct, frozen=True):
    """Signed degrees, south and west negative; signed metres above the sea."""

    latitude: float
    longitude: float
    altitude: float | None


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says of itself; absent facts are null."""

    camera: str | None = None
    make: str | None = None
    lens: str | None = None
    iso: int | None = None
    exposure: str | None = None
    aperture: str | None = None
    location: Location | None = None
    title: str | None = None
    caption: str | None = None
    keywords: tuple[str, ...] = ()
    artist: str | None = None
    album: str | None = None
    codecs: tuple[str, ...] = ()


class LiveAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The moving part of a live or motion photo."""

    url: str
    mime: str
    format: str | None
    size_bytes: int
    duration_s: float | None


class PhotoAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A photo, video or audio file. `thumbhash` is base64; `taken_at_local` is the wall clock where it was taken."""

    id: str
    filename: str
    album_id: str
    path: str
    kind: str
    size_bytes: int
    width: int | None
    height: int | None
    duration_s: float | None
    format: str | None
    mime: str | None
    taken_at: str | None
    taken_at_local: str | None
    taken_at_source: str | None
    created_at: str
    modified_at: str
    thumbnail_url: str
    full_url: str
    sha256: str | None
    thumbhash: str | None
    place: str | None
    live: LiveAnswer | None
    metadata: Metadata


class PhotosAnswer(msgspec.Struct, frozen=True):
    """A page of photos and videos."""

    photos: list[PhotoAnswer]
    pagination: Pagination


def album(value: Album, names: dict[int, str]) -> AlbumAnswer:
    """An album in a list; `names` are the roots' by id."""
    cover = value.cover_id
    return AlbumAnswer(
        id=value.id,
        name=visible_text(value.name),
        path=shown_path(names, value.root_id, value.path),
        parent_id=value.parent_id,
        photo_count=value.photo_count,
        total_photo_count=value.total_count,
        size_bytes=value.size_bytes,
        cover_photo_id=cover,
        cover_thumbnail_url=None if cover is None else thumbnail_url(cover, value.cover_version or ""),
        created_at=_time(value.earliest_us),
        updated_at=_time(value.latest_us),
    )


def album_details(value: Album, sub_albums: list[Album], names: dict[int, str]) -> AlbumDetailsAnswer:
    """An album by itself."""
    below = [album(sub_album, names) for sub_album in sub_albums]
    return AlbumDetailsAnswer(**msgspec.structs.asdict(album(value, names)), sub_albums=below)


def photo(value: Asset, names: dict[int, str]) -> PhotoAnswer:
    """A photo, in a list or by itself; `names` are the roots' by id."""
    original, facts = value.original, value.facts or _NO_FACTS
    return PhotoAnswer(
        id=value.id,
        filename=display_name(original.path.rpartition(b"/")[2]),
        album_id=value.album_id,
        path=shown_path(names, original.root_id, original.path),
        kind=value.kind.value,
        size_bytes=original.size_bytes,
        width=facts.width_px,
        height=facts.height_px,
        duration_s=facts.duration_s,
        format=original.format,
        mime=original.mime,
        taken_at=_time(facts.taken_us),
        taken_at_local=_local_time(facts.taken_local_us),
        taken_at_source=None if facts.taken_source is None else facts.taken_source.value,
        created_at=moment(value.created_us),
        modified_at=moment(original.mtime_ns // 1_000),
        thumbnail_url=thumbnail_url(value.id, value.version),
        full_url=f"/api/v1/photos/{value.id}/full",
        sha256=None if original.sha256 is None else original.sha256.hex(),
        thumbhash=None if value.thumbhash is None else base64.b64encode(value.thumbhash).decode(),
        place=value.place,
        live=None if value.live is None else _live(value.id, value.live),
        metadata=_metadata(facts),
    )


_NO_FACTS = msgspec.json.decode(b'{"kind": "photo", "format": "", "mime": ""}', type=Facts)


def _live(photo_id: str, live: Live) -> LiveAnswer:
    return LiveAnswer(
        url=f"/api/v1/photos/{photo_id}/live",
        mime=live.mime,
        format=live.format,
        size_bytes=live.size_bytes,
        duration_s=live.duration_s,
    )


def _metadata(facts: Facts) -> Metadata:
    latitude, longitude = facts.latitude, facts.longitude
    has_location = latitude is not None and longitude is not None
    return Metadata(
        camera=facts.camera,
        make=facts.camera_make,
        lens=facts.lens,
        iso=facts.iso,
        exposure=facts.exposure,
        aperture=None if facts.f_number is None else f"f/{facts.f_number:.4g}",
        location=Location(latitude, longitude, facts.altitude_m) if has_location else None,  # type: ignore[arg-type]  # both are there
        title=facts.title,
        caption=facts.caption,
        keywords=facts.keywords,
        artist=facts.artist,
        album=facts.album,
        codecs=facts.codecs,
    )


def pagination(page: Page[T]) -> Pagination:
    """The specification's pagination object."""
    return Pagination(page.page, page.limit, page.total, page.total_pages, page.next_cursor)


def photos(page: Page[Asset], roots: Roots) -> PhotosAnswer:
    """A page of photos."""
    names = root_names(roots)
    return PhotosAnswer([photo(item, names) for item in page.items], pagination(page))


def root_names(roots: Roots) -> dict[int, str]:
    """What the roots are called, safe to show."""
    return {root.id: visible_text(root.name) for root in roots}


def shown_path(names: dict[int, str], root_id: int, relative: bytes) -> str:
    """`/ROOT_NAME/relative` for people."""
    root = names.get(root_id, "")
    return f"/{root}/{display_name(relative)}" if relative else f"/{root}"


def thumbnail_url(photo_id: str, version: str) -> str:
    """Where a photo's thumbnail is; the version lets an edited photo show at once."""
    return f"/api/v1/photos/{photo_id}/thumbnail?v={version}"


def moment(at_us: int) -> str:
    """A time in microseconds since the epoch; what RFC 3339 can't write is brought to its ends."""
    return rfc3339(min(max(at_us, _FIRST_US), _LAST_US))


def _time(at_us: int | None) -> str | None:
    return None if at_us is None else moment(at_us)


def _local_time(at_us: int | None) -> str | None:
    return None if at_us is None else moment(at_us).removesuffix("Z")
