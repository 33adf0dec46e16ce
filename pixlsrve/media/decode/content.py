"""The whole of one file's content: hash, three thumbnails and thumbhash from one reading; and conversions of it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image

from pixlsrve.media.decode import audio, raw, stills
from pixlsrve.media.decode.hashing import hash_and_hold
from pixlsrve.media.decode.limits import Limits, NeedsMemory, Undecodable, check_memory
from pixlsrve.media.decode.stills import Picture, fitted
from pixlsrve.media.decode.thumbhash import thumbhash
from pixlsrve.model import THUMBNAIL_SIZES_PX, Content, Kind

QUALITY = 80
"""JPEG quality of thumbnails, with 4:2:0 chroma: about 100 kB for 800 pixels, differences invisible at that size."""

FULL_QUALITY = 90
"""JPEG quality of full-size conversions, which people keep."""

_CHROMA_420 = 2

_EAGER_BYTES_PER_PIXEL = {"webp": 12, "avif": 8}
"""These libraries take memory for all pixels when a file is opened: two canvases and a copy, or planes and a copy."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """What the header said a file is: as much as decoding needs to know."""

    kind: Kind
    format: str
    """Lower-case real format by content (model.Facts.format)."""
    orientation: int = 1
    """Exif orientation still to be applied, 1 to 8."""
    pixels: int = 0
    """Width times height; 0 where the header did not say."""


def make_content(file: BinaryIO, form: Form, limits: Limits) -> Content:
    """Hash all bytes of `file` and make its thumbnails.

    A file whose pixels cannot be had gives its hash and a refusal; audio without a cover gives neither thumbnails nor
    a refusal. Raises OSError where reading fails, NeedsMemory before decoding what exceeds `limits.memory_bytes`.
    """
    digest, size, source = hash_and_hold(file)
    try:
        picture = open_picture(source, form, side_px=max(THUMBNAIL_SIZES_PX), limits=limits)
    except Undecodable as error:
        return Content(sha256=digest, size_bytes=size, refusal=error.refusal)
    if picture is None:
        return Content(sha256=digest, size_bytes=size)
    thumbnails_by_side, smallest = make_thumbnails(picture)
    is_whole = form.kind is not Kind.AUDIO and form.format not in raw.RAW_FORMATS
    return Content(
        sha256=digest,
        size_bytes=size,
        thumbnails=thumbnails_by_side,
        thumbhash=thumbhash(smallest),
        width_px=picture.width_px if is_whole else None,
        height_px=picture.height_px if is_whole else None,
    )


def open_picture(source: BinaryIO, form: Form, *, side_px: int | None, limits: Limits) -> Picture | None:
    """What stands for the file in a gallery: the photo, a film's frame, a song's cover (None without one).

    Raises Undecodable, NeedsMemory.
    """
    if form.kind is Kind.VIDEO:
        from pixlsrve.media.decode import video  # FFmpeg doubles the worker's memory, and few files are films

        return video.decode(source, format=form.format, side_px=side_px, limits=limits)
    if form.kind is Kind.AUDIO:
        return _cover(source, side_px, limits)
    if form.format in _EAGER_BYTES_PER_PIXEL:
        check_memory(form.pixels * _EAGER_BYTES_PER_PIXEL[form.format], limits)
    if form.format in raw.RAW_FORMATS:
        jpeg = raw.preview(source)
        return stills.decode(jpeg, format="jpeg", orientation=form.orientation, side_px=side_px, limits=limits)
    return stills.decode(source, format=form.format, orientation=form.orientation, side_px=side_px, limits=limits)


def _cover(source: BinaryIO, side_px: int | None, limits: Limits) -> Picture | None:
    found = audio.cover(source)
    if found is None:
        return None
    head = found.read(12)
    name = {b"\xff\xd8": "jpeg", b"\x89P": "png", b"GI": "gif", b"BM": "bmp", b"RI": "webp"}.get(head[:2])
    if name is None:
        return None
    try:
        return stills.decode(found, format=name, orientation=1, side_px=side_px, limits=limits)
    except (Undecodable, NeedsMemory):
        return None  # the song plays all the same


def make_thumbnails(picture: Picture) -> tuple[dict[int, bytes], Image.Image]:
    """JPEG bytes by box side, and the smallest picture; each size is made from the next larger one.

    Equal sizes share their bytes.
    """
    thumbnails: dict[int, bytes] = {}
    image, last = picture.image, b""
    for side in sorted(THUMBNAIL_SIZES_PX, reverse=True):
        size = fitted(picture.width_px, picture.height_px, side)
        if not last or size != image.size:
            image = _shrink(image, size)
            last = encode_jpeg(image, QUALITY)
        thumbnails[side] = last
    return thumbnails, image


def render(source: BinaryIO, form: Form, limits: Limits) -> bytes:
    """The picture as a JPEG file.

    At the largest of 1, 1/2, 1/4, 1/8 of its size that the memory allows, which is 1 for all but giants.
    Raises Undecodable, NeedsMemory.
    """
    picture = _largest(source, form, limits)
    if picture is None:
        raise Undecodable("unsupported", "The file holds no picture.")
    return encode_jpeg(picture.image, FULL_QUALITY)


def _largest(source: BinaryIO, form: Form, limits: Limits) -> Picture | None:
    """The picture at full size, else at the largest binary fraction that fits."""
    try:
        return open_picture(source, form, side_px=None, limits=limits)
    except NeedsMemory:
        smallest = open_picture(source, form, side_px=min(THUMBNAIL_SIZES_PX), limits=limits)
    longest = max(smallest.width_px, smallest.height_px) if smallest else 0
    for divisor in (2, 4, 8):
        try:
            return open_picture(source, form, side_px=longest // divisor, limits=limits)
        except NeedsMemory:
            continue
    return smallest


def encode_jpeg(image: Image.Image, quality: int) -> bytes:
    """A baseline JPEG without any metadata."""
    out = io.BytesIO()
    image.info = {}
    image.save(out, "JPEG", quality=quality, subsampling=_CHROMA_420)
    return out.getvalue()


def _shrink(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if image.size == size:
        return image
    width, height = image.size
    if (-(-width // 2), -(-height // 2)) == size:
        return image.reduce(2)  # exact halving is an average of four pixels, and the cheapest way
    return image.resize(size, Image.Resampling.HAMMING)
