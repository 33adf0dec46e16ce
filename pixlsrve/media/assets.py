"""The library as its readers see it: albums, photos, search, timeline, map, duplicates and quarantine.

Every method takes the `viewer`: the roots that may be seen, None for all. What lies elsewhere is as if it did not exist
(THREATS T15, T17).
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import Counter
from datetime import date, datetime

import msgspec

from pixlsrve.errors import InvalidInput, NotFound
from pixlsrve.media.expansion import Expansions
from pixlsrve.media.paging import Page, Pager, PageRequest, cut
from pixlsrve.media.query import Query, parse_query
from pixlsrve.media.version import LibraryVersion, VersionedCache
from pixlsrve.media.words import normalise_prefix, tokens
from pixlsrve.model import AlbumId, AssetId
from pixlsrve.store import albums, assets, duplicates, positions, quarantine, search, timeline
from pixlsrve.store.albums import Album, AlbumSort
from pixlsrve.store.assets import Asset, Kinds, Live, PhotoSort, Viewer
from pixlsrve.store.database import Database
from pixlsrve.store.positions import Box, Place
from pixlsrve.store.quarantine import Quarantined
from pixlsrve.store.search import AlbumTree, Conditions

SUGGEST_FROM = 500
"""Completions are looked for in the words of so many newest matches."""
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DENSE = 20_000
"""From so many on, walking the library by date finds a page of what lies in a box sooner than sorting the box."""
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class AlbumDetails(msgspec.Struct, frozen=True):
    """An album and the albums directly in it, by name."""

    album: Album
    sub_albums: list[Album]


class SearchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody looks for, as it was sent."""

    text: str = ""
    date_from: str | None = None
    date_to: str | None = None
    album_id: str | None = None
    kind: Kinds = None


class RootTotals(msgspec.Struct, frozen=True):
    """Photos and videos of one root, and their bytes."""

    photo_count: int = 0
    size_bytes: int = 0


class Copies(msgspec.Struct, frozen=True):
    """Photos and videos with the same bytes, oldest in the library first."""

    sha256: bytes
    assets: list[Asset]


class Map(msgspec.Struct, frozen=True):
    """Positions in a part of the world, and how many photos they stand for."""

    total: int
    places: list[Place]


class Timeline(msgspec.Struct, frozen=True):
    """Counts of photos and videos by local day and month, oldest first; days as YYYY-MM-DD, months as YYYY-MM."""

    days: list[tuple[str, int]]
    months: list[tuple[str, int]]


