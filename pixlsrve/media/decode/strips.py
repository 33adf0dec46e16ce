"""Large PNG and TIFF pictures decoded a strip at a time, for Pillow decodes them only whole (400 MB for 100 MP).

Each strip is handed to Pillow as a small file of its own: a PNG of a few rows, a TIFF with some of the strips or tiles.
So Pillow's decoders do all the work, and the memory is that of one strip and of the shrunken picture.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image, PngImagePlugin, TiffImagePlugin

from pixlsrve.media.decode import colour
from pixlsrve.media.decode.limits import MIB, Undecodable

_STRIP_BYTES = 8 * MIB
_READ_BYTES = 256 << 10
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_KEPT_PNG_CHUNKS = {b"PLTE", b"tRNS", b"gAMA"}


def shrink_png(source: BinaryIO, factor: int) -> Image.Image | None:
    """The picture reduced `factor` times; None where it cannot be cut (interlaced, odd depths). Raises Undecodable."""
    source.seek(8)
    header, chunks = b"", _png_chunks(source)
    extra: list[tuple[bytes, bytes]] = []
    for name, size in chunks:
        if name == b"IHDR":
            header = source.read(min(size, 13))
        elif name == b"IDAT":
            source.seek(-8, io.SEEK_CUR)
            break
        elif name in _KEPT_PNG_CHUNKS and size <= MIB:
            extra.append((name, source.read(size)))
    if len(header) != 13 or header[12]:
        return None
    width, height, depth, kind = struct.unpack(">IIBB", header[:10])
    if depth != 8 and (depth, kind) != (16, 0):
        return None  # Pillow keeps 8 bits of these, too little to tell the next strip's filters what came before
    row_bytes = 1 + (width * depth * _PNG_CHANNELS.get(kind, 4) + 7) // 8
    canvas: Image.Image | None = None
    rows = max(1, _STRIP_BYTES // (row_bytes * factor)) * factor
    top, before = 0, b""
    for block in _png_rows(source, row_bytes, rows, height):
        count = len(block) // row_bytes
        lead = 1 if before else 0
        image = _mini_png(header, extra, before + block, width, count + lead)
        before = _last_row(image)
        strip = colour.prepare(image.crop((0, lead, width, count + lead)) if lead else image).reduce(factor)
        canvas = canvas or Image.new(strip.mode, (-(-width // factor), -(-height // factor)))
        canvas.paste(strip, (0, top // factor))
        top += count
    return canvas


def _png_chunks(source: BinaryIO) -> Iterator[tuple[bytes, int]]:
    while len(head := source.read(8)) == 8:
        size = int.from_bytes(head[:4], "big")
        start = source.tell()
        yield head[4:], size
        source.seek(start + size + 4)


def _png_rows(source: BinaryIO, row_bytes: int, rows: int, height: int) -> Iterator[bytes]:
    """Blocks of whole filtered rows, `rows` each but for the last. Raises Undecodable where the data ends early."""
    inflate, pending, left = zlib.decompressobj(), bytearray(), height
    try:
        for data in _png_data(source):
            feed = data
            while feed and left:
                pending += inflate.decompress(feed, row_bytes * rows)
                feed = inflate.unconsumed_tail
                while left and len(pending) >= row_bytes * min(rows, left):
                    size = row_bytes * min(rows, left)
                    yield bytes(pending[:size])
                    del pending[:size]
                    left -= size // row_bytes
    except zlib.error as error:
        raise Undecodable("damaged", "The compressed picture data is damaged.") from error
    if left == height:
        raise Undecodable("damaged", "The picture data is missing.")
    if left and (whole := len(pending) // row_bytes):
        yield bytes(pending[: whole * row_bytes])


def _png_data(source: BinaryIO) -> Iterator[bytes]:
    for name, size in _png_chunks(source):
        if name == b"IEND":
            return
        while name == b"IDAT" and size > 0 and (data := source.read(min(size, _READ_BYTES))):
            size -= len(data)
            yield data


def _mini_png(header: bytes, extra: list[tuple[bytes, bytes]], rows: bytes, width: int, height: int) -> Image.Image:
    out = io.BytesIO()
    out.write(b"\x89PNG\r\n\x1a\n")
    PngImagePlugin.putchunk(out, b"IHDR", struct.pack(">II", width, height) + header[8:])
    for name, data in extra:
        PngImagePlugin.putchunk(out, name, data)
    PngImagePlugin.putchunk(out, b"IDAT", zlib.compress(rows, 0))
    PngImagePlugin.putchunk(out, b"IEND", b"")
    out.seek(0)
    image = Image.open(out, formats=["PNG"])
    image.load()
    return image


def _last_row(image: Image.Image) -> bytes:
    """The last row as the file would hold it unfiltered, which the next row's filter refers to."""
    row = image.crop((0, image.height - 1, *image.size))
    return b"\0" + row.tobytes("raw", "I;16B" if image.mode == "I;16" else image.mode)


