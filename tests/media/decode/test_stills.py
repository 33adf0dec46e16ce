"""Stills: colours, depths, transparency, turning and shrinking come out as a viewer would show them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageCms, ImageDraw

from pixlsrve.media.decode import stills
from pixlsrve.media.decode.limits import MIB, Limits, NeedsMemory, Undecodable
from pixlsrve.media.decode.stills import Picture

LIMITS = Limits(max_pixels=50_000_000, memory_bytes=64 * MIB)
CORNERS = {"left top": (0.1, 0.1), "right top": (0.9, 0.1), "left bottom": (0.1, 0.9)}


def quarters(size: tuple[int, int] = (1200, 800)) -> Image.Image:
    """Red top left, green top right, blue bottom left, grey bottom right."""
    width, height = size
    image = Image.new("RGB", size, (128, 128, 128))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width // 2 - 1, height // 2 - 1), (255, 0, 0))
    draw.rectangle((width // 2, 0, width, height // 2 - 1), (0, 255, 0))
    draw.rectangle((0, height // 2, width // 2 - 1, height), (0, 0, 255))
    return image


def saved(image: Image.Image, name: str, **options: Any) -> io.BytesIO:
    out = io.BytesIO()
    image.save(out, name, **options)
    out.seek(0)
    return out


def decoded(source: io.BytesIO, format: str, *, orientation: int = 1, side_px: int | None = 800) -> Picture:  # noqa: A002
    return stills.decode(source, format=format, orientation=orientation, side_px=side_px, limits=LIMITS)


def colour_at(picture: Picture, place: tuple[float, float]) -> tuple[int, ...]:
    image = picture.image.convert("RGB")
    found = image.getpixel((int(place[0] * image.width), int(place[1] * image.height)))
    assert isinstance(found, tuple)
    return tuple(int(value) for value in found)


def close(found: tuple[int, ...], wanted: tuple[int, ...], by: int = 24) -> bool:
    return all(abs(one - other) <= by for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize(
    ("format", "save"),
    [
        ("jpeg", lambda i: saved(i, "JPEG", quality=95)),
        ("jpeg", lambda i: saved(i, "JPEG", quality=95, progressive=True)),
        ("jpeg", lambda i: saved(i, "JPEG", quality=95, keep_rgb=True)),
        ("jpeg", lambda i: saved(i.convert("CMYK"), "JPEG", quality=95)),
        ("png", lambda i: saved(i, "PNG")),
        ("png", lambda i: saved(i.convert("RGBA"), "PNG")),
        ("png", lambda i: saved(i.quantize(16), "PNG")),
        ("gif", lambda i: saved(i, "GIF")),
        ("webp", lambda i: saved(i, "WEBP", lossless=True)),
        ("avif", lambda i: saved(i, "AVIF", quality=90)),
        ("tiff", lambda i: saved(i, "TIFF")),
        ("tiff", lambda i: saved(i, "TIFF", compression="tiff_lzw")),
        ("tiff", lambda i: saved(i.convert("CMYK"), "TIFF")),
        ("tiff", lambda i: saved(to_lab(i), "TIFF")),
        ("bmp", lambda i: saved(i, "BMP")),
        ("jp2", lambda i: saved(i, "JPEG2000")),
    ],
)
def test_every_format_keeps_shape_and_colours(format: str, save: Callable[[Image.Image], io.BytesIO]) -> None:  # noqa: A002
    """A picture shows the same corners in every format, fitted into the box, at its own size when that is wanted."""
    source = save(quarters())
    picture = decoded(source, format)
    assert picture.image.size == (800, 533)
    assert (picture.width_px, picture.height_px) == (1200, 800)
    assert picture.image.mode in {"L", "RGB", "YCbCr"}
    assert close(colour_at(picture, CORNERS["left top"]), (255, 0, 0))
    assert close(colour_at(picture, CORNERS["right top"]), (0, 255, 0))
    assert close(colour_at(picture, CORNERS["left bottom"]), (0, 0, 255))
    assert decoded(source, format, side_px=None).image.size == (1200, 800)


def to_lab(image: Image.Image) -> Image.Image:
    lab = ImageCms.createProfile("LAB", 5000)
    found = ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), lab, outputMode="LAB")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("orientation", "red", "green"),
    [
        (1, "left top", "right top"),
        (2, "right top", "left top"),
        (3, "right bottom", "left bottom"),
        (4, "left bottom", "right bottom"),
        (5, "left top", "left bottom"),
        (6, "right top", "right bottom"),
        (7, "right bottom", "right top"),
        (8, "left bottom", "left top"),
    ],
)
@pytest.mark.parametrize("name", ["JPEG", "TIFF", "PNG"])
def test_orientation_is_applied(name: str, orientation: int, red: str, green: str) -> None:
    """The stored top left corner appears where the Exif orientation says (Exif 2.32, tag 0x0112)."""
    places = CORNERS | {"right bottom": (0.9, 0.9)}
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decoded(saved(quarters(), name, exif=exif), name.lower(), orientation=orientation)
    assert close(colour_at(picture, places[red]), (255, 0, 0))
    assert close(colour_at(picture, places[green]), (0, 255, 0))
    assert (picture.width_px, picture.height_px) == ((1200, 800) if orientation < 5 else (800, 1200))
    assert picture.image.size == ((800, 533) if orientation < 5 else (533, 800))


def test_small_picture_is_not_enlarged() -> None:
    """A picture smaller than the box stays as it is."""
    assert decoded(saved(quarters((30, 20)), "PNG"), "png").image.size == (30, 20)


def test_extreme_shape_keeps_a_pixel() -> None:
    """A picture far longer than wide is one pixel wide rather than none."""
    assert decoded(saved(Image.new("RGB", (1, 4000)), "PNG"), "png").image.size == (1, 800)


@pytest.mark.parametrize(("name", "format"), [("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tiff")])
def test_transparency_becomes_white(name: str, format: str) -> None:  # noqa: A002
    """What is transparent is shown on white, and what is half transparent half so."""
    image = Image.new("RGBA", (100, 100), (255, 0, 0, 0))
    image.paste((0, 0, 0, 128), (50, 0, 100, 100))
    options = {"lossless": True} if name == "WEBP" else {}
    picture = decoded(saved(image, name, **options), format)
    assert close(colour_at(picture, (0.2, 0.5)), (255, 255, 255))
    assert close(colour_at(picture, (0.8, 0.5)), (127, 127, 127))


def test_transparent_palette_becomes_white() -> None:
    """A palette entry marked transparent is white, not its hidden colour."""
    image = Image.new("P", (64, 64), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (32, 0, 64, 64))
    picture = decoded(saved(image, "PNG", transparency=0), "png")
    assert close(colour_at(picture, (0.2, 0.5)), (255, 255, 255))
    assert close(colour_at(picture, (0.8, 0.5)), (0, 0, 255))


@pytest.mark.parametrize(("name", "format"), [("PNG", "png"), ("TIFF", "tiff")])
def test_sixteen_bits_are_scaled(name: str, format: str) -> None:  # noqa: A002
    """16-bit grey is divided, not cut off: half of 65,535 is a middle grey."""
    image = Image.new("I;16", (64, 64), 32768)
    image.paste(65535, (32, 0, 64, 64))
    picture = decoded(saved(image, name), format)
    assert close(colour_at(picture, (0.2, 0.5)), (127, 127, 127), 2)
    assert close(colour_at(picture, (0.8, 0.5)), (255, 255, 255), 2)


def test_floats_are_scaled() -> None:
    """A floating point picture from 0 to 1 uses the whole range of grey."""
    image = Image.new("F", (64, 64), 0.0)
    image.paste(0.5, (32, 0, 64, 64))
    image.paste(1.0, (48, 0, 64, 64))
    picture = decoded(saved(image, "TIFF"), "tiff")
    assert close(colour_at(picture, (0.6, 0.5)), (127, 127, 127), 2)


def test_profile_is_converted() -> None:
    """Colours with a profile other than sRGB come out as sRGB; the swapped channels of this one must not show."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    position = {tag: srgb.index(tag) for tag in (b"rXYZ", b"gXYZ")}
    offset = {tag: srgb[at + 4 : at + 8] for tag, at in position.items()}
    swapped = bytearray(srgb)
    swapped[position[b"rXYZ"] + 4 : position[b"rXYZ"] + 8] = offset[b"gXYZ"]
    swapped[position[b"gXYZ"] + 4 : position[b"gXYZ"] + 8] = offset[b"rXYZ"]
    odd = bytes(swapped).replace("sRGB".encode("utf-16-be"), "odd!".encode("utf-16-be"))
    for name in ("JPEG", "PNG", "TIFF"):
        picture = decoded(saved(quarters(), name, icc_profile=odd), name.lower())
        assert close(colour_at(picture, CORNERS["left top"]), (0, 255, 0), 40)


