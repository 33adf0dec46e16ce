"""HEIC and HEIF pictures: an embedded thumbnail where it is large enough, else tile by tile, else whole.

A large picture that is no grid is decoded by FFmpeg where it needs no turning or cropping: for 51 megapixels that takes
150 MB and 0.5 s, through libheif 470 MB and 3 s.

Phones store a photo as a grid of small HEVC pictures. Decoded whole, 48 megapixels take 400 MB; tile by tile, shrinking
each, they take the canvas of the thumbnail. pillow_heif has no call for one tile, so libheif's own
(`libheif/heif_tiling.h`, a stable C interface) is called in the library that pillow_heif has loaded.
The container's rotation, mirroring and crop are applied by libheif in every path.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO

import _pillow_heif  # type: ignore[import-not-found]  # a compiled module without stubs
import pillow_heif
from PIL import Image

from pixlsrve.media.decode.limits import Limits, Undecodable, check_memory, check_pixels

_COLORSPACE_RGB = 1  # heif_colorspace_RGB
_CHROMA_INTERLEAVED_RGB = 10  # heif_chroma_interleaved_RGB
_CHANNEL_INTERLEAVED = 10  # heif_channel_interleaved
_WHOLE_BYTES_PER_PIXEL = 10
"""Measured at 51 megapixels: the codec's planes and tables, libheif's planes, and interleaved RGB."""
_FFMPEG_BYTES_PER_PIXEL = 3
"""Measured likewise: the frame, its coding tables, and the packet."""
_LARGE_PIXELS = 8_000_000
"""From here on FFmpeg is worth loading; smaller pictures stay with one decoder and one rendering of colours."""


class _Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("subcode", ctypes.c_int), ("message", ctypes.c_char_p)]


class _Tiling(ctypes.Structure):
    """heif_image_tiling, version 1."""

    _fields_ = [
        ("version", ctypes.c_int),
        ("num_columns", ctypes.c_uint32),
        ("num_rows", ctypes.c_uint32),
        ("tile_width", ctypes.c_uint32),
        ("tile_height", ctypes.c_uint32),
        ("image_width", ctypes.c_uint32),
        ("image_height", ctypes.c_uint32),
        ("top_offset", ctypes.c_uint32),
        ("left_offset", ctypes.c_uint32),
        ("number_of_extra_dimensions", ctypes.c_uint8),
        ("extra_dimension_size", ctypes.c_uint32 * 8),
    ]


@dataclass(frozen=True)
class Decoded:
    """A picture at or above the wanted size, with the full picture's size as displayed, in pixels."""

    image: Image.Image
    width_px: int
    height_px: int
    icc: bytes | None


def decode(source: BinaryIO, *, side_px: int | None, limits: Limits) -> Decoded:
    """The primary picture, its longer side at least `side_px` where the picture has that much (None: full size).

    Raises Undecodable, NeedsMemory.
    """
    try:
        container = pillow_heif.HeifFile(source, hdr_to_16bit=False, remove_stride=False)  # type: ignore[no-untyped-call]
        primary = container[container.primary_index]
    except (OSError, ValueError, SyntaxError, RuntimeError, EOFError, IndexError) as error:
        raise Undecodable("damaged", "The HEIF container cannot be read.") from error
    width, height = primary.size
    check_pixels(width, height, limits)
    icc = primary.info.get("icc_profile")
    factor = _power_of_two(max(width, height), side_px)
    try:
        image = (
            _thumbnail(primary, side_px)
            or _tiles(source, primary, factor)
            or _by_ffmpeg(source, primary, factor, limits)
            or _whole(primary, factor, limits)
        )
    except (OSError, ValueError, SyntaxError, RuntimeError, EOFError) as error:
        raise Undecodable("damaged", "The HEIF picture is damaged.") from error
    return Decoded(image, *primary.size, icc if isinstance(icc, bytes) else None)


def _power_of_two(longest_px: int, side_px: int | None) -> int:
    factor = 1
    while side_px and longest_px // (factor * 2) >= side_px:
        factor *= 2
    return factor


def _thumbnail(primary: pillow_heif.HeifImage, side_px: int | None) -> Image.Image | None:
    """The smallest embedded thumbnail that is large enough and shows the same picture."""
    if side_px is None:
        return None
    width, height = primary.size
    found: list[pillow_heif.HeifThumbnail] = []
    listed: Any = primary.info.get("thumbnails", [])
    for index in range(len(listed)):
        thumbnail = primary.get_thumbnail(index)
        t_width, t_height = thumbnail.size
        is_same_shape = abs(t_width * height - t_height * width) <= 2 * max(width, height)
        if is_same_shape and max(t_width, t_height) >= side_px and t_width < width:
            found.append(thumbnail)
    return min(found, key=lambda item: item.size[0]).to_pillow() if found else None


