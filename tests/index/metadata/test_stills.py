"""Tests for the still readers (jpeg.py, exif.py, iptc.py, bitmaps.py, heif.py, raw.py, motion.py)."""

from __future__ import annotations

import io
import struct
from zoneinfo import ZoneInfo

import pillow_heif
import pytest
from PIL import Image

from pixlsrve.model import Kind, Refusal, TakenSource
from tests.index.metadata.samples import box, exif, facts, local_text, picture, rational, read, video, xmp

CAMERA = {0x010F: "Maker ", 0x0110: " Model 7 ", 0x0132: "2024:01:01 00:00:00"}
PHOTO = {
    0x829A: rational(1, 120),
    0x829D: rational(178, 100),
    0x8827: 400,
    0x9003: "2023:07:15 14:30:00",
    0x9291: "250",
    0xA434: "50mm f/1.8",
}
GPS = {
    1: "S",
    2: (rational(34, 1), rational(1, 1), rational(1689, 100)),
    3: "W",
    4: (rational(70, 1), rational(30, 1), rational(0, 1)),
    5: b"\1",
    6: rational(25, 2),
    7: (rational(18, 1), rational(30, 1), rational(1, 1)),
    29: "2023:07:15",
}
SIZES = {"PNG": "png", "WEBP": "webp", "GIF": "gif", "TIFF": "tiff", "BMP": "bmp", "JPEG2000": "jp2", "AVIF": "avif"}


def test_jpeg_says_all_its_exif() -> None:
    """Camera, exposure, moment and place of a JPEG arrive in the model's units."""
    result = facts(picture(exif=exif(CAMERA, PHOTO, GPS)))
    assert (result.kind, result.format, result.mime) == (Kind.PHOTO, "jpeg", "image/jpeg")
    assert (result.width_px, result.height_px, result.color_components, result.progressive) == (40, 30, 3, False)
    assert (result.camera_make, result.camera, result.lens, result.iso) == ("Maker", "Model 7", "50mm f/1.8", 400)
    assert result.exposure == "1/120"
    assert result.f_number == pytest.approx(1.78)
    assert result.latitude == pytest.approx(-34.0213583, abs=1e-6)
    assert (result.longitude, result.altitude_m) == (-70.5, -12.5)
    assert local_text(result) == "2023-07-15T14:30:00.250000"
    assert result.taken_source is TakenSource.DATE_TIME_ORIGINAL
    assert result.taken_us is not None
    assert result.taken_local_us is not None
    assert result.taken_us - result.taken_local_us == 4 * 3600 * 1_000_000  # from GPS time


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_turns_the_size(orientation: int) -> None:
    """Sizes are as displayed: orientations 5 to 8 swap the sides."""
    result = facts(picture(exif=exif({0x0112: orientation})))
    assert (result.width_px, result.height_px) == ((30, 40) if orientation >= 5 else (40, 30))
    assert result.orientation == orientation


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_invalid_orientation_is_none_at_all(orientation: int) -> None:
    """An orientation outside 1 to 8 counts as 1."""
    assert facts(picture(exif=exif({0x0112: orientation}))).orientation == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        ((1, 120), "1/120"),
        ((1, 4), "1/4"),
        ((3, 10), "0.3"),
        ((6, 10), "0.6"),
        ((4, 1), "4"),
        ((5, 2), "2.5"),
        ((0, 0), None),
    ],
)
def test_exposure_is_written_as_photographers_do(seconds: tuple[int, int], text: str | None) -> None:
    """Exposures below a quarter second are fractions, longer ones decimals (ExifTool's rule)."""
    assert facts(picture(exif=exif(photo={0x829A: rational(*seconds)}))).exposure == text


def test_offset_of_another_tag_holds_for_the_same_second() -> None:
    """OffsetTime counts for DateTimeOriginal only when both times are the same."""
    dates = {0x9003: "2023:07:15 14:30:00", 0x9010: "+05:45"}
    same = facts(picture(exif=exif({0x0132: "2023:07:15 14:30:00"}, dates)))
    edited = facts(picture(exif=exif({0x0132: "2024:07:15 14:30:00"}, dates)))
    assert same.taken_us is not None
    assert same.taken_local_us is not None
    assert same.taken_local_us - same.taken_us == 20_700 * 1_000_000
    assert edited.taken_us == edited.taken_local_us


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [((91, 1), (10, 1)), ((10, 1), (181, 1)), ((0, 1), (0, 1)), ((0, 0), (0, 0)), ((10, 1), (0, 0))],
)
def test_impossible_positions_are_absent(latitude: tuple[int, int], longitude: tuple[int, int]) -> None:
    """Positions that are not on Earth, undefined, or exactly 0, 0 are no positions; nothing is ever NaN (T25)."""
    gps = {1: "N", 2: (rational(*latitude),) * 1, 3: "E", 4: (rational(*longitude),) * 1}
    result = facts(picture(exif=exif(gps=gps)))
    assert (result.latitude, result.longitude, result.altitude_m) == (None, None, None)


