"""One still picture, of any format Pillow or libheif reads, as an upright opaque 8-bit picture of the wanted size.

The order matters for speed and memory: dimensions are checked first, the decoder shrinks while decoding where it can,
the rest is shrunk before colours are converted, turned or flattened.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, ImageFile, JpegImagePlugin, TiffImagePlugin

from pixlsrve.media.decode import colour, heif, strips
from pixlsrve.media.decode.limits import Limits, NeedsMemory, Undecodable, check_memory, check_pixels

PILLOW_FORMATS = {
    "jpeg": "JPEG",
    "mpo": "JPEG",
    "png": "PNG",
    "apng": "PNG",
    "gif": "GIF",
    "webp": "WEBP",
    "avif": "AVIF",
    "tiff": "TIFF",
    "bigtiff": "TIFF",
    "bmp": "BMP",
    "ico": "ICO",
    "jp2": "JPEG2000",
    "j2k": "JPEG2000",
}
"""The only Pillow decoders that ever see a file (T25): every other format name is refused."""

HEIF_FORMATS = frozenset({"heic", "heif", "heics", "heifs"})

_TOLERANT = frozenset({"JPEG", "PNG", "GIF", "TIFF", "BMP"})
"""Where half a picture is still a picture; Pillow shows an empty one for the others."""

DAMAGE = (OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, EOFError, OverflowError, struct.error)
"""What Pillow's decoders raise for damaged files, by its own habit of letting parsing errors through."""

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Exif orientation (Exif 2.32, tag 0x0112) to the operation that shows the picture upright."""


@dataclass(frozen=True)
class Picture:
    """Upright and opaque, mode L, RGB or YCbCr; beside it the size of the whole picture as displayed, in pixels."""

    image: Image.Image
    width_px: int
    height_px: int


def decode(source: BinaryIO, *, format: str, orientation: int, side_px: int | None, limits: Limits) -> Picture:  # noqa: A002
    """The picture fitted into a square of `side_px`, never enlarged; None for full size.

    `orientation` is the Exif value that is still to be applied; containers that turn by themselves ignore it.
    Raises Undecodable, NeedsMemory.
    """
    if format in HEIF_FORMATS:
        found = heif.decode(source, side_px=side_px, limits=limits)
        image = colour.to_srgb(_fit(found.image, (found.width_px, found.height_px), side_px), found.icc)
        return Picture(image, found.width_px, found.height_px)
    if format not in PILLOW_FORMATS:
        raise Undecodable("unsupported", f"Pictures of the format {format} cannot be decoded here.")
    name = PILLOW_FORMATS[format]
    Image.MAX_IMAGE_PIXELS = limits.max_pixels  # Pillow's own net, for frames and strips larger than the header says
    try:
        with warnings.catch_warnings(action="ignore"):
            try:
                return _decode(source, name, orientation, side_px, limits)
            except DAMAGE:
                if name not in _TOLERANT:
                    raise
                with _tolerance():
                    return _decode(source, name, orientation, side_px, limits)
    except Image.DecompressionBombError as error:
        raise Undecodable("too_large", "The picture unpacks to more pixels than are decoded.") from error
    except DAMAGE as error:
        raise Undecodable("damaged", "The picture is damaged.") from error


def fitted(width_px: int, height_px: int, side_px: int) -> tuple[int, int]:
    """The size that fits within a square of `side_px`, aspect kept, never enlarged, at least one pixel."""
    longest = max(width_px, height_px)
    if longest <= side_px:
        return width_px, height_px
    return max(1, round(width_px * side_px / longest)), max(1, round(height_px * side_px / longest))


@contextmanager
def _tolerance() -> Iterator[None]:
    """Pillow shows what it has of a truncated file, as browsers do."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def _decode(source: BinaryIO, name: str, orientation: int, side_px: int | None, limits: Limits) -> Picture:
    source.seek(0)
    opened = Image.open(source, formats=[name])
    image: Image.Image = opened
    check_pixels(*image.size, limits)
    stored = image.size
    icc = image.info.get("icc_profile")
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        image = _load_jpeg(source, image, side_px, limits)
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        image, orientation, stored = _load_tiff(source, image, orientation, side_px, limits)
    else:
        if name == "AVIF":  # libavif reports the container's own rotation and mirroring as this tag
            orientation = image.getexif().get(0x0112, 1)
        image = _load(source, image, name, side_px, limits)
    image = _fit(image, stored, side_px)
    if image.mode != "YCbCr":
        image = colour.to_srgb(image, icc)
    if (operation := _TRANSPOSE.get(orientation)) is not None:
        image = image.transpose(operation)
    width, height = stored[::-1] if orientation >= 5 else stored
    return Picture(image, width, height)


