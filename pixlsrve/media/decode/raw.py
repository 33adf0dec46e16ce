"""The JPEG preview inside a camera's raw file.

Every maker stores at least one finished JPEG in one piece; only where differs. TIFF-shaped files (CR2, NEF, ARW, DNG,
PEF, ORF, SRW) say it in their directories, which Pillow's reader walks; in the others (CR3, RAF, CRW, X3F, RW2, MRW,
and previews in maker notes) the JPEG is found by its first bytes. The largest that Pillow can open is the preview. Raw
sensor data is not developed: LibRaw's binding brings numpy, more than all the rest of the decoders.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from PIL import Image, TiffImagePlugin

from pixlsrve.media.decode.limits import MIB, Undecodable
from pixlsrve.media.decode.stills import DAMAGE

RAW_FORMATS = frozenset(
    "3fr arw cr2 cr3 crw dcr dng erf fff gpr iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 srf srw "  # noqa: SIM905
    "x3f".split()
)

_SOI = b"\xff\xd8\xff"
_MAX_CANDIDATES = 64
_MAX_DIRECTORIES = 32
_MAX_PREVIEW_BYTES = 64 * MIB
_CHUNK_BYTES = 4 * MIB
_JPEG_COMPRESSIONS = (6, 7)
_DECODABLE_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
"""Baseline, extended and progressive; the others are how sensor data is stored."""


def preview(source: BinaryIO) -> BinaryIO:
    """The largest embedded JPEG, at position 0. Raises Undecodable where there is none."""
    best: bytes | None = None
    best_area = 0
    for offset, size in _candidates(source):
        area = _area(source, offset)
        if area > best_area:
            source.seek(offset)
            best, best_area = source.read(min(size, _MAX_PREVIEW_BYTES)), area
    if best is None:
        raise Undecodable("no_preview", "The raw file holds no preview picture.")
    return io.BytesIO(best)


def _candidates(source: BinaryIO) -> Iterator[tuple[int, int]]:
    """(offset, greatest length) of what may be JPEGs, directories' entries before those found by searching."""
    found = [span for span in _in_directories(source) if _starts_jpeg(source, span[0])]
    if any(_area(source, offset) > 640 * 480 for offset, _ in found):
        yield from found[:_MAX_CANDIDATES]
        return
    yield from found[:_MAX_CANDIDATES]
    yield from _by_search(source)


def _starts_jpeg(source: BinaryIO, offset: int) -> bool:
    source.seek(offset)
    return source.read(3) == _SOI


def _area(source: BinaryIO, offset: int) -> int:
    """Width times height of the JPEG here; 0 where it is none that Pillow decodes (sensor data is lossless JPEG)."""
    source.seek(offset)
    try:
        with Image.open(io.BytesIO(source.read(MIB)), formats=["JPEG"]) as image:
            return image.width * image.height if _frame_marker(image.fp) in _DECODABLE_FRAMES else 0
    except (*DAMAGE, Image.DecompressionBombError):
        return 0


def _frame_marker(data: Any) -> int:
    """The second byte of the frame header's marker (ITU-T T.81, table B.1); 0 where there is none."""
    data.seek(2)
    while len(head := data.read(4)) == 4 and head[0] == 0xFF:
        if 0xC0 <= head[1] <= 0xCF and head[1] not in {0xC4, 0xC8, 0xCC}:
            return int(head[1])
        data.seek(int.from_bytes(head[2:], "big") - 2, io.SEEK_CUR)
    return 0


def _in_directories(source: BinaryIO) -> list[tuple[int, int]]:
    """(offset, length) of what the TIFF directories name as JPEG."""
    source.seek(0)
    head = source.read(8)
    if head[:2] not in {b"II", b"MM"} or len(head) < 8:
        return []
    # Olympus and Panasonic write another number where TIFF has 42; the directories are the same.
    prefix = head[:2] + (b"*\0" if head[:2] == b"II" else b"\0*") + head[4:]
    queue = [int.from_bytes(head[4:8], "little" if head[:2] == b"II" else "big")]
    seen: set[int] = set()
    spans: list[tuple[int, int]] = []
    while queue and len(seen) < _MAX_DIRECTORIES:
        offset = queue.pop(0)
        if not offset or offset in seen:
            continue
        seen.add(offset)
        directory = TiffImagePlugin.ImageFileDirectory_v2(prefix)
        try:
            source.seek(offset)
            directory.load(source)
            queue += [directory.next, *_numbers(directory.get(330))]
            spans += _spans(directory)
        except DAMAGE:
            continue
    return spans


def _spans(directory: Any) -> Iterator[tuple[int, int]]:
    offset, size = _numbers(directory.get(513)), _numbers(directory.get(514))
    if len(offset) == 1 and len(size) == 1:
        yield offset[0], size[0]
    strips, counts = _numbers(directory.get(273)), _numbers(directory.get(279))
    if directory.get(259) in _JPEG_COMPRESSIONS and len(strips) == 1 and len(counts) == 1:
        yield strips[0], counts[0]


def _numbers(value: Any) -> tuple[int, ...]:
    values = value if isinstance(value, tuple) else (value,)
    return tuple(int(item) for item in values if isinstance(item, int | float))


def _by_search(source: BinaryIO) -> Iterator[tuple[int, int]]:
    """Every place where a JPEG may start, in chunks that overlap by the searched bytes."""
    base, tail, count = 0, b"", 0
    source.seek(0)
    while chunk := source.read(_CHUNK_BYTES):
        data = tail + chunk
        start = data.find(_SOI)
        after = source.tell()
        while start >= 0:
            if count >= _MAX_CANDIDATES:
                return
            count += 1
            yield base - len(tail) + start, _MAX_PREVIEW_BYTES
            start = data.find(_SOI, start + 1)
        base, tail = base + len(chunk), data[-2:]
        source.seek(after)
