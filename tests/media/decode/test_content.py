"""Whole files: hash, thumbnails and thumbhash of photos, raw files, films and songs; conversions."""

from __future__ import annotations

import hashlib
import io
import os
import struct
from pathlib import Path
from typing import Any

import av
import pillow_heif
import pytest
from mutagen.id3 import APIC, ID3
from PIL import Image, ImageDraw

from pixlsrve.media.decode import hashing
from pixlsrve.media.decode.content import Form, make_content, open_picture, render
from pixlsrve.media.decode.limits import MIB, Limits, NeedsMemory, Undecodable
from pixlsrve.media.decode.thumbhash import thumbhash
from pixlsrve.model import Content, Kind

LIMITS = Limits(max_pixels=300_000_000, memory_bytes=64 * MIB)
JPEG = Form(kind=Kind.PHOTO, format="jpeg")


def photo(size: tuple[int, int] = (1600, 1200)) -> Image.Image:
    """Red left half, blue right half."""
    image = Image.new("RGB", size, "blue")
    ImageDraw.Draw(image).rectangle((0, 0, size[0] // 2, size[1]), "red")
    return image


def saved(image: Image.Image, name: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, name, **options)
    return out.getvalue()


def content(data: bytes, form: Form = JPEG, limits: Limits = LIMITS) -> Content:
    return make_content(io.BytesIO(data), form, limits)


def shape(thumbnail: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(thumbnail), formats=["JPEG"]) as image:
        return image.size


def colours(thumbnail: bytes) -> tuple[object, object]:
    with Image.open(io.BytesIO(thumbnail), formats=["JPEG"]) as image:
        rgb = image.convert("RGB")
    names = {(True, False): "red", (False, True): "blue", (False, False): "black", (True, True): "white"}
    found = [rgb.getpixel((int(x * rgb.width), rgb.height // 2)) for x in (0.1, 0.9)]
    left, right = (names[pixel[0] > 127, pixel[2] > 127] for pixel in found if isinstance(pixel, tuple))
    return left, right


def test_photo_gives_hash_and_three_thumbnails() -> None:
    """One reading gives SHA-256, size, dimensions, thumbhash and JPEGs within 200, 400 and 800 pixels."""
    data = saved(photo((3000, 2000)))
    found = content(data)
    assert found.sha256 == hashlib.sha256(data).digest()
    assert found.size_bytes == len(data)
    assert (found.width_px, found.height_px) == (3000, 2000)
    assert {side: shape(item) for side, item in found.thumbnails.items()} == {
        800: (800, 533),
        400: (400, 267),
        200: (200, 133),
    }
    assert all(colours(item) == ("red", "blue") for item in found.thumbnails.values())
    assert found.thumbhash
    assert found.refusal is None


def test_thumbnails_carry_no_metadata() -> None:
    """Neither Exif nor profile nor comment of the original is in its thumbnails."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    data = saved(photo(), exif=exif, comment=b"secret", icc_profile=b"x" * 200)
    for thumbnail in content(data).thumbnails.values():
        with Image.open(io.BytesIO(thumbnail)) as image:
            assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
            assert not image.getexif()


def test_large_file_is_hashed_without_being_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond what is held in memory is hashed in pieces and decoded from the file."""
    monkeypatch.setattr(hashing, "IN_MEMORY_BYTES", 1000)
    data = saved(photo())
    found = content(data)
    assert found.sha256 == hashlib.sha256(data).digest()
    assert found.size_bytes == len(data)
    assert len(found.thumbnails) == 3


def test_damaged_photo_keeps_its_hash() -> None:
    """A picture that cannot be decoded gives a refusal beside the right hash (T25)."""
    data = b"\xff\xd8\xff\xe0" + os.urandom(500)
    found = content(data)
    assert found.sha256 == hashlib.sha256(data).digest()
    assert found.refusal is not None
    assert found.refusal.reason == "damaged"
    assert not found.thumbnails


def test_thumbhash_is_the_published_one() -> None:
    """The hash agrees with the reference encoder (thumbhash 0.1.2 for Python, run on the same 32 x 24 pixels)."""
    image = Image.new("RGB", (32, 24))
    image.putdata([(x * 7, y * 9, (x * x + 5 * y) % 200) for y in range(24) for x in range(32)])
    found, wanted = (int(digit, 16) for digit in thumbhash(image).hex()), (int(digit, 16) for digit in REFERENCE)
    # By one: coefficients that are zero but for rounding lie on the border between two steps.
    assert all(abs(one - other) <= 1 for one, other in zip(found, wanted, strict=True))


REFERENCE = "59080a25967076877077887788788778a0a108f787"


def test_giant_jpeg_takes_little_memory() -> None:
    """A 100-megapixel JPEG is decoded at an eighth, within the memory of an ordinary one."""
    found = content(saved(Image.new("RGB", (11_600, 8_700), "red"), quality=60), limits=LIMITS)
    assert found.refusal is None
    assert shape(found.thumbnails[800]) == (800, 600)


def heic(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, **options)
    return out.getvalue()


@pytest.mark.parametrize("options", [{}, {"tile_size": 512}])
def test_heic_whole_and_in_tiles(options: dict[str, object]) -> None:
    """A HEIC photo comes out the same whether it is one picture or a grid of tiles."""
    found = content(heic(photo((2050, 1540)), quality=60, **options), Form(kind=Kind.PHOTO, format="heic"))
    assert (found.width_px, found.height_px) == (2050, 1540)
    assert colours(found.thumbnails[800]) == ("red", "blue")
    assert shape(found.thumbnails[800]) == (800, 601)


@pytest.mark.parametrize("options", [{}, {"tile_size": 1024}])
def test_large_heic_takes_little_memory(options: dict[str, object]) -> None:
    """A HEIC photo of 24 megapixels needs no more than three bytes a pixel (FFmpeg), or a tile (grid)."""
    data = heic(photo((5632, 4224)), quality=30, **options)
    found = content(data, Form(kind=Kind.PHOTO, format="heic"), Limits(max_pixels=10**8, memory_bytes=72 * MIB))
    assert found.refusal is None
    assert colours(found.thumbnails[200]) == ("red", "blue")


def test_raw_file_shows_its_largest_preview() -> None:
    """Of a raw file's embedded JPEGs the largest that can be decoded is shown, turned as the file says."""
    small, large = saved(photo((160, 120))), saved(photo((1200, 900)))
    lossless = b"\xff\xd8\xff\xc3\x00\x0b\x0e\x20\x00\x20\x00\x01\x01\x11\x00"
    data = b"FUJIFILMCCD-RAW " + os.urandom(300) + small + b"\0" * 50 + large + b"\0" * 9 + lossless + bytes(5000)
    found = content(data, Form(kind=Kind.PHOTO, format="raf", orientation=6))
    assert shape(found.thumbnails[800]) == (600, 800)
    assert (found.width_px, found.height_px) == (None, None)


def test_tiff_shaped_raw_names_its_preview() -> None:
    """In a TIFF-shaped raw file the preview is found where a sub-directory says."""
    jpeg = saved(photo((1200, 900)))
    entries = [(330, 4, 1, 100)]
    first = struct.pack("<H", 1) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    sub = struct.pack("<H", 2) + struct.pack("<HHII", 513, 4, 1, 200) + struct.pack("<HHII", 514, 4, 1, len(jpeg))
    data = (b"II*\0\x08\0\0\0" + first).ljust(100, b"\0") + (sub + bytes(4)).ljust(100, b"\0") + jpeg
    found = content(data, Form(kind=Kind.PHOTO, format="nef"))
    assert shape(found.thumbnails[800]) == (800, 600)


def test_raw_file_without_preview_has_no_thumbnail() -> None:
    """A raw file without any JPEG inside is listed without a thumbnail, its hash known."""
    found = content(b"II*\0" + bytes(1000), Form(kind=Kind.PHOTO, format="dng"))
    assert found.refusal is not None
    assert found.refusal.reason == "no_preview"


def film(path: Path, container: str, codec: str, seconds: int = 4) -> bytes:
    """Black for the first half second, then the red and blue photo."""
    to_frame: Any = av.VideoFrame.from_image
    with av.open(str(path), "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(10 * seconds):
            image = photo((320, 240)) if number >= 5 else Image.new("RGB", (320, 240))
            for packet in stream.encode(to_frame(image)):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("container", "codec", "format"),
    [("mp4", "mpeg4", "mp4"), ("matroska", "mpeg4", "mkv"), ("avi", "mpeg4", "avi"), ("mpegts", "mpeg2video", "m2ts")],
)
def test_film_shows_a_frame(tmp_path: Path, container: str, codec: str, format: str) -> None:  # noqa: A002
    """A film shows a frame that is not black, in its own shape."""
    found = content(film(tmp_path / "film", container, codec), Form(kind=Kind.VIDEO, format=format))
    assert (found.width_px, found.height_px) == (320, 240)
    assert shape(found.thumbnails[800]) == (320, 240)
    assert colours(found.thumbnails[800]) == ("red", "blue")


def test_film_never_reads_other_files(tmp_path: Path) -> None:
    """A playlist in a film's clothing opens nothing: the demuxer is not FFmpeg's choice (T25)."""
    other = tmp_path / "other.mp4"
    film(other, "mp4", "mpeg4", seconds=1)
    playlists = [f"#EXTM3U\n#EXTINF:1,\n{other}\n", f"ffconcat version 1.0\nfile {other}\n"]
    for text in playlists:
        for name in ("mp4", "mkv", "avi", "m2ts"):
            found = content(text.encode(), Form(kind=Kind.VIDEO, format=name))
            assert found.refusal is not None


def test_song_shows_its_cover(tmp_path: Path) -> None:
    """A song's embedded front cover becomes its thumbnails; a song without one has none, and no refusal."""
    plain = b"\xff\xfb\x90\x00" + bytes(413)
    song = tmp_path / "song.mp3"
    song.write_bytes(plain * 20)
    assert content(song.read_bytes(), Form(kind=Kind.AUDIO, format="mp3")) == Content(
        sha256=hashlib.sha256(plain * 20).digest(), size_bytes=len(plain) * 20
    )
    id3: Any = ID3
    tags = id3()
    picture: Any = APIC
    tags.add(picture(mime="image/png", type=4, data=b"back"))
    tags.add(picture(mime="image/png", type=3, desc="front", data=saved(photo((500, 500)), "PNG")))
    tags.save(song)
    found = content(song.read_bytes(), Form(kind=Kind.AUDIO, format="mp3"))
    assert shape(found.thumbnails[400]) == (400, 400)
    assert found.width_px is None


def test_render_full_size() -> None:
    """A conversion keeps the full size."""
    data = saved(photo((1500, 1000)), "TIFF")
    full = render(io.BytesIO(data), Form(kind=Kind.PHOTO, format="tiff"), LIMITS)
    assert shape(full) == (1500, 1000)


def test_render_gives_a_smaller_picture_rather_than_none() -> None:
    """Where the full size takes more memory than there is, the largest half, quarter or eighth is given."""
    data = saved(photo((6000, 4000)), quality=60)
    full = render(io.BytesIO(data), JPEG, LIMITS)
    assert shape(full) == (3000, 2000)


def test_eager_formats_are_checked_before_they_are_opened() -> None:
    """A WebP that would take too much memory merely by being opened is not opened (T25)."""
    form = Form(kind=Kind.PHOTO, format="webp", pixels=100_000_000)
    with pytest.raises(NeedsMemory):
        open_picture(io.BytesIO(b""), form, side_px=800, limits=LIMITS)


def test_unknown_film_is_unsupported() -> None:
    """A container that is not on the list is refused without being opened (T25)."""
    with pytest.raises(Undecodable) as caught:
        open_picture(io.BytesIO(b"#EXTM3U"), Form(kind=Kind.VIDEO, format="hls"), side_px=800, limits=LIMITS)
    assert caught.value.refusal.reason == "unsupported"
