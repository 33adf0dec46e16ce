"""Turning any Pillow mode into what a JPEG thumbnail holds: opaque 8-bit grey or sRGB."""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache

from PIL import Image, ImageCms

MAX_PROFILE_BYTES = 4 << 20
"""CMYK profiles of printing houses reach 2 MB; anything larger is no colour profile."""


def to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """The picture in mode L or RGB: profile applied, transparency flattened on white, deep samples scaled to 8 bits.

    A profile that cannot be used is ignored, since a picture in slightly wrong colours is better than none.
    """
    image = _without_exotic_modes(image)
    if image.mode in {"RGBA", "LA"}:
        alpha = image.getchannel("A")
        colours = to_srgb(image.convert("RGB" if image.mode == "RGBA" else "L"), icc)
        canvas = Image.new(colours.mode, colours.size, "white")
        canvas.paste(colours, mask=alpha)
        return canvas
    if image.mode == "LAB":
        return _lab_to_srgb(image)
    if image.mode in {"RGB", "CMYK"} and needs_profile(icc):
        converted = _convert(image, icc or b"")
        if converted is not None:
            return converted
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")


def needs_profile(icc: bytes | None) -> bool:
    """Whether this profile changes colours, that is, is there and is not sRGB itself."""
    return bool(icc) and len(icc or b"") <= MAX_PROFILE_BYTES and not _is_srgb(icc or b"")


def is_flattened(mode: str) -> bool:
    """Whether a picture of this mode can be shrunk with smooth filters as it is."""
    return mode not in {"1", "P", "PA", "I", "F"} and not mode.startswith("I;")


def prepare(image: Image.Image) -> Image.Image:
    """The picture in a mode whose neighbouring pixels may be mixed, so that it can be shrunk."""
    return image if is_flattened(image.mode) else _without_exotic_modes(image)


def reduced(image: Image.Image, factor: int) -> Image.Image:
    """The picture `factor` times smaller, prepared band by band: as RGB a palette picture is four times its size."""
    if factor <= 1:
        return prepare(image)
    if is_flattened(image.mode) or not is_divisible(image.mode):
        return prepare(image).reduce(factor)
    width, height = image.size
    canvas: Image.Image | None = None
    for top in range(0, height, factor * 64):
        band = image.crop((0, top, width, min(height, top + factor * 64)))
        band.info = image.info
        small = prepare(band).reduce(factor)
        canvas = canvas or Image.new(small.mode, (-(-width // factor), -(-height // factor)))
        canvas.paste(small, (0, top // factor))
    assert canvas is not None  # noqa: S101 - a picture has at least one row
    return canvas


def is_divisible(mode: str) -> bool:
    """Whether bands of such a picture look alone as they do together; wide samples are scaled by all of them."""
    return mode not in {"I", "F"}


def _without_exotic_modes(image: Image.Image) -> Image.Image:
    """L, RGB, LA, RGBA, CMYK, YCbCr or LAB with the same look."""
    mode = image.mode
    if mode == "1":
        return image.convert("L")
    if mode in {"P", "PA"} or (mode in {"L", "RGB"} and "transparency" in image.info):
        return image.convert("RGBA" if mode == "PA" or "transparency" in image.info else "RGB")
    if mode == "I" or mode.startswith("I;") or mode == "F":
        return _deep_to_8_bit(image)
    if mode in {"La", "RGBa"}:
        return image.convert({"La": "LA", "RGBa": "RGBA"}[mode])
    if mode in {"RGBX", "HSV"}:
        return image.convert("RGB")
    return image


def _deep_to_8_bit(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits: 16-bit samples by their range, wider ones and floats by the values that occur."""
    if image.mode.startswith("I;"):
        return image.convert("I").convert("F").point(lambda value: value * (255 / 65535) + 0).convert("L")
    low, high = _range(image)
    scale = 255 / (high - low)
    return image.convert("F").point(lambda value: value * scale - low * scale).convert("L")


def _range(image: Image.Image) -> tuple[float, float]:
    """The values shown as black and as white."""
    extremes = [value for value in image.getextrema() if isinstance(value, int | float)]
    low, high = extremes if len(extremes) == 2 and extremes[0] < extremes[1] else (0.0, 1.0)
    if low < 0:
        return low, high
    usual = (1.0,) if image.mode == "F" else (255.0, 65535.0)
    return next(((0.0, most) for most in usual if high <= most), (low, high))


@lru_cache(maxsize=16)
def _is_srgb(icc: bytes) -> bool:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile
        return "srgb" in (profile.profile_description or "").lower()
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return True


def _convert(image: Image.Image, icc: bytes) -> Image.Image | None:
    try:
        transform = _transform(hashlib.sha256(icc).digest(), image.mode, icc)
        return transform.apply(image)
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return None


_transforms: dict[tuple[bytes, str], ImageCms.ImageCmsTransform] = {}


def _transform(key: bytes, mode: str, icc: bytes) -> ImageCms.ImageCmsTransform:
    """The transform to sRGB, kept, because the photos of one camera share one profile. Raises PyCMSError."""
    found = _transforms.get((key, mode))
    if found is None:
        if len(_transforms) >= 8:
            _transforms.clear()
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        found = ImageCms.ImageCmsTransform(source, _srgb(), mode, "RGB")
        _transforms[key, mode] = found
    return found


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _lab_to_srgb(image: Image.Image) -> Image.Image:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB", 5000))
    return ImageCms.ImageCmsTransform(lab, _srgb(), "LAB", "RGB").apply(image)
