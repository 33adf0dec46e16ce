"""TIFF, and the RAW formats built on it or around it: sizes as shown, and where their Exif lies."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress

from pixlsrve.index.metadata import text
from pixlsrve.index.metadata.bmff import Box, boxes
from pixlsrve.index.metadata.dates import SECOND_US, Moment
from pixlsrve.index.metadata.exif import IMAGE_TAGS, read_exif_at, read_image_directory
from pixlsrve.index.metadata.findings import Findings
from pixlsrve.index.metadata.jpeg import read_jpeg
from pixlsrve.index.metadata.source import Damaged, Source
from pixlsrve.index.metadata.tiff import Tiff, Value, first_int
from pixlsrve.model import TakenSource

_WIDTH, _HEIGHT, _BITS, _SUBFILE, _SAMPLES, _SUB_IFDS = 0x0100, 0x0101, 0x0102, 0x00FE, 0x0115, 0x014A
_SIZE_TAGS = frozenset({_WIDTH, _HEIGHT, _BITS, _SUBFILE, _SAMPLES, _SUB_IFDS})
_RW2_TAGS = frozenset({4, 5, 6, 7, 0x17, 0x2E})
_MAX_SUB_IFDS = 16
_CR3_UUID = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")


def read_tiff(source: Source, found: Findings) -> None:
    """Add what a TIFF, BigTIFF or TIFF-based RAW file says. Raises Damaged without any picture in it."""
    tiff = Tiff(source.read)
    image, _ = tiff.directory(tiff.first, IMAGE_TAGS | _SIZE_TAGS | _RW2_TAGS)
    _main_size(tiff, image, found)
    read_image_directory(tiff, image, found)
    if source.head.startswith(b"IIU\0"):
        _panasonic(image, found)
    if not found.width or not found.height:
        raise Damaged("the TIFF holds no picture")


def read_cr2(source: Source, found: Findings) -> None:
    """As read_tiff; the size is that of the full-size preview in the first directory, as ExifTool has it."""
    tiff = Tiff(source.read)
    image, _ = tiff.directory(tiff.first, IMAGE_TAGS | _SIZE_TAGS)
    found.width, found.height = first_int(image.get(_WIDTH)), first_int(image.get(_HEIGHT))
    read_image_directory(tiff, image, found)
    if not found.width or not found.height:
        raise Damaged("the RAW file has no size")


def _main_size(tiff: Tiff, image: dict[int, Value], found: Findings) -> None:
    """The size of the main picture: the largest directory that is no reduced copy (NewSubfileType bit 0)."""
    pointers = image.get(_SUB_IFDS, ())
    subs = () if isinstance(pointers, bytes) else pointers[:_MAX_SUB_IFDS]
    candidates = [image, *(tiff.directory(int(at), _SIZE_TAGS)[0] for at in subs)]
    full = [one for one in candidates if not (first_int(one.get(_SUBFILE)) or 0) & 1 and _pixels(one)] or candidates
    main = full[0] if not (first_int(image.get(_SUBFILE)) or 0) & 1 and _pixels(image) else max(full, key=_pixels)
    found.width, found.height = first_int(main.get(_WIDTH)), first_int(main.get(_HEIGHT))
    bits = first_int(main.get(_BITS))
    found.bit_depth = bits if bits and bits <= 64 else None


def _pixels(directory: dict[int, Value]) -> int:
    return (first_int(directory.get(_WIDTH)) or 0) * (first_int(directory.get(_HEIGHT)) or 0)


def _panasonic(image: dict[int, Value], found: Findings) -> None:
    """Size from the sensor's borders, sensitivity from a private tag (ExifTool, PanasonicRaw tags)."""
    top, left, bottom, right = (first_int(image.get(tag)) or 0 for tag in (4, 5, 6, 7))
    if right > left and bottom > top:
        found.width, found.height = right - left, bottom - top
    if found.iso is None:
        found.iso = first_int(image.get(0x17))
    preview = image.get(0x2E)
    if isinstance(preview, bytes):
        _read_preview_exif(preview, found)


