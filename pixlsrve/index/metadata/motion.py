"""Motion photos: where the video lies that a phone has put behind a still."""

from __future__ import annotations

import struct

from pixlsrve.index.metadata.findings import Findings
from pixlsrve.index.metadata.source import Source
from pixlsrve.index.metadata.xmp import Packet

_VIDEO_NAMES = frozenset({"MotionPhoto", "MicroVideo"})
_SAMSUNG_VIDEO = b"MotionPhoto_Data"
_MAX_TRAILER_BYTES = 64 * 1024


def read_motion_items(packet: Packet, source: Source, found: Findings) -> None:
    """Add the video that XMP announces (Google's Motion Photo format 1.0, and MicroVideo before it).

    The container's items lie one behind the other at the end of the file, so that each is found from the end.
    """
    behind = 0
    for item in reversed(packet.items):
        length = _whole(item.get("item:Length"))
        if item.get("item:Semantic") in _VIDEO_NAMES:
            _note(source, source.size - behind - length, length, found)
            return
        behind += length + _whole(item.get("item:Padding"))
    length = _whole(packet.first("camera:MicroVideoOffset"))
    if length:
        _note(source, source.size - length, length, found)


def read_samsung_trailer(source: Source, found: Findings) -> None:
    """Add the video of a Samsung trailer: records, a directory `SEFH`, its length and `SEFT` at the very end.

    Each directory entry gives type, distance of its record back from the directory, and length (ExifTool, Samsung).
    """
    tail = source.read(source.size - 8, 8)
    if tail[4:] != b"SEFT":
        return
    length = int(struct.unpack_from("<I", tail)[0])
    directory_at = source.size - 8 - length
    if length > _MAX_TRAILER_BYTES or directory_at < 0:
        return
    directory = source.read(directory_at, length)
    if directory[:4] != b"SEFH" or len(directory) < 12:
        return
    (count,) = struct.unpack_from("<I", directory, 8)
    for at in range(12, min(12 + 12 * count, len(directory) - 11), 12):
        distance, size = struct.unpack_from("<II", directory, at + 4)
        record_at = directory_at - distance
        head = source.read(record_at, 8 + len(_SAMSUNG_VIDEO)) if record_at >= 0 else b""
        name_bytes = int.from_bytes(head[4:8], "little")
        if head[8:] == _SAMSUNG_VIDEO and name_bytes == len(_SAMSUNG_VIDEO) and size > 8 + name_bytes:
            _note(source, record_at + 8 + name_bytes, size - 8 - name_bytes, found)
            return


def _note(source: Source, offset: int, length: int, found: Findings) -> None:
    """Note a video if one is really there: an ISO media file starts with its `ftyp` box."""
    if offset > 0 and length > 8 and source.read(offset + 4, 4) == b"ftyp":
        found.motion_offset, found.motion_size_bytes = offset, length


def _whole(value: str | None) -> int:
    value = (value or "").strip()
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 16 else 0
