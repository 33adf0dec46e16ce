"""MP4, MOV, 3GP and their family: what the `moov` box says (ISO 14496-12 §8; QuickTime file format, Apple 2016).

Read box by box, so that a long video's sample tables are never loaded and no decoder is needed.
"""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from dataclasses import dataclass

from pixlsrve.index.metadata import text
from pixlsrve.index.metadata.bmff import Box, boxes, child, content
from pixlsrve.index.metadata.dates import SECOND_US, Moment, parse_iso
from pixlsrve.index.metadata.findings import Findings
from pixlsrve.index.metadata.source import Damaged, Source
from pixlsrve.index.metadata.xmp import read_xmp
from pixlsrve.model import TakenSource

_EPOCH_1904_S = 2_082_844_800
_MAX_TRACKS = 64
_MAX_VALUE_BYTES = 64 * 1024
_MAX_COVER_BYTES = 16

# Sample entries by the name that FFmpeg, and so everybody, gives the codec.
_CODECS = {
    "avc1": "h264",
    "avc2": "h264",
    "avc3": "h264",
    "hvc1": "hevc",
    "hev1": "hevc",
    "dvh1": "hevc",
    "dvhe": "hevc",
    "av01": "av1",
    "vp08": "vp8",
    "vp09": "vp9",
    "mp4v": "mpeg4",
    "s263": "h263",
    "h263": "h263",
    "jpeg": "mjpeg",
    "mjpa": "mjpeg",
    "mjpb": "mjpegb",
    "apcn": "prores",
    "apch": "prores",
    "apcs": "prores",
    "apco": "prores",
    "ap4h": "prores",
    "SVQ1": "svq1",
    "SVQ3": "svq3",
    "cvid": "cinepak",
    "mp4a": "aac",
    ".mp3": "mp3",
    "samr": "amr_nb",
    "sawb": "amr_wb",
    "alac": "alac",
    "ac-3": "ac3",
    "ec-3": "eac3",
    "Opus": "opus",
    "fLaC": "flac",
    "sowt": "pcm_s16le",
    "twos": "pcm_s16be",
    "raw ": "pcm_u8",
    "ulaw": "pcm_mulaw",
    "alaw": "pcm_alaw",
    "lpcm": "pcm_s16le",
    "QDM2": "qdm2",
    "qcel": "qcelp",
    "Qclp": "qcelp",
}
_LOCATION = re.compile(r"\s*([+-]\d{1,9}(?:\.\d+)?)([+-]\d{1,9}(?:\.\d+)?)([+-]\d+(?:\.\d+)?)?")
_FORMATTED_SOUND = {0x6B: "mp3", 0x69: "mp3", 0xA9: "dts", 0xA5: "ac3", 0xA6: "eac3", 0xAD: "opus", 0xE1: "qcelp"}


@dataclass(slots=True)
class Tracks:
    """Which kinds of tracks a file holds."""

    has_video: bool = False
    has_audio: bool = False
    is_fragmented: bool = False


def read_quicktime(source: Source, found: Findings) -> Tracks:
    """Add what the file says, and tell which tracks it has. Raises Damaged without a `moov` box or tracks."""
    tracks = Tracks()
    moov = next((box for box in boxes(source, 0, source.size) if box.kind == b"moov"), None)
    if moov is None:
        raise Damaged("the film has no header")
    codecs: list[str] = []
    number = 0
    for box in boxes(source, moov.start, moov.end):
        if box.kind == b"mvhd":
            _movie(content(source, box, 128), found)
        elif box.kind == b"mvex":
            tracks.is_fragmented = True
        elif box.kind == b"trak" and number < _MAX_TRACKS:
            number += 1
            _track(source, box, tracks, codecs, found)
        elif box.kind == b"udta":
            _user_data(source, box, found)
        elif box.kind == b"meta":
            _metadata(source, box, found)
    found.codecs = tuple(dict.fromkeys(codecs))
    return tracks


