"""JPEG: the segments before the scan (ITU-T T.81 annex B), their Exif, XMP and IPTC, and videos behind the picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from pixlsrve.index.metadata.exif import read_exif
from pixlsrve.index.metadata.findings import Findings
from pixlsrve.index.metadata.iptc import read_photoshop
from pixlsrve.index.metadata.motion import read_motion_items, read_samsung_trailer
from pixlsrve.index.metadata.source import Damaged, Source
from pixlsrve.index.metadata.xmp import read_xmp

_MAX_SEGMENTS = 2048
_MAX_JUNK_BYTES = 64 * 1024

# Start-of-frame markers: all of C0 to CF but DHT, JPG and DAC.
_FRAMES = frozenset(set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC})
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_APP1, _APP13, _START_OF_SCAN, _END = 0xE1, 0xED, 0xDA, 0xD9
_WANTED = _FRAMES | {_APP1, _APP13}

_EXIF = b"Exif\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"


def read_jpeg(source: Source, found: Findings, start: int = 0) -> None:
    """Add what the JPEG at byte `start` says. Raises Damaged when it has no frame header."""
    exif: list[bytes] = []
    xmp: bytes | None = None
    photoshop = b""
    for marker, payload in _segments(source, start):
        if marker == _APP1 and payload.startswith(_EXIF):
            _collect_exif(exif, payload[6:])
        elif marker == _APP1 and payload.startswith(_XMP):
            xmp = xmp or payload[len(_XMP) :]
        elif marker == _APP13 and payload.startswith(_PHOTOSHOP):
            photoshop += payload[len(_PHOTOSHOP) :]
        elif marker in _FRAMES and found.width is None:
            _read_frame(marker, payload, found)
    for block in exif:
        with suppress(Damaged):
            read_exif(block, found)
    if xmp:
        with suppress(Damaged):
            read_motion_items(read_xmp(xmp, found), source, found)
    if photoshop:
        read_photoshop(photoshop, found)
    if found.motion_offset is None and start == 0 and (found.camera_make or "").lower() == "samsung":
        read_samsung_trailer(source, found)


def _segments(source: Source, start: int) -> Iterator[tuple[int, bytes]]:
    """The wanted segments' markers and payloads, up to the scan. Junk between segments is skipped, as decoders do."""
    at = start
    for _ in range(_MAX_SEGMENTS):
        head = source.read(at, 4)
        if len(head) < 2:
            return
        if head[0] != 0xFF or head[1] == 0:
            junk = source.read(at + 1, _MAX_JUNK_BYTES)
            skipped = junk.find(b"\xff")
            if skipped < 0:
                return
            at += 1 + skipped
            continue
        marker = head[1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in {_START_OF_SCAN, _END}:
            return
        if marker == 0xD8 or 0xD0 <= marker <= 0xD7 or marker == 1:
            at += 2
            continue
        length = int.from_bytes(head[2:4], "big")
        if marker in _WANTED and length > 2:
            yield marker, source.read(at + 4, length - 2)
        at += 2 + max(length, 2)


def _collect_exif(blocks: list[bytes], block: bytes) -> None:
    """Blocks are TIFF structures, or go on where one larger than a segment stopped."""
    if block[:2] in {b"II", b"MM"} or not blocks:
        blocks.append(block)
    else:
        blocks[-1] += block


def _read_frame(marker: int, payload: bytes, found: Findings) -> None:
    if len(payload) < 6:
        return
    height, width = int.from_bytes(payload[1:3], "big"), int.from_bytes(payload[3:5], "big")
    if not width or not height:
        return
    found.width, found.height = width, height
    found.bit_depth, found.color_components = payload[0], payload[5]
    found.progressive = marker in _PROGRESSIVE
