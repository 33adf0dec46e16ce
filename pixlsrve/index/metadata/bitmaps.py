"""PNG, WebP, GIF, BMP, icons and JPEG 2000: sizes and the metadata blocks inside."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress

from pixlsrve.index.metadata.exif import read_exif
from pixlsrve.index.metadata.findings import Findings
from pixlsrve.index.metadata.source import Damaged, Source
from pixlsrve.index.metadata.xmp import read_xmp

_MAX_CHUNKS = 8192
_MAX_BLOCK_BYTES = 1024 * 1024
_GIF_BYTES = 4 * 1024 * 1024
"""GIFs are counted frame by frame, so longer ones stay uncounted."""


def read_png(source: Source, found: Findings) -> None:
    """Add what a PNG says (PNG third edition; eXIf, iTXt, and the raw profiles that ImageMagick writes)."""
    first = source.read(8, 21)
    if first[4:8] != b"IHDR" or len(first) < 21:
        raise Damaged("the PNG has no header")
    _size(found, *struct.unpack_from(">II", first, 8))
    found.bit_depth = first[16]
    at = 33
    for _ in range(_MAX_CHUNKS):
        head = source.read(at, 8)
        if len(head) < 8 or head[4:] == b"IEND":
            return
        length = int.from_bytes(head[:4], "big")
        if head[4:] in {b"eXIf", b"iTXt", b"zTXt", b"tEXt", b"acTL"} and length <= _MAX_BLOCK_BYTES:
            with suppress(Damaged, zlib.error, ValueError):
                _png_chunk(head[4:], source.read(at + 8, length), found)
        at += 12 + length


def _png_chunk(chunk: bytes, data: bytes, found: Findings) -> None:
    if chunk == b"eXIf":
        read_exif(data, found)
    elif chunk == b"acTL":
        found.frame_count = int.from_bytes(data[:4], "big") or None
    elif chunk == b"iTXt":
        keyword, _, rest = data.partition(b"\0")
        if keyword == b"XML:com.adobe.xmp":
            is_compressed, packet = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
            read_xmp(_inflate(packet) if is_compressed else packet, found)
    else:
        keyword, _, rest = data.partition(b"\0")
        if keyword in {b"Raw profile type exif", b"Raw profile type APP1", b"Raw profile type xmp"}:
            _raw_profile(_inflate(rest[1:]) if chunk == b"zTXt" else rest, found)


def _raw_profile(profile: bytes, found: Findings) -> None:
    """ImageMagick's text form: a name, a length and hexadecimal digits, in lines."""
    block = bytes.fromhex(b"".join(profile.split()[2:]).decode("ascii"))
    if block.startswith((b"Exif", b"II", b"MM")):
        read_exif(block, found)
    else:
        read_xmp(block.partition(b"\0")[2] if block.startswith(b"http") else block, found)


def _inflate(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, _MAX_BLOCK_BYTES)


