"""Exif: what a still says about its camera, its moment and its place (Exif 2.32 = CIPA DC-008-2019)."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from contextlib import suppress

from pixlsrve.index.metadata import text
from pixlsrve.index.metadata.dates import SECOND_US, Moment, parse_exif, parse_offset
from pixlsrve.index.metadata.findings import MAX_ISO, Findings
from pixlsrve.index.metadata.iptc import read_iptc, read_photoshop
from pixlsrve.index.metadata.source import Damaged
from pixlsrve.index.metadata.tiff import Read, Tiff, Value, first_int, first_number
from pixlsrve.index.metadata.xmp import read_xmp
from pixlsrve.model import TakenSource

IMAGE_TAGS = frozenset(
    {
        *(0x010E, 0x010F, 0x0110, 0x0112, 0x0132),
        *(0x8769, 0x8825, 0x02BC, 0x83BB, 0x8649),
        *(0x9C9B, 0x9C9E, 0x9003, 0xC614),
    }
)
_PHOTO_TAGS = frozenset(
    {
        *(0x829A, 0x829D, 0x8827, 0x8831, 0x8832, 0x9003, 0x9004, 0x9010, 0x9011, 0x9012),
        *(0x927C, 0x9290, 0x9291, 0x9292, 0xA434),
    }
)
_GPS_TAGS = frozenset({1, 2, 3, 4, 5, 6, 7, 29})
_Tags = Mapping[int, Value]

_APPLE = b"Apple iOS\0"


def read_exif(block: bytes, found: Findings) -> None:
    """Add what an Exif block (a TIFF structure, with or without `Exif\\0\\0` before it) says. Raises Damaged."""
    if block[:4] == b"Exif":
        block = block[6:]
    read_exif_at(lambda offset, length: block[offset : offset + length] if offset >= 0 else b"", found)


def read_exif_at(read: Read, found: Findings) -> None:
    """As read_exif, from a TIFF structure that is not in memory. Raises Damaged."""
    try:
        tiff = Tiff(read)
        image, _ = tiff.directory(tiff.first, IMAGE_TAGS)
        read_image_directory(tiff, image, found)
    except (struct.error, ValueError, IndexError, OverflowError) as error:
        raise Damaged("the Exif block is damaged") from error


def read_image_directory(tiff: Tiff, image: _Tags, found: Findings) -> None:
    """Add what a main image directory (its IMAGE_TAGS) and the directories it points at say."""
    photo_at, gps_at = first_int(image.get(0x8769)), first_int(image.get(0x8825))
    photo = tiff.directory(photo_at, _PHOTO_TAGS)[0] if photo_at else {}
    gps = tiff.directory(gps_at, _GPS_TAGS)[0] if gps_at else {}
    add_image(image, found)
    add_photo(image, photo, found)
    add_gps(gps, found)
    _add_embedded(image, found)


def add_image(image: _Tags, found: Findings) -> None:
    """Add camera, orientation, texts and modification date of a main directory."""
    found.camera_make = found.camera_make or _string(image.get(0x010F))
    found.camera = found.camera or _string(image.get(0x0110))
    if found.orientation == 1:
        orientation = first_int(image.get(0x0112))
        found.orientation = orientation if orientation is not None and 1 <= orientation <= 8 else 1
    found.title = found.title or _utf16(image.get(0x9C9B))
    found.caption = found.caption or _string(image.get(0x010E), text.LONG)
    words = _utf16(image.get(0x9C9E), text.LONG)
    if words and not found.keywords:
        found.keywords = text.keywords(words.split(";"))


def add_photo(image: _Tags, photo: _Tags, found: Findings) -> None:
    """Add exposure, lens and dates of the Exif directory that belongs to the main directory `image`."""
    found.lens = found.lens or _string(photo.get(0xA434))
    if found.iso is None:
        found.iso = _iso(photo)
    if found.exposure_s is None:
        found.exposure_s = _positive(photo.get(0x829A), 10_000_000)
    if found.f_number is None:
        found.f_number = _positive(photo.get(0x829D), 10_000)
    _add_dates(image, photo, found)
    note = photo.get(0x927C)
    if isinstance(note, bytes) and note.startswith(_APPLE):
        found.content_identifier = found.content_identifier or _apple_identifier(note)


def add_gps(gps: _Tags, found: Findings) -> None:
    """Add the position and the GPS time of a GPS directory."""
    latitude, longitude = _degrees(gps.get(2), gps.get(1), b"S"), _degrees(gps.get(4), gps.get(3), b"W")
    altitude_m = first_number(gps.get(6))
    below = gps.get(5)
    # 1 is below sea level, 3 below the ellipsoid (Exif 3.0 §4.6.7).
    if altitude_m is not None and below and below[0] in {1, 3}:
        altitude_m = -altitude_m
    found.place(latitude, longitude, altitude_m)
    found.date(TakenSource.GPS, _gps_time(gps.get(29), gps.get(7)))


def _add_embedded(image: _Tags, found: Findings) -> None:
    """Add the XMP, IPTC and Photoshop blocks that TIFF files keep in tags."""
    for tag, reader in ((0x02BC, read_xmp), (0x83BB, read_iptc), (0x8649, read_photoshop)):
        value = image.get(tag)
        if isinstance(value, bytes):
            with suppress(Damaged):
                reader(value, found)


def _add_dates(image: _Tags, photo: _Tags, found: Findings) -> None:
    rows = (
        (TakenSource.DATE_TIME_ORIGINAL, photo.get(0x9003) or image.get(0x9003), 0x9291, 0x9011),
        (TakenSource.CREATE_DATE, photo.get(0x9004), 0x9292, 0x9012),
        (TakenSource.MODIFY_DATE, image.get(0x0132), 0x9290, 0x9010),
    )
    # Some writers give one offset for all three times: it holds for those that show the same second.
    stated: dict[int, int] = {}
    times: list[tuple[TakenSource, int, int | None]] = []
    for source, value, sub_tag, offset_tag in rows:
        sub = photo.get(sub_tag)
        if not isinstance(value, bytes):
            continue
        time_us = parse_exif(value, sub if isinstance(sub, bytes) else b"")
        if time_us is None:
            continue
        raw = photo.get(offset_tag)
        offset_s = parse_offset(raw[:16].rstrip(b"\0 ").decode("latin-1")) if isinstance(raw, bytes) else None
        times.append((source, time_us, offset_s))
        if offset_s is not None:
            stated.setdefault(time_us // SECOND_US, offset_s)
    for source, time_us, offset_s in times:
        offset_s = stated.get(time_us // SECOND_US) if offset_s is None else offset_s
        found.date(source, Moment(time_us, offset_s))


def _iso(photo: _Tags) -> int | None:
    """PhotographicSensitivity, or what stands in for it when it overflows its 16 bits (Exif 2.32 annex G)."""
    iso = first_int(photo.get(0x8827))
    if iso is None or iso == 65535:
        iso = first_int(photo.get(0x8832)) or first_int(photo.get(0x8831)) or iso
    return iso if iso is not None and 0 <= iso <= MAX_ISO else None


def _positive(value: Value | None, limit: float) -> float | None:
    number = first_number(value)
    return number if number is not None and 1e-9 < number < limit else None


def _degrees(value: Value | None, reference: Value | None, negative: bytes) -> float | None:
    if not value or isinstance(value, bytes) or not math.isfinite(value[0]):
        return None
    degrees: float = sum(part / 60**power for power, part in enumerate(value[:3]) if math.isfinite(part))
    is_negative = isinstance(reference, bytes) and reference[:1].upper() == negative
    return -degrees if is_negative else degrees


def _gps_time(day: Value | None, time: Value | None) -> Moment | None:
    """GPSDateStamp and GPSTimeStamp as UTC; without a date there is no instant."""
    if not isinstance(day, bytes) or not time or isinstance(time, bytes) or len(time) < 3:
        return None
    midnight_us = parse_exif(day[:10])
    seconds = sum(part * unit for part, unit in zip(time, (3600, 60, 1), strict=False))
    if midnight_us is None or not 0 <= seconds < 86401:
        return None
    return Moment(midnight_us + round(seconds * SECOND_US), is_utc=True)


def _apple_identifier(note: bytes) -> str | None:
    """Tag 17 of Apple's maker note, the identifier that a Live Photo's two halves share (ExifTool, Apple tags)."""
    order = {b"II": "<", b"MM": ">"}.get(note[12:14])
    if order is None or len(note) < 16:
        return None
    (count,) = struct.unpack_from(order + "H", note, 14)
    for tag, kind, number, at in struct.iter_unpack(
        order + "HHII", note[16 : 16 + 12 * min(count, 128)][: (len(note) - 16) // 12 * 12]
    ):
        if tag == 17 and kind == 2:
            return text.decode(note[at : at + min(number, text.SHORT)])
    return None


def _string(value: Value | None, limit: int = text.SHORT) -> str | None:
    return text.decode(value, limit) if isinstance(value, bytes) else None


def _utf16(value: Value | None, limit: int = text.SHORT) -> str | None:
    return text.decode_utf16(value, limit) if isinstance(value, bytes) else None