def test_broken_profile_is_ignored() -> None:
    """A colour profile that is no profile changes nothing."""
    picture = decoded(saved(quarters(), "JPEG", quality=95, icc_profile=b"nonsense" * 40), "jpeg")
    assert close(colour_at(picture, CORNERS["left top"]), (255, 0, 0))


def test_animation_gives_its_first_frame() -> None:
    """Of an animation the first frame is shown."""
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    for name in ("GIF", "PNG", "WEBP", "TIFF"):
        source = saved(frames[0], name, save_all=True, append_images=frames[1:])
        assert close(colour_at(decoded(source, name.lower()), (0.5, 0.5)), (255, 0, 0))


def test_truncated_jpeg_shows_what_there_is() -> None:
    """A JPEG cut in half still gives a thumbnail, whose upper part is right."""
    data = saved(quarters(), "JPEG", quality=95).getvalue()
    picture = decoded(io.BytesIO(data[: len(data) * 2 // 3]), "jpeg")
    assert close(colour_at(picture, CORNERS["left top"]), (255, 0, 0))


@pytest.mark.parametrize("format", sorted(stills.PILLOW_FORMATS) + sorted(stills.HEIF_FORMATS))
def test_nonsense_is_damaged(format: str) -> None:  # noqa: A002
    """Bytes that are no picture are refused as damaged, whatever they were taken for (T25)."""
    for data in (b"", b"nonsense" * 100):
        with pytest.raises(Undecodable) as caught:
            decoded(io.BytesIO(data), format)
        assert caught.value.refusal.reason == "damaged"


def test_other_formats_are_unsupported() -> None:
    """A format that is not on the list is never given to a decoder (T25)."""
    with pytest.raises(Undecodable) as caught:
        decoded(io.BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0\n"), "eps")
    assert caught.value.refusal.reason == "unsupported"


def test_too_many_pixels_are_refused_before_decoding() -> None:
    """A header that promises more pixels than allowed is refused at once (T25)."""
    source = saved(Image.new("1", (40_000, 30_000)), "PNG")
    with pytest.raises(Undecodable) as caught:
        decoded(source, "png")
    assert caught.value.refusal.reason == "too_large"


def test_more_memory_is_asked_for() -> None:
    """A decode beyond its memory says how much it takes, before it takes it (T25)."""
    source = saved(Image.new("RGB", (6000, 4000)), "GIF")
    with pytest.raises(NeedsMemory) as caught:
        stills.decode(
            source, format="gif", orientation=1, side_px=800, limits=Limits(max_pixels=10**8, memory_bytes=16 * MIB)
        )
    assert caught.value.estimate_bytes >= 24_000_000


SMALL = Limits(max_pixels=10**8, memory_bytes=1 * MIB)


@pytest.mark.parametrize(
    ("format", "save"),
    [
        ("png", lambda i: saved(i, "PNG")),
        ("png", lambda i: saved(i.convert("RGBA"), "PNG")),
        ("png", lambda i: saved(i.quantize(255), "PNG")),
        ("tiff", lambda i: saved(i, "TIFF", tiffinfo={274: 6})),
        ("tiff", lambda i: saved(i, "TIFF", compression="tiff_lzw", tiffinfo={278: 16, 274: 6})),
        ("tiff", lambda i: saved(i, "TIFF", compression="tiff_deflate", tiffinfo={278: 7, 274: 6})),
        ("tiff", lambda i: saved(i, "TIFF", compression="jpeg", quality=95, tiffinfo={278: 16, 274: 6})),
    ],
)
def test_strips_give_the_same_picture(format: str, save: Callable[[Image.Image], io.BytesIO]) -> None:  # noqa: A002
    """A picture too large to be decoded whole looks the same when it is decoded strip by strip."""
    width, height = 2407, 1801
    image = quarters((width, height))
    image.paste(Image.linear_gradient("L").resize((width // 2, height // 2)), (width // 2, height // 2))
    source = save(image)
    parts = stills.decode(source, format=format, orientation=6, side_px=400, limits=SMALL)
    whole = stills.decode(source, format=format, orientation=6, side_px=400, limits=LIMITS)
    assert parts.image.size == whole.image.size
    assert (parts.width_px, parts.height_px) == (height, width)
    for x in (0.05, 0.3, 0.45, 0.55, 0.7, 0.95):
        for y in (0.05, 0.3, 0.45, 0.55, 0.7, 0.95):
            assert close(colour_at(parts, (x, y)), colour_at(whole, (x, y)), 12), (x, y)


def test_deep_grey_in_strips() -> None:
    """16-bit grey in strips keeps its levels, which need both bytes of the row before."""
    image = Image.linear_gradient("L").convert("I;16").resize((1500, 1500)).point(lambda value: value * 257)
    picture = stills.decode(saved(image, "PNG"), format="png", orientation=1, side_px=300, limits=SMALL)
    assert close(colour_at(picture, (0.5, 0.5)), (127, 127, 127), 4)
    assert close(colour_at(picture, (0.5, 0.95)), (242, 242, 242), 4)


def test_damaged_large_png_is_refused() -> None:
    """A large PNG whose data is no deflate stream is damaged, in strips as well as whole."""
    data = saved(quarters((2000, 2000)), "PNG").getvalue()
    start = data.index(b"IDAT") + 4
    broken = data[:start] + b"\xff" * 200 + data[start + 200 :]
    with pytest.raises(Undecodable) as caught:
        stills.decode(io.BytesIO(broken), format="png", orientation=1, side_px=400, limits=SMALL)
    assert caught.value.refusal.reason == "damaged"