def read_webp(source: Source, found: Findings) -> None:
    """Add what a WebP says (RFC 9649)."""
    frames = 0
    for chunk, at, length in _riff_chunks(source):
        if chunk == b"VP8X" and found.width is None:
            data = source.read(at, 10)
            _size(found, *(int.from_bytes(data[part : part + 3], "little") + 1 for part in (4, 7)))
        elif chunk == b"VP8 " and found.width is None:
            data = source.read(at + 6, 4)
            _size(found, *(part & 0x3FFF for part in struct.unpack("<HH", data.ljust(4, b"\0"))))
        elif chunk == b"VP8L" and found.width is None:
            bits = int.from_bytes(source.read(at + 1, 4), "little")
            _size(found, (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        elif chunk == b"ANMF":
            frames += 1
        elif chunk in {b"EXIF", b"XMP "} and length <= _MAX_BLOCK_BYTES:
            with suppress(Damaged):
                (read_exif if chunk == b"EXIF" else read_xmp)(source.read(at, length), found)
    found.bit_depth = 8
    found.frame_count = frames or None


def _riff_chunks(source: Source) -> Iterator[tuple[bytes, int, int]]:
    at = 12
    for _ in range(_MAX_CHUNKS):
        head = source.read(at, 8)
        if len(head) < 8:
            return
        length = int.from_bytes(head[4:], "little")
        yield head[:4], at + 8, length
        at += 8 + length + length % 2


def read_gif(source: Source, found: Findings) -> None:
    """Add size and number of frames of a GIF (GIF89a)."""
    head = source.read(0, 13)
    _size(found, *struct.unpack_from("<HH", head.ljust(10, b"\0"), 6))
    if source.size > _GIF_BYTES or len(head) < 13:
        return
    frames = _gif_frames(source.read(0, source.size), 13 + _palette_bytes(head[10]))
    found.frame_count = frames if frames > 1 else None


def _gif_frames(data: bytes, at: int) -> int:
    frames = 0
    while at < len(data):
        kind = data[at]
        if kind == 0x2C and at + 10 < len(data):
            frames += 1
            at += 11 + _palette_bytes(data[at + 9])
        elif kind == 0x21:
            at += 2
        else:
            break
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return frames


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def read_bmp(source: Source, found: Findings) -> None:
    """Add size and depth of a BMP; a negative height means rows from top to bottom."""
    head = source.read(14, 16).ljust(16, b"\0")
    if head[0] == 12:
        width, height, _, depth = struct.unpack_from("<HHHH", head, 4)
    else:
        width, height, _, depth = struct.unpack_from("<iiHH", head, 4)
    _size(found, width, abs(height))
    found.bit_depth = depth or None


def read_ico(source: Source, found: Findings) -> None:
    """Add the size of an icon file's largest picture, which stands for the file."""
    count = int.from_bytes(source.read(4, 2), "little")
    entries = [entry for at in range(min(count, 256)) if len(entry := source.read(6 + 16 * at, 16)) == 16]
    sizes = [_icon_size(source, entry) for entry in entries]
    if sizes:
        _size(found, *max(sizes, key=lambda size: size[0] * size[1]))


def _icon_size(source: Source, entry: bytes) -> tuple[int, int]:
    """The directory's sizes are a byte each, 0 for 256; a PNG inside knows its own."""
    inside = source.read(int.from_bytes(entry[12:16], "little"), 24)
    if inside.startswith(b"\x89PNG") and len(inside) == 24:
        width, height = struct.unpack_from(">II", inside, 16)
        return int(width), int(height)
    return entry[0] or 256, entry[1] or 256


def read_jp2(source: Source, found: Findings) -> None:
    """Add what a JPEG 2000 codestream or JP2 file says: its SIZ marker (ITU-T T.800 annex A.5.1) or `ihdr` box."""
    head = source.head
    boxed = head.find(b"ihdr") if head.startswith(b"\0\0\0\x0c") else -1
    if boxed >= 0 and len(head) >= boxed + 15:
        height, width, components = struct.unpack_from(">IIH", head, boxed + 4)
        _size(found, width, height)
        found.color_components, found.bit_depth = components, (head[boxed + 14] & 0x7F) + 1
    elif boxed < 0 and len(head) >= 24:
        right, bottom, left, top = struct.unpack_from(">IIII", head, 8)
        _size(found, right - left, bottom - top)
    for marker, reader in ((b"JpgTiffExif->JP2", read_exif), (_XMP_UUID, read_xmp)):
        at = head.find(marker)
        length = int.from_bytes(head[at - 8 : at - 4], "big") - 24 if at >= 8 else 0
        if 0 < length <= _MAX_BLOCK_BYTES:
            with suppress(Damaged):
                reader(source.read(at + 16, length), found)


_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def _size(found: Findings, width: int, height: int) -> None:
    """Note a picture's size. Raises Damaged for one that no picture has."""
    if not (0 < width < 2**31 and 0 < height < 2**31):
        raise Damaged("the picture has no valid size")
    found.width, found.height = width, height