def test_exif_longer_than_a_segment_is_joined() -> None:
    """An Exif block that goes on in the next segment is one block."""
    block = exif({0x010E: "x" * 60}, {0x9003: "2023:07:15 14:30:00"})[6:]
    parts = (block[:40], block[40:])
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", 8 + len(part)) + b"Exif\0\0" + part for part in parts)
    data = picture()
    assert local_text(facts(data[:2] + segments + data[2:])) == "2023-07-15T14:30:00"


def test_junk_between_segments_is_skipped() -> None:
    """Bytes between segments do not hide the frame behind them."""
    data = picture()  # the first segment ends at byte 20
    assert facts(data[:20] + b"\0\1\2junk" + data[20:]).width_px == 40


def test_apple_identifier_comes_from_the_maker_note() -> None:
    """A Live Photo's still names the identifier that its video names."""
    name = b"9B539AB8-A668-4FA6-9207-EB653A5E7E3C\0"
    note = b"Apple iOS\0\0\1MM\0\1" + struct.pack(">HHII", 17, 2, len(name), 32) + b"\0\0\0\0" + name
    assert facts(picture(exif=exif(photo={0x927C: note}))).content_identifier == name[:-1].decode()


def test_iptc_gives_texts_and_date() -> None:
    """IPTC datasets in a Photoshop segment are read, in UTF-8 when they say so."""
    sets = [
        (1, 90, b"\x1b%G"),
        (2, 5, "Größe".encode()),
        (2, 25, b"cat"),
        (2, 25, b"dog"),
        (2, 55, b"20230715"),
        (2, 60, b"143000+0200"),
    ]
    iptc = b"".join(struct.pack(">BBBH", 0x1C, record, dataset, len(value)) + value for record, dataset, value in sets)
    block = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc
    data = picture()
    result = facts(data[:2] + b"\xff\xed" + struct.pack(">H", 2 + len(block)) + block + data[2:])
    assert (result.title, result.keywords, result.taken_source) == ("Größe", ("cat", "dog"), TakenSource.IPTC)
    assert result.taken_us == result.taken_local_us - 7_200_000_000 if result.taken_local_us else False


@pytest.mark.parametrize("form", SIZES)
def test_other_formats_say_their_size(form: str) -> None:
    """Every still format gives kind, real name and size."""
    result = facts(picture(form))
    assert (result.kind, result.format, result.width_px, result.height_px) == (Kind.PHOTO, SIZES[form], 40, 30)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_other_formats_say_their_exif(form: str) -> None:
    """Exif is read out of every container that has it."""
    block = exif(CAMERA, {0x9003: "2023:07:15 14:30:00"})
    result = facts(picture(form, exif=block))
    assert (result.camera, local_text(result)) == ("Model 7", "2023-07-15T14:30:00")


def test_heif_agrees_with_libheif() -> None:
    """The primary item's size and Exif are those that libheif gives, rotation included."""
    file = io.BytesIO()
    still = pillow_heif.from_pillow(Image.new("RGB", (64, 48)))
    still.save(file, quality=50, exif=exif({0x0110: "Model 7", 0x0112: 6}))
    file.seek(0)
    result = facts(file.getvalue())
    assert (result.width_px, result.height_px) == pillow_heif.open_heif(file).size
    assert (result.camera, result.orientation, result.format) == ("Model 7", 1, "heic")


def test_animations_count_their_frames() -> None:
    """GIF, APNG and WebP say how many pictures they hold."""
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (0, 90, 180)]
    for form, name in (("GIF", "gif"), ("PNG", "apng"), ("WEBP", "webp")):
        file = io.BytesIO()
        frames[0].save(file, form, save_all=True, append_images=frames[1:], duration=50)
        result = facts(file.getvalue())
        assert (result.format, result.frame_count) == (name, 3)


def test_icons_are_as_large_as_their_largest_picture() -> None:
    """An icon file's size is that of its largest picture."""
    file = io.BytesIO()
    Image.new("RGBA", (64, 64)).save(file, "ICO", sizes=[(16, 16), (64, 64), (32, 32)])
    assert facts(file.getvalue()).width_px == 64


def test_dng_is_as_large_as_its_full_picture() -> None:
    """A RAW file's size is that of its main picture, not of the thumbnail in the first directory."""

    def directory(*entries: tuple[int, int, int]) -> bytes:
        rows = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in sorted(entries))
        return struct.pack("<H", len(entries)) + rows + bytes(4)

    first = [(0xFE, 4, 1), (0x100, 4, 160), (0x101, 4, 120), (0xC612, 1, 4), (0x14A, 4, 8 + 2 + 12 * 5 + 4)]
    data = b"II*\0\x08\0\0\0" + directory(*first) + directory((0xFE, 4, 0), (0x100, 4, 6000), (0x101, 4, 4000))
    result = facts(data)
    assert (result.format, result.width_px, result.height_px) == ("dng", 6000, 4000)