def read_first_track_size(source: Source, moov: Box, found: Findings) -> None:
    """Add the size as shown of the first picture track (an image sequence)."""
    tracks = Tracks()
    for box in boxes(source, moov.start, moov.end):
        if box.kind == b"trak" and found.width is None:
            _track(source, box, tracks, [], found)


def _movie(data: bytes, found: Findings) -> None:
    with suppress(struct.error, IndexError):
        if data[0]:
            created, _, scale, duration = struct.unpack_from(">QQIQ", data, 4)
            unknown = 2**64 - 1
        else:
            created, _, scale, duration = struct.unpack_from(">IIII", data, 4)
            unknown = 2**32 - 1
        if scale and duration != unknown:
            found.duration_s = duration / scale
        found.date(TakenSource.CONTAINER, _created(created))


def _created(seconds: int) -> Moment | None:
    """Seconds since 1904, UTC; from some writers, since 1970. Both zeros mean unknown."""
    since_1970_s = seconds - _EPOCH_1904_S if seconds >= _EPOCH_1904_S else seconds
    if not 86400 < since_1970_s < 2**33:
        return None
    return Moment(since_1970_s * SECOND_US, is_utc=True)


def _track(source: Source, trak: Box, tracks: Tracks, codecs: list[str], found: Findings) -> None:
    handler = child(source, trak, b"mdia", b"hdlr")
    table = child(source, trak, b"mdia", b"minf", b"stbl", b"stsd")
    if handler is None or table is None:
        return
    kind = content(source, handler, 12)[8:]
    entry = source.read(table.start + 8, min(1024, table.end - table.start - 8))
    if len(entry) < 16:
        return
    if kind in {b"vide", b"pict"}:
        tracks.has_video = True
        if found.width is None:
            _frame_size(source, trak, entry, found)
    elif kind == b"soun":
        tracks.has_audio = True
    else:
        return
    codec = _codec(entry)
    if codec:
        codecs.append(codec)


def _codec(entry: bytes) -> str | None:
    name = entry[4:8].decode("latin-1")
    if name in {"mp4a", "mp4v"}:
        at = entry.find(b"esds")
        described = entry.find(b"\x04", at + 8) if at >= 0 else -1
        # The object type stands behind the descriptor's length, whose leading bytes have their top bit set.
        while 0 <= described < len(entry) - 2 and entry[described + 1] & 0x80:
            described += 1
        if 0 <= described < len(entry) - 2 and name == "mp4a":
            return _FORMATTED_SOUND.get(entry[described + 2], "aac")
    return _CODECS.get(name) or text.clean(name.lower())


def _frame_size(source: Source, trak: Box, entry: bytes, found: Findings) -> None:
    """The coded size (ISO 14496-12 §12.1.3), turned as the track's matrix says (§8.3.2)."""
    if len(entry) < 36:
        return
    width, height = struct.unpack_from(">HH", entry, 32)
    header = child(source, trak, b"tkhd")
    data = content(source, header, 96) if header else b""
    matrix_at = 52 if data[:1] == b"\1" else 40
    if not (width and height) and len(data) >= matrix_at + 44:
        width, height = (value >> 16 for value in struct.unpack_from(">II", data, matrix_at + 36))
    if not (width and height):
        return
    if len(data) >= matrix_at + 36:
        across, aside, _, down, along = struct.unpack_from(">5i", data, matrix_at)
        if abs(aside) > abs(across) and abs(down) > abs(along):
            width, height = height, width
    found.width, found.height = width, height
    found.bit_depth = None


def _user_data(source: Source, udta: Box, found: Findings) -> None:
    for box in boxes(source, udta.start, udta.end):
        if box.kind == b"meta":
            _metadata(source, box, found)
        elif box.kind == b"XMP_":
            with suppress(Damaged):
                read_xmp(content(source, box, 512 * 1024), found)
        elif box.kind == b"loci":
            _place_3gpp(content(source, box, 1024), found)
        elif box.kind[:1] == b"\xa9":
            data = content(source, box, _MAX_VALUE_BYTES)
            # Length and language of 16 bits each, then the text.
            _named(box.kind.decode("latin-1"), data[4 : 4 + int.from_bytes(data[:2], "big")], found)


