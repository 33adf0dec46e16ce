"""The library by content, as the content-addressed door has it (specs/media-server.md, DESIGN section 5).

Files are pictures and films by their extension there, whether they can be decoded or not. Equal files are one entry,
that of the first path.
"""

from __future__ import annotations

import asyncio
import os
import re
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from pixlsrve.errors import InvalidInput, NotFound, Unavailable
from pixlsrve.media import png_thumbnails
from pixlsrve.media.conversions import is_as_indexed
from pixlsrve.media.originals import display_name
from pixlsrve.media.png_thumbnails import PngThumbnails
from pixlsrve.media.roots import Roots
from pixlsrve.model import Facts, Kind, TakenSource
from pixlsrve.store import contents as rows
from pixlsrve.store import uploads
from pixlsrve.store.assets import Original, Viewer
from pixlsrve.store.contents import ContentRow
from pixlsrve.store.database import Database
from pixlsrve.store.uploads import Record

ROWS_AT_ONCE = 500
COPIES_TRIED = 20
"""Equal files that are looked at for one that is still there."""
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
_TOLD_BY_FILE = frozenset(TakenSource) - {TakenSource.FILE_NAME, TakenSource.MODIFY_DATE}
"""Sources of a creation date that lie in the file and are about its picture."""
_decode_facts = msgspec.msgpack.Decoder(Facts).decode


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One content. Times are seconds since the epoch; `original_filename` is what its uploader called it."""

    filename: str
    original_filename: str
    last_modified: float
    file_path: str
    original_creation_date: float
    thumbnail_file: str | None


class Contents:
    """Finds files by what is in them. `is_media` says of a file's name whether it is a picture's or a film's."""

    def __init__(
        self,
        index: Database,
        state: Database,
        roots: Roots,
        thumbnails: PngThumbnails,
        is_media: Callable[[bytes], bool],
    ) -> None:
        self._index = index
        self._state = state
        self._roots = roots
        self._thumbnails = thumbnails
        self._is_media = is_media

    async def entries(self, *, viewer: Viewer) -> AsyncIterator[list[tuple[str, Entry]]]:
        """All contents in the order of their SHA-256 (hex), some hundred at a time, whatever the library's size."""
        sha256, pk, first = b"", 0, None
        while found := await rows.after(self._index, sha256, pk, viewer, ROWS_AT_ONCE):
            sha256, pk = found[-1].sha256, found[-1].pk
            whole: list[ContentRow] = []
            for row in filter(self._is_listed, found):
                if first is not None and first.sha256 == row.sha256:
                    first = min(first, row, key=_place)
                    continue
                if first is not None:
                    whole.append(first)
                first = row
            yield await asyncio.to_thread(self._to_entries, whole, await self._uploaded(whole))
        if first is not None:
            yield await asyncio.to_thread(self._to_entries, [first], await self._uploaded([first]))

    async def thumbnail(self, text: str, *, viewer: Viewer) -> bytes:
        """The PNG of the picture whose SHA-256 is `text`. Raises InvalidInput, NotFound, Unavailable."""
        for row in await self._copies(parse_sha256(text), viewer):
            if row.is_shown and row.kind == Kind.PHOTO.value:
                return await self._thumbnails.get(str(uuid.UUID(bytes=row.uuid)), row.sha256, viewer=viewer)
        raise NotFound("There is no thumbnail of this file.", reason="no_picture")

    async def open(self, text: str, *, viewer: Viewer) -> tuple[int, Original]:
        """A read-only descriptor, the caller's to close, of a file whose SHA-256 is `text`, and what is known of it.

        Raises InvalidInput, NotFound where no file has these bytes any more, Unavailable where its disk is not there.
        """
        offline: Unavailable | None = None
        for row in await self._copies(parse_sha256(text), viewer):
            original = _original(row)
            try:
                fd = await self._roots.open_original(row.root_id, row.path)
            except NotFound:
                continue
            except Unavailable as error:
                offline = offline or error
                continue
            if is_as_indexed(fd, original):
                return fd, original
            os.close(fd)
        raise offline or NotFound("No file has this content any more.", reason="gone")

    async def _copies(self, sha256: bytes, viewer: Viewer) -> list[ContentRow]:
        """The files with this content, by path. Raises NotFound when there is none."""
        found = await rows.with_sha256(self._index, sha256, viewer, COPIES_TRIED)
        listed = [row for row in found if self._is_listed(row)]
        if not listed:
            raise NotFound("There is no file with this SHA-256.")
        return listed

    def _is_listed(self, row: ContentRow) -> bool:
        return self._is_media(row.name)

    async def _uploaded(self, found: Sequence[ContentRow]) -> dict[bytes, Record]:
        """What is recorded of those that are uploads, by path."""
        root = next(root for root in self._roots if root.is_uploads)
        paths = [row.path for row in found if row.root_id == root.id]
        return await uploads.recorded(self._state, root.id, paths) if paths else {}

    def _to_entries(self, found: Sequence[ContentRow], uploaded: Mapping[bytes, Record]) -> list[tuple[str, Entry]]:
        return [(row.sha256.hex(), self._to_entry(row, uploaded.get(row.path))) for row in found]

    def _to_entry(self, row: ContentRow, record: Record | None) -> Entry:
        """Blocks: a file that has no date of its own is asked for its change time, as the specification says."""
        name = display_name(row.name)
        path = self._roots.get(row.root_id).path
        has_thumbnail = row.has_thumbnail and row.is_shown and row.kind == Kind.PHOTO.value
        taken_us = _taken_us(row)
        is_recorded = record is not None and (record.root_id, record.sha256) == (row.root_id, row.sha256)
        return Entry(
            filename=name,
            original_filename=record.name if record is not None and is_recorded else name,
            last_modified=row.mtime_ns / 1e9,
            file_path=display_name(os.fsencode(path) + b"/" + row.path),
            original_creation_date=_changed_s(path, row) if taken_us is None else taken_us / 1e6,
            thumbnail_file=png_thumbnails.file_name(row.sha256) if has_thumbnail else None,
        )


def parse_sha256(text: str) -> bytes:
    """The hash in 64 hexadecimal digits of either case. Raises InvalidInput."""
    if not _SHA256.fullmatch(text):
        raise InvalidInput("A SHA-256 has 64 hexadecimal digits.", reason="invalid_sha256")
    return bytes.fromhex(text)


def _place(row: ContentRow) -> tuple[int, bytes, bytes]:
    """What decides which of equal files is the first; the order of `rows.with_sha256`."""
    return row.root_id, row.folder_path, row.name


def _taken_us(row: ContentRow) -> int | None:
    """When a photo was taken, as far as it says so itself; microseconds since the epoch."""
    if row.facts is None or row.kind != Kind.PHOTO.value:
        return None
    facts = _decode_facts(row.facts)
    return facts.taken_us if facts.taken_source in _TOLD_BY_FILE else None


def _changed_s(root: Path, row: ContentRow) -> float:
    """The file's ctime, else its modification time."""
    try:
        return os.lstat(os.fsencode(root) + b"/" + row.path).st_ctime
    except OSError:
        return row.mtime_ns / 1e9


def _original(row: ContentRow) -> Original:
    facts = None if row.facts is None else _decode_facts(row.facts)
    return Original(
        root_id=row.root_id,
        path=row.path,
        size_bytes=row.size_bytes,
        mtime_ns=row.mtime_ns,
        inode=row.inode,
        format=None if facts is None else facts.format,
        mime=None if facts is None else facts.mime,
        sha256=row.sha256,
    )