class Library:
    """Questions about the index."""

    def __init__(self, index: Database, version: LibraryVersion) -> None:
        self._index = index
        self._pager = Pager(index, version)
        self._expansions = Expansions(index, version)
        self._facts: VersionedCache[dict[int, RootTotals]] = VersionedCache(version, 32)
        self._has_audio: VersionedCache[bool] = VersionedCache(version, 1)
        self._timelines: VersionedCache[Timeline] = VersionedCache(version, 8)
        self._duplicates: VersionedCache[list[bytes]] = VersionedCache(version, 2)
        self._maps: VersionedCache[Map] = VersionedCache(version, 32)

    async def albums(self, asked: PageRequest, *, sort: AlbumSort, viewer: Viewer) -> Page[Album]:
        """A page of all albums, nested ones included."""
        listing = albums.listing(sort=sort, viewer=viewer)
        return await self._pager.page(listing, asked, albums.to_album, identity=("albums", sort))

    async def album(self, album_id: str, *, viewer: Viewer) -> AlbumDetails:
        """One album. Raises NotFound."""
        album = await self._album(album_id, viewer)
        return AlbumDetails(album, await albums.below(self._index, album.pk))

    async def album_photos(
        self, album_id: str, asked: PageRequest, *, sort: PhotoSort, kind: Kinds, viewer: Viewer
    ) -> Page[Asset]:
        """A page of what lies directly in an album. Raises NotFound."""
        album = await self._album(album_id, viewer)
        listing = assets.listing(sort=sort, kind=kind, folder_pk=album.pk)
        total, identity = album.photo_count if kind is None else None, ("album", album.id, sort, kind)
        return await self._pager.page(listing, asked, assets.to_asset, identity=identity, total=total)

    async def photos(
        self,
        asked: PageRequest,
        *,
        sort: PhotoSort,
        kind: Kinds,
        date_from: str | None,
        date_to: str | None,
        viewer: Viewer,
    ) -> Page[Asset]:
        """A page of the whole library. Raises InvalidInput for impossible dates."""
        days = _days(date_from, date_to, Query())
        listing = assets.listing(sort=sort, kind=kind, days=days, viewer=viewer)
        total = await self.photo_count(viewer=viewer) if kind is None and days == (None, None) else None
        identity = ("photos", sort, kind, days)
        return await self._pager.page(listing, asked, assets.to_asset, identity=identity, total=total)

    async def photos_in(self, box: Box, asked: PageRequest, *, viewer: Viewer) -> Page[Asset]:
        """A page of what was taken in a part of the world, by date."""
        total = await positions.count(self._index, box, viewer)
        listing = positions.listing(box, viewer, is_dense=total > _DENSE)
        return await self._pager.page(listing, asked, assets.to_asset, identity=("box", box), total=total)

    async def copies_of(self, sha256: bytes, asked: PageRequest, *, viewer: Viewer) -> Page[Asset]:
        """A page of the photos and videos with these bytes, by date."""
        listing = duplicates.listing(sha256, viewer)
        return await self._pager.page(listing, asked, assets.to_asset, identity=("copies", sha256))

    async def photo(self, asset_id: str, *, viewer: Viewer) -> Asset:
        """One photo, video or audio file. Raises NotFound, also for what is in quarantine."""
        asset = await assets.find(self._index, AssetId(parse_id(asset_id)))
        if asset is None or not asset.is_shown or not may_see(viewer, asset.original.root_id):
            raise NotFound("There is no photo with this id.")
        return asset

    async def file(self, asset_id: str, *, viewer: Viewer) -> Asset:
        """One file of the library, even one in quarantine. Raises NotFound."""
        asset = await assets.find(self._index, AssetId(parse_id(asset_id)))
        if asset is None or not may_see(viewer, asset.original.root_id):
            raise NotFound("There is no file with this id.")
        return asset

    async def live_part(self, asset_id: str, *, viewer: Viewer) -> Live:
        """The moving part of a live or motion photo. Raises NotFound."""
        live = (await self.photo(asset_id, viewer=viewer)).live
        if live is None:
            raise NotFound("This photo does not move.", reason="not_live")
        return live

    async def search(self, wanted: SearchRequest, asked: PageRequest, *, viewer: Viewer) -> Page[Asset]:
        """A page of what matches, by date. Raises InvalidInput, NotFound (album), Unavailable (too_slow)."""
        conditions = await self._conditions(wanted, viewer)
        if conditions is None:
            return Page(items=[], page=asked.page, limit=asked.limit, total=0, next_cursor=None)
        total: int | None = None
        if conditions.match is not None:
            match, count = await self._expansions.expand(conditions.match)
            total = count if conditions.is_only_words else None
            conditions = msgspec.structs.replace(conditions, match=match)
        identity = ("search", msgspec.structs.astuple(wanted))
        return await self._pager.page(
            search.listing(conditions), asked, assets.to_asset, identity=identity, total=total
        )

    async def _conditions(self, wanted: SearchRequest, viewer: Viewer) -> Conditions | None:
        """What the search comes down to; None when nothing can match."""
        filters = (wanted.date_from, wanted.date_to, wanted.album_id, wanted.kind)
        if not wanted.text.strip() and not any(filters):
            raise InvalidInput("Say what to look for: send q, or another filter.", reason="missing", parameter="q")
        query = parse_query(wanted.text)
        days = _days(wanted.date_from, wanted.date_to, query)
        tree = None if wanted.album_id is None else await self._tree(wanted.album_id, viewer)
        kinds = {kind.value for kind in query.kinds}
        if query.nothing or (wanted.kind is not None and kinds and wanted.kind not in kinds):
            return None
        only = wanted.kind or (next(iter(query.kinds)).value if len(kinds) == 1 else None)
        return Conditions(
            match=query.match,
            kind=only,
            kinds=frozenset() if only else frozenset(kinds),
            formats=query.formats,
            iso_min=query.iso_min,
            iso_max=query.iso_max,
            days=days,
            album=tree,
            viewer=viewer,
            is_only_photos=not await self._has_audio.get(None, lambda: assets.some_audio(self._index)),
        )

    async def _tree(self, album_id: str, viewer: Viewer) -> AlbumTree:
        album = await self._album(album_id, viewer)
        tree = AlbumTree(root_id=album.root_id, path=album.path, total_count=album.total_count)
        bounds = await search.key_bounds(self._index, tree) if tree.is_worth_bounding else None
        return msgspec.structs.replace(tree, key_bounds=bounds)

    async def suggest(self, text: str, *, limit: int, viewer: Viewer) -> list[str]:
        """At most `limit` words that complete the last one of `text`, the most frequent first."""
        prefix = normalise_prefix(text)
        match = parse_query(" ".join(tokens(text))).match
        if prefix is None or match is None:
            return []
        columns = await search.newest_words(self._index, match, viewer, SUGGEST_FROM)
        counts = Counter(word for words in columns for word in set(words.split()) if word.startswith(prefix))
        return sorted(counts, key=lambda word: (-counts[word], word))[:limit]

    async def timeline(self, *, viewer: Viewer) -> Timeline:
        """How many photos and videos each day and month has."""

        async def compute() -> Timeline:
            return await asyncio.to_thread(_to_timeline, await timeline.days(self._index, viewer))

        return await self._timelines.get(viewer, compute)

    async def map(self, box: Box, *, limit: int, viewer: Viewer) -> Map:
        """At most about `limit` positions in `box`; where there are more photos, near ones are put together."""

        async def compute() -> Map:
            total = await positions.count(self._index, box, viewer)
            if total <= limit:
                return Map(total, await positions.single(self._index, box, viewer, limit))
            return Map(total, await positions.together(self._index, box, viewer, _cell(box, limit)))

        return await self._maps.get((box, limit, viewer), compute)

    async def duplicates(self, asked: PageRequest, *, viewer: Viewer) -> Page[Copies]:
        """A page of groups of equal files."""

        async def compute() -> list[bytes]:
            return await duplicates.digests(self._index, viewer)

        digests = await self._duplicates.get(viewer, compute)
        page = cut(digests, bytes.hex, asked, identity="duplicates")
        groups: dict[bytes, list[Asset]] = {digest: [] for digest in page.items}
        for asset in await duplicates.copies(self._index, page.items, viewer):
            if asset.original.sha256 is not None:
                groups[asset.original.sha256].append(asset)
        return Page(
            items=[Copies(digest, found) for digest, found in groups.items()],
            page=page.page,
            limit=page.limit,
            total=page.total,
            next_cursor=page.next_cursor,
        )

    async def quarantine(self, asked: PageRequest, *, viewer: Viewer) -> Page[Quarantined]:
        """A page of the files that can't be decoded."""
        listing = quarantine.listing(viewer)
        return await self._pager.page(listing, asked, quarantine.to_quarantined, identity=("quarantine",))

    async def quarantine_count(self, *, viewer: Viewer) -> int:
        """How many files can't be decoded."""
        return await self._pager.total(quarantine.listing(viewer))

    async def root_totals(self, *, viewer: Viewer) -> dict[int, RootTotals]:
        """Counts by root id."""

        async def compute() -> dict[int, RootTotals]:
            found = await albums.totals(self._index, viewer)
            return {root_id: RootTotals(*totals) for root_id, totals in found.items()}

        return await self._facts.get(viewer, compute)

    async def photo_count(self, *, viewer: Viewer) -> int:
        """Photos and videos."""
        return sum(totals.photo_count for totals in (await self.root_totals(viewer=viewer)).values())

    async def album_count(self, *, viewer: Viewer) -> int:
        """Albums, nested ones included."""
        return await self._pager.total(albums.listing(sort="name", viewer=viewer))

    async def _album(self, album_id: str, viewer: Viewer) -> Album:
        album = await albums.find(self._index, AlbumId(parse_id(album_id)), viewer)
        if album is None:
            raise NotFound("There is no album with this id.")
        return album


