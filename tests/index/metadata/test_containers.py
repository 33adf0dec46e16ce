"""Tests for quicktime.py, film.py and sound.py on generated videos and sounds."""

# mypy: disable-error-code="no-untyped-call"
# mutagen has no annotations, and these tests write tags with it.

from __future__ import annotations

import io
import struct
from zoneinfo import ZoneInfo

import mutagen.flac
import mutagen.id3
import mutagen.mp4
import pytest
from mutagen.wave import WAVE

from pixlsrve.model import Kind, TakenSource
from tests.index.metadata.samples import box, facts, local_text, picture, sound, video


@pytest.mark.parametrize(
    ("container", "codec", "form"),
    [
        ("mp4", "mpeg4", "mp4"),
        ("mov", "mpeg4", "mov"),
        ("3gp", "mpeg4", "3gp"),
        ("matroska", "mpeg4", "mkv"),
        ("webm", "vp8", "webm"),
        ("avi", "mpeg4", "avi"),
        ("mpegts", "mpeg2video", "ts"),
    ],
)
def test_videos_say_size_length_and_codec(container: str, codec: str, form: str) -> None:
    """Every video container gives its size, its duration in seconds and its codecs."""
    result = facts(video(container, codec))
    assert (result.kind, result.format, result.width_px, result.height_px) == (Kind.VIDEO, form, 64, 48)
    assert result.duration_s == pytest.approx(2, abs=0.2)
    assert result.codecs == (codec,)


def test_creation_time_is_utc() -> None:
    """A film's creation time is UTC and shown in the host's zone."""
    result = facts(video(metadata={"creation_time": "2023-07-15T12:30:00Z"}), zone=ZoneInfo("Europe/Berlin"))
    assert (local_text(result), result.taken_source) == ("2023-07-15T14:30:00", TakenSource.CONTAINER)


@pytest.mark.parametrize("seconds", [0, 2_082_844_800])
def test_zero_dates_are_absent(seconds: int) -> None:
    """A creation time of 1904 or 1970 means that nobody set the clock."""
    data = bytearray(video())
    struct.pack_into(">I", data, data.index(b"mvhd") + 8, seconds)
    assert facts(bytes(data)).taken_us is None


def test_apple_names_beat_the_header() -> None:
    """Apple's creation date with its own offset, place, camera and identifier come from the `keys` list."""
    values = {
        "com.apple.quicktime.creationdate": "2026-03-23T15:57:19+0100",
        "com.apple.quicktime.location.ISO6709": "+49.1989-016.6071-222.469/",
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.model": "iPhone 13 Pro",
        "com.apple.quicktime.content.identifier": "9B539AB8",
    }
    keys = box(b"keys", bytes(4), struct.pack(">I", len(values)), *(box(b"mdta", name.encode()) for name in values))
    items = [
        box(struct.pack(">I", at), box(b"data", bytes(8), text.encode())) for at, text in enumerate(values.values(), 1)
    ]
    meta = box(b"meta", box(b"hdlr", bytes(24)), keys, box(b"ilst", *items))
    result = facts(_with_box(video("mov", metadata={"creation_time": "2026-05-23T10:18:57Z"}), meta))
    assert local_text(result) == "2026-03-23T15:57:19"
    assert result.taken_us is not None
    assert result.taken_local_us == result.taken_us + 3600 * 1_000_000
    assert (result.latitude, result.longitude, result.altitude_m) == (49.1989, -16.6071, -222.469)
    assert (result.camera_make, result.camera) == ("Apple", "iPhone 13 Pro")
    assert result.content_identifier == "9B539AB8"


def test_android_place_is_read() -> None:
    """The `©xyz` atom gives the place; one of exactly 0, 0 does not."""
    for text, latitude in ((b"+51.4169-000.0806/", 51.4169), (b"+00.0000+000.0000/", None)):
        atom = box(b"\xa9xyz", struct.pack(">HH", len(text), 0x15C7), text)
        assert facts(_with_box(video(), box(b"udta", atom))).latitude == latitude