def test_xmp_is_read_where_exif_is_silent() -> None:
    """Date with offset, place, title and keywords come from XMP."""
    packet = xmp(
        'exif:DateTimeOriginal="2023-07-15T14:30:00.5+02:00" '
        'exif:GPSLatitude="50,5.375N" exif:GPSLongitude="14,23,50.6W"',
        "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>Castle</rdf:li></rdf:Alt></dc:title>"
        "<dc:subject><rdf:Bag><rdf:li>hill</rdf:li><rdf:li>river</rdf:li></rdf:Bag></dc:subject>",
    )
    result = facts(picture(xmp=packet))
    assert (result.title, result.keywords, result.taken_source) == ("Castle", ("hill", "river"), TakenSource.XMP)
    assert result.latitude == pytest.approx(50.0895833)
    assert result.longitude == pytest.approx(-14.3973888)
    assert local_text(result) == "2023-07-15T14:30:00.500000"


def test_xmp_entities_are_refused() -> None:
    """An XMP packet with a document type says nothing and costs nothing (T25)."""
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + xmp('xmp:CreateDate="2023-07-15"')
    assert facts(picture(xmp=bomb)).taken_us is None


@pytest.mark.parametrize("style", ["container", "micro"])
def test_google_motion_photos_are_found(style: str) -> None:
    """The video behind a still is found from the lengths that XMP gives."""
    film = video()
    if style == "micro":
        packet = xmp(f'GCamera:MicroVideo="1" GCamera:MicroVideoOffset="{len(film)}"')
    else:
        items = "".join(
            f'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="{what}" Item:Length="{length}"/></rdf:li>'
            for what, length in (("Primary", 0), ("GainMap", 0), ("MotionPhoto", len(film)))
        )
        packet = xmp("", f"<Container:Directory><rdf:Seq>{items}</rdf:Seq></Container:Directory>")
    still = picture(xmp=packet)
    result = facts(still + film)
    assert (result.motion_offset, result.motion_size_bytes) == (len(still), len(film))


def test_motion_photo_without_its_video_is_a_still() -> None:
    """XMP that announces a video that was cut off announces nothing."""
    assert facts(picture(xmp=xmp('GCamera:MicroVideoOffset="300"'))).motion_offset is None


def test_samsung_trailers_are_found() -> None:
    """The video in a Samsung trailer is found, with no XMP to announce it."""
    still, film, name = picture(exif=exif({0x010F: "samsung"})), video(), b"MotionPhoto_Data"
    record = struct.pack("<HHI", 0, 0x0A30, len(name)) + name + film
    directory = b"SEFH" + struct.pack("<IIHHII", 106, 1, 0, 0x0A30, len(record), len(record))
    data = still + record + directory + struct.pack("<I", len(directory)) + b"SEFT"
    result = facts(data)
    assert (result.motion_offset, result.motion_size_bytes) == (len(still) + 8 + len(name), len(film))


def test_heic_motion_photos_are_found() -> None:
    """The video in a HEIC's `mpvd` box is found."""
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 48))).save(file)
    still, film = file.getvalue(), video()
    result = facts(still + box(b"mpvd", film))
    assert (result.motion_offset, result.motion_size_bytes) == (len(still) + 8, len(film))


@pytest.mark.parametrize(
    ("name", "source"), [("IMG_20230715_143000.jpg", TakenSource.FILE_NAME), ("x.jpg", TakenSource.MODIFY_DATE)]
)
def test_file_names_come_before_the_modification_date(name: str, source: TakenSource) -> None:
    """A date in the name is better than ModifyDate and worse than everything else."""
    result = facts(picture(exif=exif(CAMERA)), name, ZoneInfo("Asia/Kathmandu"))
    assert result.taken_source is source


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello world, this is text" * 10, "unrecognised"),
        (b"\xff\xd8\xff\xe0", "damaged"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (b"\xff\x0a" + bytes(30), "unsupported"),
        (b"GIF89a\0\0\x20\0\0\0\0", "damaged"),
    ],
)
def test_refusals_name_their_reason(data: bytes, reason: str) -> None:
    """What is no readable media is refused with a stable word and a sentence."""
    result = read(data, "a.jpg")
    assert isinstance(result, Refusal)
    assert result.reason == reason
    assert result.message.endswith(".")


def test_texts_are_cleaned_and_bounded() -> None:
    """Texts lose control and bidirectional characters, and are cut to their limits (T25)."""
    result = facts(picture(exif=exif({0x0110: ("A\x07\x1b[31m\u202eb " + "c" * 999).encode(), 0x010E: "d" * 5000})))
    assert result.camera is not None
    assert result.camera.startswith("A[31mb c")
    assert len(result.camera) <= 256
    assert result.caption is not None
    assert len(result.caption) == 2048
