"""Thumbnails for readers: from memory where possible, made on the spot where nobody has made them yet."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, get_args

from pixlsrve.errors import InvalidInput, NotFound, Unavailable
from pixlsrve.media.assets import may_see, parse_id
from pixlsrve.media.version import LibraryVersion
from pixlsrve.model import AssetId
from pixlsrve.store import thumbnails as store
from pixlsrve.store.assets import Viewer
from pixlsrve.store.database import Database
from pixlsrve.store.thumbnails import Subject

Size = Literal["small", "medium", "large"]
SIDES_PX: dict[str, int] = {"small": 200, "medium": 400, "large": 800}
MEMORY_BYTES = 16 * 1024 * 1024
IDS_KEPT = 20_000
MAKING_LIMIT_S = 10.0
RETRY_AFTER_S = 5
_OVERHEAD_BYTES = 400
"""What one entry costs beside its bytes."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """JPEG bytes and their strong tag."""

    jpeg: bytes
    etag: str


class ThumbnailCache:
    """Finds thumbnails by asset. `make` reads one asset's content now and returns when its thumbnails are kept.

    The most used `memory_bytes` of JPEGs are held by content, which never changes; which content an asset has is
    remembered only until the library changes.
    """

    def __init__(
        self,
        index: Database,
        thumbnails: Database,
        version: LibraryVersion,
        make: Callable[[int], Awaitable[None]],
        *,
        memory_bytes: int = MEMORY_BYTES,
        making_limit_s: float = MAKING_LIMIT_S,
    ) -> None:
        self._index = index
        self._thumbnails = thumbnails
        self._version = version
        self._make = make
        self._memory_bytes = memory_bytes
        self._making_limit_s = making_limit_s
        self._held: OrderedDict[tuple[bytes, int], Thumbnail] = OrderedDict()
        self._held_bytes = 0
        self._contents: dict[str, tuple[int, bytes]] = {}
        self._contents_version = version.value

    async def get(self, asset_id: str, size: str, *, viewer: Viewer) -> Thumbnail:
        """The thumbnail that fits the box of this size.

        Raises NotFound (with a reason where the asset exists and no thumbnail can), Unavailable where making it takes
        too long or the root is offline.
        """
        side_px = SIDES_PX[size]
        thumbnail = self.held(asset_id, side_px, viewer=viewer)
        if thumbnail is None and (sha256 := self._content(asset_id, viewer)) is not None:
            thumbnail = await self._read(sha256, side_px)
        if thumbnail is not None:
            return thumbnail
        return await self._look_up(asset_id, side_px, viewer)

    def held(self, asset_id: str, side_px: int, *, viewer: Viewer) -> Thumbnail | None:
        """The thumbnail where it is in memory, and certainly still the right one."""
        sha256 = self._content(asset_id, viewer)
        if sha256 is None:
            return None
        key = (sha256, side_px)
        thumbnail = self._held.get(key)
        if thumbnail is not None:
            self._held.move_to_end(key)
        return thumbnail

    def _content(self, asset_id: str, viewer: Viewer) -> bytes | None:
        """Which content the asset has, where that is remembered and the viewer may see it."""
        if self._contents_version != self._version.value:
            return None
        known = self._contents.get(asset_id)
        return None if known is None or (viewer is not None and known[0] not in viewer) else known[1]

    async def _look_up(self, asset_id: str, side_px: int, viewer: Viewer) -> Thumbnail:
        """The way without memory: index, thumbnails database, and making it."""
        canonical = AssetId(parse_id(asset_id))
        version = self._version.value
        subject = await self._subject(canonical, viewer)
        thumbnail = await self._stored(asset_id, subject, side_px, version)
        if thumbnail is not None:
            return thumbnail
        await self._made(subject)
        version = self._version.value
        subject = await self._subject(canonical, viewer)
        thumbnail = await self._stored(asset_id, subject, side_px, version)
        if thumbnail is None:
            raise Unavailable("The file can't be read just now.", reason="not_made_yet", retry_after_s=RETRY_AFTER_S)
        return thumbnail

    async def _subject(self, asset_id: AssetId, viewer: Viewer) -> Subject:
        """The asset, checked to be one that has a thumbnail or may get one. Raises NotFound."""
        subject = await store.subject(self._index, asset_id)
        if subject is None or not may_see(viewer, subject.root_id):
            raise NotFound("There is no photo with this id.")
        if subject.refusal_reason is not None:
            raise NotFound("This file can't be decoded.", reason=subject.refusal_reason)
        if not subject.is_shown:
            raise NotFound("There is no photo with this id.")
        if subject.stage == 2 and not subject.has_thumbnail:
            raise NotFound("There is no picture of this file.", reason="no_picture")
        return subject

    async def _stored(self, asset_id: str, subject: Subject, side_px: int, version: int) -> Thumbnail | None:
        """The thumbnail from the database, remembered under the library's version of before the look-up."""
        if subject.sha256 is None:
            return None
        thumbnail = await self._read(subject.sha256, side_px)
        if thumbnail is None:
            return None
        if version == self._version.value:
            self._remember(asset_id, subject.root_id, subject.sha256)
        return thumbnail

    async def _read(self, sha256: bytes, side_px: int) -> Thumbnail | None:
        """The thumbnail of a content, from memory or from the database."""
        key = (sha256, side_px)
        thumbnail = self._held.get(key)
        if thumbnail is None:
            jpeg = await store.find(self._thumbnails, sha256, side_px)
            if jpeg is None:
                return None
            thumbnail = Thumbnail(jpeg, f"{sha256[:16].hex()}-{side_px}")
            self._hold(key, thumbnail)
        return thumbnail

    def _hold(self, key: tuple[bytes, int], thumbnail: Thumbnail) -> None:
        if key not in self._held:
            self._held_bytes += len(thumbnail.jpeg) + _OVERHEAD_BYTES
        self._held[key] = thumbnail
        while self._held_bytes > self._memory_bytes:
            _, dropped = self._held.popitem(last=False)
            self._held_bytes -= len(dropped.jpeg) + _OVERHEAD_BYTES

    def _remember(self, asset_id: str, root_id: int, sha256: bytes) -> None:
        if self._contents_version != self._version.value:
            self._contents.clear()
            self._contents_version = self._version.value
        self._contents[asset_id] = (root_id, sha256)
        if len(self._contents) > IDS_KEPT:
            del self._contents[next(iter(self._contents))]

    async def _made(self, subject: Subject) -> None:
        """Have the asset's content read now. Raises Unavailable when it can't be, or when that takes too long."""
        if subject.is_offline:
            raise Unavailable("The disk that holds this file is not there just now.", reason="offline")
        try:
            async with asyncio.timeout(self._making_limit_s):
                await self._make(subject.pk)
        except TimeoutError as error:
            raise Unavailable(
                "The thumbnail is still being made.", reason="not_made_yet", retry_after_s=RETRY_AFTER_S
            ) from error


def parse_size(size: str | None, version: str) -> Size:
    """The size asked for, `medium` by default.

    Where a client appended `?size=S` to a `thumbnail_url`, it stands in the URL's `v`. Raises InvalidInput.
    """
    _, _, appended = version.partition("?size=")
    asked = size or appended or "medium"
    for known in get_args(Size):
        if asked == known:
            return known  # type: ignore[no-any-return]  # get_args knows no types
    raise InvalidInput(
        f"The parameter size must be one of {', '.join(SIDES_PX)}.",
        reason="invalid_parameter",
        parameter="size",
        value=asked[:100],
    )