def shrink_tiff(source: BinaryIO, factor: int) -> Image.Image | None:
    """The first page reduced `factor` times; None where it is one compressed strip, or stored by colour plane.

    Raises OSError, ValueError and what else Pillow raises for a damaged file.
    """
    page = Image.open(source, formats=["TIFF"])
    assert isinstance(page, TiffImagePlugin.TiffImageFile)  # noqa: S101 - for the type checker
    tags = page.tag_v2
    if tags.get(284, 1) != 1:
        return None
    is_tiled = 324 in tags
    offsets, counts = (tags.get(324), tags.get(325)) if is_tiled else (tags.get(273), tags.get(279))
    width, height = int(tags[256]), int(tags[257])
    band_px = min(height, int(tags.get(323 if is_tiled else 278, height)))
    if not is_tiled and offsets and len(offsets) == 1 and tags.get(259, 1) == 1:  # uncompressed: any row is a strip
        row_bytes = (width * sum(tags.get(258, (1,))) + 7) // 8
        offsets, counts, band_px = (
            range(offsets[0], offsets[0] + row_bytes * height, row_bytes),
            (row_bytes,) * height,
            1,
        )
    across = -(-width // int(tags[322])) if is_tiled else 1
    bands = -(-height // max(1, band_px))
    if not offsets or not counts or bands < 2 or len(offsets) != bands * across or len(counts) != len(offsets):
        return None
    at_once = max(1, _STRIP_BYTES // max(1, width * band_px * 4))
    at_once = -(-at_once * band_px // factor) * factor // band_px if factor % band_px == 0 else at_once
    if at_once * band_px % factor:
        at_once = factor
    canvas: Image.Image | None = None
    for first in range(0, bands, at_once):
        top, count = first * band_px, min(at_once, bands - first)
        chosen = range(first * across, (first + count) * across)
        data = [_span(source, int(offsets[i]), int(counts[i])) for i in chosen]
        mini = _mini_tiff(page, data, min(count * band_px, height - top), None if is_tiled else band_px)
        if not colour.is_divisible(mini.mode):
            return None
        strip = colour.prepare(mini).reduce(factor)
        canvas = canvas or Image.new(strip.mode, (-(-width // factor), -(-height // factor)))
        canvas.paste(strip, (0, top // factor))
    return canvas


def _span(source: BinaryIO, offset: int, size: int) -> bytes:
    if size > 16 * _STRIP_BYTES:
        raise ValueError("a strip is too long")
    source.seek(offset)
    return source.read(size)


_DESCRIBING_TAGS = (254, 256, 258, 259, 262, 266, 277, 284, 292, 293, 317, 320, 322, 323, 338, 339, 347, 530, 532)
"""What says how strips are coded: everything else (orientation, dates, profiles) is not the strip's business."""


def _mini_tiff(page: TiffImagePlugin.TiffImageFile, data: list[bytes], rows: int, strip_px: int | None) -> Image.Image:
    """A TIFF of these tiles, or strips of `strip_px` rows, alone, decoded."""
    is_tiled = strip_px is None
    directory = TiffImagePlugin.ImageFileDirectory_v2(prefix=page.tag_v2.prefix)
    for tag in _DESCRIBING_TAGS:
        if tag in page.tag_v2:
            directory.tagtype[tag] = page.tag_v2.tagtype[tag]
            directory[tag] = page.tag_v2[tag]
    directory.tagtype[257] = directory.tagtype[278] = 4
    directory[257] = rows
    if strip_px is not None:
        directory[278] = strip_px
    places, lengths = (324, 325) if is_tiled else (273, 279)
    directory.tagtype[places] = directory.tagtype[lengths] = 4
    directory[lengths] = tuple(map(len, data))
    relative = [sum(map(len, data[:i])) for i in range(len(data))]
    directory[places] = tuple(relative)
    if is_tiled:  # Pillow's writer makes strip offsets absolute, and leaves tile offsets alone
        start = directory.save(io.BytesIO())
        directory[places] = tuple(start + offset for offset in relative)
    out = io.BytesIO()
    directory.save(out)
    out.write(b"".join(data))
    out.seek(0)
    image = Image.open(out, formats=["TIFF"])
    image.load()
    return image