def parse_id(text: str) -> str:
    """A UUID in its canonical lower-case form. Raises NotFound: what is no UUID is nobody's id."""
    try:
        parsed = str(uuid.UUID(text))
    except ValueError:
        parsed = ""
    if parsed != text.lower():
        raise NotFound("There is nothing with this id.")
    return parsed


def may_see(viewer: Viewer, root_id: int) -> bool:
    """Whether what lies in this root may be seen."""
    return viewer is None or root_id in viewer


def parse_day(name: str, text: str) -> date:
    """The day that `text` names: 2023-07-15, or the day of a timestamp as written. Raises InvalidInput."""
    try:
        if _DAY.match(text):
            return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text).date()
    except ValueError:
        pass
    raise InvalidInput(
        f"The parameter {name} must be a day such as 2023-07-15.",
        reason="invalid_parameter",
        parameter=name,
        value=text[:100],
    )


def _days(date_from: str | None, date_to: str | None, query: Query) -> tuple[int | None, int | None]:
    """The stretch of local days that parameters and query leave, since 1970-01-01."""
    first = [day for day in (query.date_from, date_from and parse_day("date_from", date_from)) if day]
    last = [day for day in (query.date_to, date_to and parse_day("date_to", date_to)) if day]
    return (
        max(first).toordinal() - _EPOCH_DAY if first else None,
        min(last).toordinal() - _EPOCH_DAY if last else None,
    )


def _to_timeline(days: list[tuple[int, int]]) -> Timeline:
    named = [(_day_text(day), count) for day, count in days]
    months: Counter[str] = Counter()
    for text, count in named:
        months[text[:7]] += count
    return Timeline(named, list(months.items()))


def _day_text(day: int) -> str:
    ordinal = min(max(day + _EPOCH_DAY, date.min.toordinal()), date.max.toordinal())
    return date.fromordinal(ordinal).isoformat()


def _cell(box: Box, limit: int) -> tuple[float, float]:
    """The sides of about `limit` cells that fill the box: degrees of latitude and longitude."""
    per_side = max(int(limit**0.5), 1)
    width = (box.east - box.west) % 360 or 360.0
    return max((box.north - box.south) / per_side, 1e-9), max(width / per_side, 1e-9)