def _metadata(source: Source, meta: Box, found: Findings) -> None:
    """Apple's item list, with names of its own (`keys`) or four-letter ones."""
    # QuickTime's meta is a plain box, ISO's has version and flags first.
    start = meta.start if source.read(meta.start + 4, 4) == b"hdlr" else meta.start + 4
    inner = {box.kind: box for box in boxes(source, start, meta.end)}
    names = _key_names(source, inner[b"keys"]) if b"keys" in inner else []
    if b"ilst" not in inner:
        return
    items = inner[b"ilst"]
    for box in boxes(source, items.start, items.end):
        index = int.from_bytes(box.kind, "big")
        name = names[index - 1] if 1 <= index <= len(names) else box.kind.decode("latin-1")
        data = child(source, box, b"data")
        if data is None or data.end - data.start <= 8:
            continue
        if name == "covr":
            found.has_cover = data.end - data.start > _MAX_COVER_BYTES
        else:
            _named(name, content(source, data, _MAX_VALUE_BYTES)[8:], found)


def _key_names(source: Source, keys: Box) -> list[str]:
    data = content(source, keys, _MAX_VALUE_BYTES)
    names: list[str] = []
    at = 8
    while at + 8 <= len(data) and (length := int.from_bytes(data[at : at + 4], "big")) >= 8:
        names.append(data[at + 8 : at + length].decode("utf-8", "replace"))
        at += length
    return names


def _named(name: str, value: bytes, found: Findings) -> None:
    """Take a value by its four-letter or Apple name; the first of each counts, but Apple's date beats the header's."""
    words = text.decode(value, text.LONG)
    if words is None:
        return
    short = text.clean(words)
    name = name.removeprefix("com.apple.quicktime.")
    if name in {"creationdate", "©day"}:
        moment = parse_iso(words)
        # Only a full time with its zone is better than the header's UTC.
        if moment is not None and moment.offset_s is not None:
            found.dates[TakenSource.CONTAINER] = moment
    elif name in {"location.ISO6709", "©xyz"}:
        _place(words, found)
    elif name in {"make", "©mak", "com.android.manufacturer"}:
        found.camera_make = found.camera_make or short
    elif name in {"model", "©mod", "com.android.model"}:
        found.camera = found.camera or short
    elif name == "content.identifier":
        found.content_identifier = found.content_identifier or short
    elif name in {"title", "displayname", "©nam"}:
        found.title = found.title or short
    elif name in {"artist", "©ART"}:
        found.artist = found.artist or short
    elif name in {"album", "©alb"}:
        found.album = found.album or short
    elif name in {"description", "desc"}:
        found.caption = found.caption or words


def _place(words: str, found: Findings) -> None:
    """ISO 6709 annex H: `+51.4169-000.0806+012.3/`; degrees may also be run together with minutes and seconds."""
    match = _LOCATION.match(words)
    if match is None:
        return
    altitude = text.number(match[3]) if match[3] else None
    found.place(_degrees(match[1], 2), _degrees(match[2], 3), altitude)


def _degrees(digits: str, degree_digits: int) -> float | None:
    value = text.number(digits)
    whole = len(digits.lstrip("+-").partition(".")[0])
    if value is None or whole <= degree_digits:
        return value
    sign = -1 if value < 0 else 1
    value = abs(value)
    if whole <= degree_digits + 2:
        return sign * (value // 100 + value % 100 / 60)
    return sign * (value // 10000 + value // 100 % 100 / 60 + value % 100 / 3600)


def _place_3gpp(data: bytes, found: Findings) -> None:
    """`loci` (3GPP TS 26.244 §8.10): a name, a role, then longitude, latitude and altitude in 16.16."""
    at = data.find(b"\0", 6) + 2
    with suppress(struct.error):
        longitude, latitude, altitude = struct.unpack_from(">iii", data, at)
        found.place(latitude / 65536, longitude / 65536, altitude / 65536)