@pytest.mark.parametrize(
    ("matrix", "size"), [((0, 1, -1, 0), (48, 64)), ((-1, 0, 0, -1), (64, 48)), ((0, -1, 1, 0), (48, 64))]
)
def test_rotation_turns_the_size(matrix: tuple[int, int, int, int], size: tuple[int, int]) -> None:
    """Sizes of films are as displayed: the track's matrix is applied."""
    data = bytearray(video())
    at = data.index(b"tkhd") + 4 + 40
    across, aside, down, along = (part << 16 for part in matrix)
    struct.pack_into(">5i", data, at, across, aside, 0, down, along)
    result = facts(bytes(data))
    assert (result.width_px, result.height_px) == size


@pytest.mark.parametrize(
    ("container", "codec", "form", "name"),
    [
        ("mp3", "libmp3lame", "mp3", "mp3"),
        ("flac", "flac", "flac", "flac"),
        ("ogg", "libopus", "opus", "opus"),
        ("wav", "pcm_s16le", "wav", "pcm_s16le"),
        ("aiff", "pcm_s16be", "aiff", "pcm_s16be"),
        ("mp4", "aac", "m4a", "aac"),
        ("asf", "wmav2", "wma", "wmav2"),
        ("adts", "aac", "aac", "aac"),
    ],
)
def test_sounds_say_length_and_codec(container: str, codec: str, form: str, name: str) -> None:
    """Every audio container gives its duration and codec, and an MP4 with sound alone is audio."""
    result = facts(sound(container, codec))
    assert (result.kind, result.format, result.codecs) == (Kind.AUDIO, form, (name,))
    assert result.duration_s == pytest.approx(2, abs=0.2)
    assert (result.width_px, result.has_cover) == (None, False)


def test_mp3_tags_and_cover() -> None:
    """ID3 gives title, artist, album and whether there is a cover."""
    file = io.BytesIO(sound("mp3", "libmp3lame"))
    tags = mutagen.id3.ID3()
    tags.add(mutagen.id3.TIT2(text=["Title"]))
    tags.add(mutagen.id3.TPE1(text=["Artist"]))
    tags.add(mutagen.id3.TALB(text=["Album"]))
    tags.add(mutagen.id3.APIC(mime="image/jpeg", data=picture()))
    tags.save(file)
    result = facts(file.getvalue())
    assert (result.title, result.artist, result.album, result.has_cover) == ("Title", "Artist", "Album", True)


def test_flac_m4a_and_wav_tags() -> None:
    """Vorbis comments, MP4 items and ID3 in RIFF give the same fields."""
    flac = io.BytesIO(sound("flac", "flac"))
    comments = mutagen.flac.FLAC(fileobj=flac)
    comments.update({"title": "Title", "artist": "Artist", "album": "Album"})
    cover = mutagen.flac.Picture()
    cover.data, cover.mime = picture(), "image/jpeg"
    comments.add_picture(cover)
    flac.seek(0)
    comments.save(fileobj=flac)
    m4a = io.BytesIO(sound("mp4", "aac"))
    items = mutagen.mp4.MP4(fileobj=m4a)
    items.update(
        {"\xa9nam": "Title", "\xa9ART": "Artist", "\xa9alb": "Album", "covr": [mutagen.mp4.MP4Cover(picture())]}
    )
    m4a.seek(0)
    items.save(fileobj=m4a)
    wav = io.BytesIO(sound("wav", "pcm_s16le"))
    riff = WAVE(fileobj=wav)
    riff.add_tags()
    assert riff.tags is not None
    for frame in (mutagen.id3.TIT2, mutagen.id3.TPE1, mutagen.id3.TALB):
        riff.tags.add(frame(text={"TIT2": "Title", "TPE1": "Artist", "TALB": "Album"}[frame.__name__]))
    wav.seek(0)
    riff.save(fileobj=wav)
    for file, has_cover in ((flac, True), (m4a, True), (wav, False)):
        result = facts(file.getvalue())
        assert (result.title, result.artist, result.album, result.has_cover) == ("Title", "Artist", "Album", has_cover)


def _with_box(film: bytes, extra: bytes) -> bytes:
    """The film with a box more at the end of its `moov`, which lies last and may grow."""
    at = film.index(b"moov") - 4
    (length,) = struct.unpack_from(">I", film, at)
    assert at + length == len(film)
    return film[:at] + struct.pack(">I", length + len(extra)) + film[at + 4 :] + extra
