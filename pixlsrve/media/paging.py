"""Pages of ordered lists: opaque cursors, and page numbers that cost the same wherever they point."""

from __future__ import annotations

import base64
import binascii
import hashlib
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from pixlsrve.errors import InvalidInput
from pixlsrve.media.version import LibraryVersion, VersionedCache
from pixlsrve.model import Integer
from pixlsrve.store import listing as store
from pixlsrve.store.database import Database, Row
from pixlsrve.store.listing import Key, Listing

ANCHOR_STEP = 1_000
NEAR = 2 * ANCHOR_STEP
"""So many rows are stepped over in the index without further ado."""
TOTALS_KEPT = 512
ANCHORS_KEPT = 16
_CHECK_BYTES = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """Which page: by number from 1, or what follows `cursor` (then the number is ignored)."""

    page: int
    limit: int
    cursor: str | None = None
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page and where it stands in the whole. `next_cursor` is None at the end."""

    items: list[T]
    page: int
    limit: int
    total: int
    next_cursor: str | None

    @property
    def total_pages(self) -> int:
        """How many pages there are; none of nothing."""
        return -(-self.total // self.limit)


class _Cursor(msgspec.Struct, array_like=True, frozen=True):
    """What a cursor says: the list it belongs to, the page that it leads to, the key it goes on after."""

    check: bytes
    page: Integer
    key: tuple[Integer | str, ...]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Cursor).decode


class Pager:
    """Reads pages. Totals and, for the middle of long lists, the keys of every 1,000th row are remembered."""

    def __init__(self, database: Database, version: LibraryVersion) -> None:
        self._database = database
        self._totals: VersionedCache[int] = VersionedCache(version, TOTALS_KEPT)
        self._anchors: VersionedCache[list[Key]] = VersionedCache(version, ANCHORS_KEPT)

    async def page(
        self,
        listing: Listing,
        asked: PageRequest,
        make: Callable[[Row], T],
        *,
        identity: tuple[object, ...],
        total: int | None = None,
    ) -> Page[T]:
        """The page of `listing` that `asked` means. `total` is the number of all rows where it is known already.

        `identity` is what the caller asked for, by which a cursor is tied to its list; it stays the same while the
        library, the caller's rights and the way of reading change.

        Raises InvalidInput naming the cursor when it is damaged or belongs to another list or order.
        """
        check = _digest(identity, asked.descending)
        if asked.cursor is not None:
            cursor = _parse_cursor(asked.cursor, check, len(listing.key))
            found = await store.rows(
                self._database, listing, descending=asked.descending, limit=asked.limit + 1, after=cursor.key
            )
            number = cursor.page
        else:
            number = asked.page
            found, total = await self._numbered(listing, asked, total)
        if total is None:
            total = await self.total(listing)
        has_more = len(found) > asked.limit
        found = found[: asked.limit]
        return Page(
            items=[make(row) for _, row in found],
            page=number,
            limit=asked.limit,
            total=total,
            next_cursor=_format_cursor(_Cursor(check, number + 1, found[-1][0])) if has_more else None,
        )

    async def total(self, listing: Listing) -> int:
        """How many rows there are, in whatever order."""
        key = (listing.source, listing.where, listing.parameters)
        return await self._totals.get(key, lambda: store.count(self._database, listing))

    async def _numbered(
        self, listing: Listing, asked: PageRequest, total: int | None
    ) -> tuple[list[tuple[Key, Row]], int | None]:
        """The rows of a page by number and one more where there is one; the total where it came to light."""
        offset, wanted = (asked.page - 1) * asked.limit, asked.limit + 1
        if offset <= NEAR:
            found = await store.rows(self._database, listing, descending=asked.descending, limit=wanted, skip=offset)
            if total is None and 0 < len(found) <= asked.limit:
                return found, offset + len(found)
            return found, 0 if not found and offset == 0 else total
        if total is None:
            total = await self.total(listing)
        wanted = min(wanted, total - offset)
        if wanted <= 0:
            return [], total
        beyond = total - offset - wanted
        if beyond <= NEAR:
            found = await store.rows(
                self._database, listing, descending=not asked.descending, limit=wanted, skip=beyond
            )
            return found[::-1], total
        return await self._middle(listing, asked, total, offset, wanted), total

    async def _middle(
        self, listing: Listing, asked: PageRequest, total: int, offset: int, wanted: int
    ) -> list[tuple[Key, Row]]:
        """Rows far from both ends, found from the nearest remembered place before them."""
        anchors = await self._anchors.get(
            listing.identity, lambda: store.every_nth_key(self._database, listing, ANCHOR_STEP)
        )
        first = total - offset - wanted if asked.descending else offset
        number = min(first // ANCHOR_STEP, len(anchors) - 1)
        found = await store.rows(
            self._database,
            listing,
            descending=False,
            limit=wanted,
            after=anchors[number] if number >= 0 else None,
            including=True,
            skip=first - max(number, 0) * ANCHOR_STEP,
        )
        return found[::-1] if asked.descending else found


def cut(items: list[T], key: Callable[[T], str], asked: PageRequest, *, identity: object) -> Page[T]:
    """The page of a list that is whole in memory, ascending by `key`. Raises InvalidInput for a wrong cursor."""
    check = _digest(identity, False)
    start, number = (asked.page - 1) * asked.limit, asked.page
    if asked.cursor is not None:
        cursor = _parse_cursor(asked.cursor, check, 1)
        start, number = bisect_right(items, str(cursor.key[0]), key=key), cursor.page
    part = items[start : start + asked.limit]
    has_more = start + asked.limit < len(items)
    return Page(
        items=part,
        page=number,
        limit=asked.limit,
        total=len(items),
        next_cursor=_format_cursor(_Cursor(check, number + 1, (key(part[-1]),))) if has_more else None,
    )


def _digest(identity: object, descending: bool) -> bytes:
    return hashlib.blake2b(repr((identity, descending)).encode(), digest_size=_CHECK_BYTES).digest()


def _format_cursor(cursor: _Cursor) -> str:
    packed = _encode(cursor)
    return base64.urlsafe_b64encode(packed + _sum(packed)).rstrip(b"=").decode()


def _parse_cursor(text: str, check: bytes, arity: int) -> _Cursor:
    """Raises InvalidInput."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        packed, checksum = raw[:-4], raw[-4:]
        if _sum(packed) != checksum:
            raise ValueError("the checksum is wrong")
        cursor = _decode(packed)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise InvalidInput("The cursor is damaged.", reason="invalid_parameter", parameter="cursor") from error
    if cursor.check != check or len(cursor.key) != arity:
        raise InvalidInput(
            "The cursor belongs to another list: keep the filters, the sort and the order that it came with.",
            reason="invalid_parameter",
            parameter="cursor",
        )
    return cursor


def _sum(packed: bytes) -> bytes:
    return hashlib.blake2b(packed, digest_size=4).digest()