def _fit(image: Image.Image, whole: tuple[int, int], side_px: int | None) -> Image.Image:
    """`image` shows all of a picture of size `whole` and is at least as large as wanted."""
    if side_px is None:
        return image
    size = fitted(*whole, side_px)
    if image.size == size:
        return image
    # Twice the wanted size is as good as the whole for the filter that follows.
    small = colour.reduced(image, min(image.width // size[0], image.height // size[1]) // 2)
    return small.resize(size, Image.Resampling.HAMMING)  # as sharp as bicubic when shrinking, at half its cost


def _load_jpeg(
    source: BinaryIO, image: JpegImagePlugin.JpegImageFile, side_px: int | None, limits: Limits
) -> Image.Image:
    """Decoded at the smallest of 1/8, 1/4, 1/2 that is large enough, and left in YCbCr for the encoder if it may be."""
    width, height = image.size
    if image.info.get("progressive"):
        samples = sum(h * v for _, h, v, _ in image.layer) / max(1, max(h * v for _, h, v, _ in image.layer))
        check_memory(int(width * height * 2 * samples), limits)
    mode = "YCbCr" if image.mode == "RGB" and not colour.needs_profile(image.info.get("icc_profile")) else None
    if side_px is None:
        check_memory(width * height * 4, limits)
    # The aspect-true size, not the square: asked for 800 x 800, a 4:3 picture is decoded larger than needed.
    target = fitted(width, height, side_px or max(width, height))
    image.draft(mode, target)
    try:
        image.load()
    except OSError:
        if mode is None or image.mode != "YCbCr" or image.layers != 3:
            raise
        # libjpeg cannot give YCbCr from a file that stores RGB.
        source.seek(0)
        again = Image.open(source, formats=["JPEG"])
        again.draft(None, target)
        again.load()
        return again
    return image


def _load_tiff(
    source: BinaryIO, page: TiffImagePlugin.TiffImageFile, orientation: int, side_px: int | None, limits: Limits
) -> tuple[Image.Image, int, tuple[int, int]]:
    """The first page, the orientation to be applied, and the size before it.

    Pillow gives a page turned as its own tag says, but strips as they are stored.
    """
    shrunk = _in_strips(source, page, strips.shrink_tiff, side_px, limits)
    if shrunk is not None:
        tags = page.tag_v2
        return shrunk, orientation, (int(tags[256]), int(tags[257]))
    source.seek(0)
    again = Image.open(source, formats=["TIFF"])
    again.load()
    return again, 1, again.size


def _load(source: BinaryIO, image: Image.Image, name: str, side_px: int | None, limits: Limits) -> Image.Image:
    width, height = image.size
    if name == "PNG":
        shrunk = _in_strips(source, image, strips.shrink_png, side_px, limits)
        if shrunk is not None:
            return shrunk
        source.seek(0)
        image = Image.open(source, formats=["PNG"])
    elif name == "JPEG2000" and side_px:
        levels = 0
        while max(width, height) >> (levels + 1) >= side_px and levels < 5:
            levels += 1
        check_memory(width * height * 16 >> 2 * levels, limits)
        if levels:
            image.reduce = levels  # type: ignore[method-assign,assignment]  # this plugin's property
    else:
        check_memory(width * height * _bytes_per_pixel(image, name), limits)
    image.load()
    return image


def _bytes_per_pixel(image: Image.Image, name: str) -> int:
    own = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "LA": 4}.get(image.mode, 4)
    # These libraries decode the whole picture into memory of their own first.
    return own + 4 if name in {"WEBP", "AVIF"} else own * 2 if name == "GIF" else own


def _in_strips(
    source: BinaryIO,
    image: Image.Image,
    shrink: Callable[[BinaryIO, int], Image.Image | None],
    side_px: int | None,
    limits: Limits,
) -> Image.Image | None:
    """The picture shrunk strip by strip if decoding it whole takes more than may be used; None where it need not be."""
    width, height = image.size
    estimate = width * height * _bytes_per_pixel(image, "")
    try:
        check_memory(estimate, limits)
    except NeedsMemory:
        factor = max(width, height) // side_px if side_px else 1
        shrunk = shrink(source, factor) if factor > 1 else None
        if shrunk is None:
            raise
        return shrunk
    return None
