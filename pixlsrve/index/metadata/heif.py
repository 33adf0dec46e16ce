"""HEIF and AVIF stills: the primary item's size and the Exif and XMP items (ISO 23008-12, ISO 14496-12 §8.11).

libheif would read the whole file to say the same. The container's own crop, rotation and mirroring decide how the
picture is shown; the Exif orientation is ignored, as every HEIF reader does.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from pixlsrve.index.metadata.bmff import Box, boxes, content
from pixlsrve.index.metadata.exif import read_exif
from pixlsrve.index.metadata.findings import Findings
from pixlsrve.index.metadata.motion import read_motion_items, read_samsung_trailer
from pixlsrve.index.metadata.quicktime import read_first_track_size
from pixlsrve.index.metadata.source import Damaged, Source
from pixlsrve.index.metadata.xmp import read_xmp

_MAX_TABLE_BYTES = 2 * 1024 * 1024
_MAX_ITEM_BYTES = 1024 * 1024
_MAX_ITEMS = 4096
_MAX_PIECES = 16384
_MAX_BLOCKS = 8


@dataclass(slots=True)
class _Meta:
    """What the `meta` box says about the items."""

    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    extents: dict[int, tuple[int, list[tuple[int, int]]]] = field(default_factory=dict)
    """Construction method (0: file offsets, 1: inside `idat`) and (offset, length) pairs by item."""
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    used: dict[int, list[int]] = field(default_factory=dict)
    """One-based indexes into `properties`, in the order of their application, by item."""
    data_at: int = 0


def read_heif(source: Source, found: Findings) -> None:
    """Add what a HEIF or AVIF file says. Raises Damaged when its picture has no size."""
    meta: _Meta | None = None
    moov: Box | None = None
    for box in boxes(source, 0, source.size):
        if box.kind == b"meta" and meta is None:
            with suppress(struct.error):
                meta = _read_meta(source, box)
        elif box.kind == b"moov" and moov is None:
            moov = box
        elif box.kind == b"mpvd":
            found.motion_offset, found.motion_size_bytes = box.start, box.end - box.start
    if meta is not None:
        _read_items(source, meta, found)
        _apply_properties(meta, found)
    elif moov is not None:
        read_first_track_size(source, moov, found)
    found.orientation = 1
    if not found.width or not found.height:
        raise Damaged("the picture has no size")
    if found.motion_offset is None and (found.camera_make or "").lower() == "samsung":
        read_samsung_trailer(source, found)


def _read_meta(source: Source, meta: Box) -> _Meta:
    parsed = _Meta()
    for box in boxes(source, meta.start + 4, meta.end):
        if box.kind == b"idat":
            parsed.data_at = box.start
        elif box.kind == b"iprp":
            _read_properties(source, box, parsed)
        elif box.kind in {b"pitm", b"iinf", b"iloc"}:
            data = content(source, box, _MAX_TABLE_BYTES)
            with suppress(struct.error, IndexError):
                {b"pitm": _read_primary, b"iinf": _read_kinds, b"iloc": _read_locations}[box.kind](data, parsed)
    return parsed


def _read_primary(data: bytes, meta: _Meta) -> None:
    meta.primary = int(struct.unpack_from(">I" if data[0] else ">H", data, 4)[0])


def _read_kinds(data: bytes, meta: _Meta) -> None:
    at = 8 if data[0] else 6
    for _ in range(_MAX_ITEMS):
        if at + 8 > len(data):
            return
        length = int.from_bytes(data[at : at + 4], "big")
        if length < 8:
            return
        version = data[at + 8]
        if version >= 2:
            wide = version > 2
            (item,) = struct.unpack_from(">I" if wide else ">H", data, at + 12)
            kind_at = at + (18 if wide else 16)
            meta.kinds[item] = data[kind_at : kind_at + 4]
            if data[kind_at : kind_at + 4] == b"mime" and b"rdf+xml" not in data[kind_at : at + length]:
                meta.kinds[item] = b"else"
        at += length


def _read_locations(data: bytes, meta: _Meta) -> None:
    version = data[0]
    offset_bytes, length_bytes, base_bytes, index_bytes = data[4] >> 4, data[4] & 15, data[5] >> 4, data[5] & 15
    at = 6
    wide = version >= 2
    count = int.from_bytes(data[at : at + (4 if wide else 2)], "big")
    at += 4 if wide else 2

    def take(length: int) -> int:
        nonlocal at
        at += length
        return int.from_bytes(data[at - length : at], "big")

    left = _MAX_PIECES
    for _ in range(min(count, _MAX_ITEMS)):
        if at >= len(data) or not left:
            return
        item = take(4 if wide else 2)
        method = take(2) & 15 if version else 0
        take(2)
        base = take(base_bytes)
        pieces = []
        for _ in range(take(2)):
            # Pieces may be declared as no bytes wide, so that the end of the table stops nothing.
            if at >= len(data) or not left:
                return
            left -= 1
            take(index_bytes if version else 0)
            pieces.append((base + take(offset_bytes), take(length_bytes)))
        meta.extents[item] = (method, pieces)


def _read_properties(source: Source, parent: Box, meta: _Meta) -> None:
    for box in boxes(source, parent.start, parent.end):
        if box.kind == b"ipco":
            for one in boxes(source, box.start, box.end):
                meta.properties.append((one.kind, content(source, one, 64)))
        elif box.kind == b"ipma":
            with suppress(struct.error, IndexError):
                _read_associations(content(source, box, _MAX_TABLE_BYTES), meta)


def _read_associations(data: bytes, meta: _Meta) -> None:
    wide_items, wide_indexes = data[0] >= 1, bool(data[3] & 1)
    (count,) = struct.unpack_from(">I", data, 4)
    at = 8
    for _ in range(min(count, _MAX_ITEMS)):
        (item,) = struct.unpack_from(">I" if wide_items else ">H", data, at)
        at += 4 if wide_items else 2
        number = data[at]
        at += 1
        if wide_indexes:
            indexes: Sequence[int] = [index & 0x7FFF for index in struct.unpack_from(f">{number}H", data, at)]
        else:
            indexes = [index & 0x7F for index in data[at : at + number]]
        at += number * (2 if wide_indexes else 1)
        meta.used.setdefault(item, []).extend(indexes)


def _read_items(source: Source, meta: _Meta, found: Findings) -> None:
    blocks = [(item, kind) for item, kind in meta.kinds.items() if kind in {b"Exif", b"mime"}]
    for item, kind in blocks[:_MAX_BLOCKS]:
        if kind == b"Exif":
            block = _item(source, meta, item)
            # The item begins with the distance to the TIFF header (ISO 23008-12 annex A.2.1).
            skip = 4 + int.from_bytes(block[:4], "big")
            with suppress(Damaged):
                read_exif(block[skip:], found)
        else:
            with suppress(Damaged):
                read_motion_items(read_xmp(_item(source, meta, item), found), source, found)


def _item(source: Source, meta: _Meta, item: int) -> bytes:
    method, pieces = meta.extents.get(item, (0, []))
    start = meta.data_at if method == 1 else 0
    if method > 1 or sum(length for _, length in pieces) > _MAX_ITEM_BYTES:
        return b""
    return b"".join(
        source.read(start + offset, min(length or _MAX_ITEM_BYTES, _MAX_ITEM_BYTES)) for offset, length in pieces[:64]
    )


def _apply_properties(meta: _Meta, found: Findings) -> None:
    """Follow the primary item's properties in their order: size, crop, rotation; mirroring changes no size."""
    for index in meta.used.get(meta.primary, ()):
        if not 1 <= index <= len(meta.properties):
            continue
        kind, data = meta.properties[index - 1]
        if kind == b"ispe" and len(data) >= 12:
            found.width, found.height = struct.unpack_from(">II", data, 4)
        elif kind == b"clap" and len(data) >= 16:
            _crop(struct.unpack_from(">IIII", data), found)
        elif kind == b"irot" and data and data[0] & 1:
            found.width, found.height = found.height, found.width
        elif kind == b"pixi" and len(data) >= 6:
            found.bit_depth, found.color_components = data[5], data[4]


def _crop(fractions: tuple[int, ...], found: Findings) -> None:
    over_width, under_width, over_height, under_height = fractions
    if not under_width or not under_height or not found.width or not found.height:
        return
    width, height = round(over_width / under_width), round(over_height / under_height)
    if 0 < width <= found.width and 0 < height <= found.height:
        found.width, found.height = width, height