def _read_preview_exif(preview: bytes, found: Findings) -> None:
    """Add the Exif of a preview that is in memory."""
    at = preview.find(b"Exif\0\0", 0, 4096)
    if at >= 0:
        with suppress(Damaged):
            read_exif_at(lambda offset, length: preview[at + 6 + offset : at + 6 + offset + length], found)


def read_raf(source: Source, found: Findings) -> None:
    """Add what a Fujifilm RAF says: a JPEG with all Exif, and the sensor's size in a directory of its own."""
    preview_at, _, directory_at, directory_bytes = struct.unpack_from(">IIII", source.read(84, 16).ljust(16, b"\0"))
    with suppress(Damaged):
        read_jpeg(source, found, preview_at)
    directory = source.read(directory_at, min(directory_bytes, 16384))
    count = int.from_bytes(directory[:4], "big")
    at = 4
    for _ in range(min(count, 256)):
        if at + 8 > len(directory):
            break
        tag, length = struct.unpack_from(">HH", directory, at)
        if tag == 0x0111:  # the cropped size, as ExifTool names it
            height, width = struct.unpack_from(">HH", directory, at + 4)
            if width and height:
                found.width, found.height = width, height
        at += 4 + length
    if not found.width or not found.height:
        raise Damaged("the RAW file has no size")


def read_cr3(source: Source, found: Findings) -> None:
    """Add what a Canon CR3 says: three TIFF blocks in a box of Canon's below `moov`."""
    moov = next((box for box in boxes(source, 0, source.size) if box.kind == b"moov"), None)
    for box in boxes(source, moov.start, moov.end) if moov else ():
        if box.kind == b"uuid" and source.read(box.start, 16) == _CR3_UUID:
            for block in boxes(source, box.start + 16, box.end):
                with suppress(Damaged):
                    _canon_block(source, block, found)
    if not found.width or not found.height:
        raise Damaged("the RAW file has no size")


def _canon_block(source: Source, block: Box, found: Findings) -> None:
    if block.kind not in {b"CMT1", b"CMT2", b"CMT4"}:
        return
    tiff = Tiff(_part(source, block.start, block.end - block.start))
    if block.kind == b"CMT1":
        image, _ = tiff.directory(tiff.first, IMAGE_TAGS | _SIZE_TAGS)
        found.width, found.height = first_int(image.get(_WIDTH)), first_int(image.get(_HEIGHT))
        read_image_directory(tiff, image, found)
    else:
        read_image_directory(tiff, {0x8769 if block.kind == b"CMT2" else 0x8825: (tiff.first,)}, found)


def _part(source: Source, start: int, size: int) -> Callable[[int, int], bytes]:
    def read(offset: int, length: int) -> bytes:
        return source.read(start + offset, min(length, size - offset)) if 0 <= offset < size else b""

    return read


def read_mrw(source: Source, found: Findings) -> None:
    """Add what a Minolta MRW says: blocks of a size and of a whole TIFF (ExifTool, MinoltaRaw tags)."""
    end = 8 + int.from_bytes(source.read(4, 4), "big")
    at = 8
    for _ in range(32):
        head = source.read(at, 8)
        if len(head) < 8 or at >= end:
            break
        length = int.from_bytes(head[4:], "big")
        if head[:4] == b"\0PRD":
            found.height, found.width = struct.unpack(">HH", source.read(at + 8 + 12, 4).ljust(4, b"\0"))
        elif head[:4] == b"\0TTW":
            read_exif_at(_part(source, at + 8, length), found)
        at += 8 + length
    if not found.width or not found.height:
        raise Damaged("the RAW file has no size")


def read_crw(source: Source, found: Findings) -> None:
    """Add what a Canon CRW says (CIFF 1.0: heaps with their directory at the end)."""
    start = int.from_bytes(source.read(2, 4), "little")
    _ciff_heap(source, start, source.size, found, depth=0)
    if not found.width or not found.height:
        raise Damaged("the RAW file has no size")