def _whole(primary: pillow_heif.HeifImage, factor: int, limits: Limits) -> Image.Image:
    """The picture decoded at once and shrunk strip by strip, so that Pillow never holds a second full copy."""
    width, height = primary.size
    check_memory(width * height * (_WHOLE_BYTES_PER_PIXEL + (4 if factor == 1 else 0)), limits)
    data: Any = memoryview(primary.data)
    stride, mode = primary.stride, primary.mode
    width, height = primary.size
    if factor == 1:
        return Image.frombuffer(mode, (width, height), data, "raw", mode, stride, 1)
    canvas = Image.new(mode, (-(-width // factor), -(-height // factor)))
    rows = factor * 64
    for top in range(0, height, rows):
        count = min(rows, height - top)
        strip = Image.frombuffer(
            mode, (width, count), data[top * stride : (top + count) * stride], "raw", mode, stride, 1
        )
        canvas.paste(strip.reduce(factor), (0, top // factor))
    return canvas


def _by_ffmpeg(source: BinaryIO, primary: pillow_heif.HeifImage, factor: int, limits: Limits) -> Image.Image | None:
    """A large single picture; None where it is small, has transparency, or the container turns or crops it."""
    width, height = primary.size
    if width * height < _LARGE_PIXELS or primary.mode != "RGB" or _is_transformed(source):
        return None
    check_memory(width * height * (_FFMPEG_BYTES_PER_PIXEL + (7 if factor == 1 else 0)), limits)
    from pixlsrve.media.decode import video  # FFmpeg is large, and most workers never need it

    return video.still(source, (width, height), (-(-width // factor), -(-height // factor)))


def _is_transformed(source: BinaryIO) -> bool:
    source.seek(0)
    with _handle(source.read()) as (context, handle):
        if handle is None:
            return True
        item = _lib().heif_image_handle_get_item_id(handle)
        return bool(_lib().heif_item_get_transformation_properties(context, item, None, 0))


def _tiles(source: BinaryIO, primary: pillow_heif.HeifImage, factor: int) -> Image.Image | None:
    """The grid's tiles, each shrunk as it is decoded; None where the picture is no grid of opaque colour tiles."""
    if primary.mode != "RGB":
        return None
    source.seek(0)
    with _handle(source.read()) as (_, handle):
        tiling = _Tiling(version=1)
        if handle is None or _lib().heif_image_handle_get_image_tiling(handle, 1, ctypes.byref(tiling)).code:
            return None
        is_grid = tiling.num_columns * tiling.num_rows > 1 and not tiling.number_of_extra_dimensions
        if not is_grid or (tiling.image_width, tiling.image_height) != primary.size:
            return None
        size = (-(-tiling.image_width // factor), -(-tiling.image_height // factor))
        canvas = Image.new("RGB", size)
        for row in range(tiling.num_rows):
            for column in range(tiling.num_columns):
                left = column * tiling.tile_width - tiling.left_offset
                top = row * tiling.tile_height - tiling.top_offset
                canvas.paste(_tile(handle, column, row, factor), (round(left / factor), round(top / factor)))
        return canvas


def _tile(handle: ctypes.c_void_p, column: int, row: int, factor: int) -> Image.Image:
    picture = ctypes.c_void_p()
    error = _lib().heif_image_handle_decode_image_tile(
        handle, ctypes.byref(picture), _COLORSPACE_RGB, _CHROMA_INTERLEAVED_RGB, None, column, row
    )
    if error.code or not picture:
        raise ValueError("a tile cannot be decoded")
    try:
        stride = ctypes.c_int()
        plane = _lib().heif_image_get_plane_readonly(picture, _CHANNEL_INTERLEAVED, ctypes.byref(stride))
        width = _lib().heif_image_get_width(picture, _CHANNEL_INTERLEAVED)
        height = _lib().heif_image_get_height(picture, _CHANNEL_INTERLEAVED)
        if not plane or width <= 0 or height <= 0 or stride.value < width * 3:
            raise ValueError("a tile is empty")
        pixels = ctypes.string_at(plane, stride.value * height)
        tile = Image.frombuffer("RGB", (width, height), pixels, "raw", "RGB", stride.value, 1)
        return tile.reduce(factor) if factor > 1 else tile
    finally:
        _lib().heif_image_release(picture)


@contextmanager
def _handle(data: bytes) -> Iterator[tuple[ctypes.c_void_p, ctypes.c_void_p | None]]:
    """The context and the primary picture's handle, None where libheif refuses; `data` stays alive meanwhile."""
    library = _lib()
    context = ctypes.c_void_p(library.heif_context_alloc())
    handle = ctypes.c_void_p()
    try:
        library.heif_context_set_max_decoding_threads(context, 0)
        error = library.heif_context_read_from_memory_without_copy(context, data, len(data), None)
        if not error.code:
            error = library.heif_context_get_primary_image_handle(context, ctypes.byref(handle))
        yield context, None if error.code else handle
    finally:
        if handle:
            library.heif_image_handle_release(handle)
        library.heif_context_free(context)


_POINTER, _INT, _U32 = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32
_OUT = ctypes.POINTER(_POINTER)
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "heif_context_alloc": (_POINTER, []),
    "heif_context_free": (None, [_POINTER]),
    "heif_context_get_primary_image_handle": (_Error, [_POINTER, _OUT]),
    "heif_context_read_from_memory_without_copy": (_Error, [_POINTER, ctypes.c_char_p, ctypes.c_size_t, _POINTER]),
    "heif_context_set_max_decoding_threads": (None, [_POINTER, _INT]),
    "heif_image_get_height": (_INT, [_POINTER, _INT]),
    "heif_image_get_plane_readonly": (_POINTER, [_POINTER, _INT, ctypes.POINTER(_INT)]),
    "heif_image_get_width": (_INT, [_POINTER, _INT]),
    "heif_image_handle_decode_image_tile": (_Error, [_POINTER, _OUT, _INT, _INT, _POINTER, _U32, _U32]),
    "heif_image_handle_get_image_tiling": (_Error, [_POINTER, _INT, ctypes.POINTER(_Tiling)]),
    "heif_image_handle_get_item_id": (_U32, [_POINTER]),
    "heif_image_handle_release": (None, [_POINTER]),
    "heif_image_release": (None, [_POINTER]),
    "heif_item_get_transformation_properties": (_INT, [_POINTER, _U32, _POINTER, _INT]),
}


@lru_cache(maxsize=1)
def _lib() -> ctypes.CDLL:
    """libheif, found through pillow_heif's extension module, whose dependency it is."""
    library = ctypes.CDLL(_pillow_heif.__file__)
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