def _ciff_heap(source: Source, start: int, end: int, found: Findings, depth: int) -> None:
    tail = source.read(end - 4, 4)
    if depth > 4 or end - start < 6 or len(tail) < 4:
        return
    table = start + int.from_bytes(tail, "little")
    count = int.from_bytes(source.read(table, 2), "little")
    entries = source.read(table + 2, 10 * min(count, 512))
    for tag, length, offset in struct.iter_unpack("<HII", entries[: len(entries) // 10 * 10]):
        if tag & 0xC000:  # the value is in the directory itself
            continue
        begin, kind = start + offset, tag & 0x3800
        if kind in {0x2800, 0x3000} and start <= begin < begin + length <= end:
            _ciff_heap(source, begin, begin + length, found, depth + 1)
        else:
            _ciff_value(tag & 0x3FFF, source.read(begin, min(length, 512)), found)


def _ciff_value(tag: int, data: bytes, found: Findings) -> None:
    if tag == 0x080A:
        make, _, model = data.partition(b"\0")
        found.camera_make, found.camera = text.decode(make), text.decode(model)
    elif tag == 0x1810 and len(data) >= 16:
        found.width, found.height, _, turn = struct.unpack_from("<IIfi", data)
        found.orientation = {90: 6, 180: 3, 270: 8}.get(turn % 360, 1)
    elif tag == 0x180E and len(data) >= 4:
        # Seconds since 1970 of the camera's clock; it keeps no zone.
        found.date(TakenSource.CONTAINER, Moment(int.from_bytes(data[:4], "little") * SECOND_US))


def read_x3f(source: Source, found: Findings) -> None:
    """Add what a Sigma X3F says: the size in its header, and the Exif of a JPEG that newer ones hold (X3F 2.2)."""
    head = source.head
    if len(head) >= 40:
        found.width, found.height, turn = struct.unpack_from("<III", head, 28)
        found.orientation = {90: 6, 180: 3, 270: 8}.get(turn, 1)
    directory_at = int.from_bytes(source.read(source.size - 4, 4), "little")
    table = source.read(directory_at, 12 + 12 * 64)
    if table[:4] == b"SECd" and len(table) >= 12:
        count = min(int.from_bytes(table[8:12], "little"), 64)
        for offset, length, kind in struct.iter_unpack(
            "<II4s", table[12 : 12 + (len(table) - 12) // 12 * 12][: 12 * count]
        ):
            if kind == b"PROP":
                _x3f_properties(source.read(offset, min(length, 65536)), found)
            elif kind in {b"IMA2", b"IMAG"} and source.read(offset + 28, 2) == b"\xff\xd8":
                inside = Findings()
                with suppress(Damaged):
                    read_jpeg(source, inside, offset + 28)
                _merge(inside, found)
    if not found.width or not found.height:
        raise Damaged("the RAW file has no size")


def _x3f_properties(section: bytes, found: Findings) -> None:
    """A table of name and value positions, in UTF-16 units into the text behind it."""
    if section[:4] != b"SECp" or len(section) < 24:
        return
    count = min(int.from_bytes(section[8:12], "little"), 256)
    words = section[24 + 8 * count :]
    pairs = struct.iter_unpack("<II", section[24 : 24 + 8 * count][: (len(section) - 24) // 8 * 8])
    named = {text.decode_utf16(words[2 * key :]): text.decode_utf16(words[2 * value :]) for key, value in pairs}
    found.camera_make = found.camera_make or named.get("CAMMANUF")
    found.camera = found.camera or named.get("CAMMODEL")
    found.iso = found.iso or _whole(named.get("ISO"))
    found.f_number = found.f_number or text.number(named.get("APERTURE") or "")
    seconds = _whole(named.get("TIME"))
    if seconds:
        found.date(TakenSource.CONTAINER, Moment(seconds * SECOND_US))


def _whole(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdecimal() and len(value) < 11 else None


def _merge(inside: Findings, found: Findings) -> None:
    """Take from a preview what describes the photo and not the preview's own pixels."""
    for name in ("camera_make", "camera", "lens", "iso", "exposure_s", "f_number", "title", "caption"):
        if getattr(found, name) is None:
            setattr(found, name, getattr(inside, name))
    found.dates = inside.dates | found.dates
    found.place(inside.latitude, inside.longitude, inside.altitude_m)
