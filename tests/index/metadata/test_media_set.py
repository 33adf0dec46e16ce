"""Every file of the large media set gives what an independent reader says about it (docs/formats.md, "Differences").

The expected values come from ExifTool 12.57 and ffprobe 5.1. Differences are allowed by rule, each rule with its
reason beside it; no file is named.
"""

from __future__ import annotations

import json
import os
import re
import struct
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pixlsrve.index.metadata import RAW_FORMATS, read_facts
from pixlsrve.model import Facts, Kind, Refusal, TakenSource

Row = dict[str, Any]

_FOLDER = os.environ.get("PIXLSRVE_TEST_MEDIA")
pytestmark = pytest.mark.skipif(not _FOLDER, reason="PIXLSRVE_TEST_MEDIA does not name the folder of the media set")

_FORMATS = {"extended webp": "webp", "btf": "tiff", "mpo": "jpeg", "jxl codestream": "jxl"}
_DATE = re.compile(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _rows() -> list[Row]:
    if not _FOLDER:
        return []
    rows: list[Row] = json.loads((Path(_FOLDER) / "expected.json").read_text("utf-8"))
    return rows


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files with awkward names, which travel in an archive."""
    folder = tmp_path_factory.mktemp("names")
    with tarfile.open(Path(_FOLDER or "") / "awkward-names.tar") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize("row", _rows(), ids=lambda row: str(row["path"])[-60:])
def test_file_gives_what_the_independent_reader_says(row: Row, unpacked: Path) -> None:
    """Kind, size, camera, exposure, date, place, duration and tags agree, or differ by an explained rule."""
    path = Path(_FOLDER or "") / row["path"]
    path = path if path.exists() else unpacked / row["path"]
    with path.open("rb", buffering=0) as file:
        result = read_facts(file, path.name, zone=UTC, max_pixels=100_000_000)
    if isinstance(result, Refusal):
        assert _may_be_refused(row, result), result
        return
    if row["kind"] == "corrupt":
        return  # that it gives no exception is all: readers may differ on what a broken file still says
    data = path.read_bytes()
    for compare in (_kind, _size, _camera, _exposure, _place, _date, _instant, _length, _tags, _details):
        differences = list(compare(row, result, data))
        assert not differences, differences


def _may_be_refused(row: Row, refusal: Refusal) -> bool:
    if row["kind"] == "corrupt":
        return True
    if row["mime"] == "image/jxl":
        return refusal.reason == "unsupported"
    # A width or height that no picture has (a negative number read as a positive one).
    return refusal.reason == "damaged" and max(row["width"], row["height"]) >= 2**31


def _differs(name: str, ours: Any, theirs: Any, tolerance: float = 0) -> list[str]:
    if ours == theirs or (tolerance and None not in (ours, theirs) and abs(ours - theirs) <= tolerance):
        return []
    return [f"{name}: ours {ours!r}, theirs {theirs!r}"]


def _kind(row: Row, ours: Facts, data: bytes) -> list[str]:
    name = _FORMATS.get(row["file_type"].lower(), row["file_type"].lower())
    if row["kind"] == "other":  # an AVIF sequence is a still that moves
        return _differs("kind", (ours.kind, ours.format), (Kind.PHOTO, "avif"))
    if data[4:12] == b"ftypqt  ":  # QuickTime by its brand, whatever the name ends in
        name = "mov"
    if row["kind"] == "audio" and name == "mp4":  # named by its tracks
        name = "m4a"
    return _differs("kind", (str(ours.kind), ours.format), (row["kind"], name))


def _size(row: Row, ours: Facts, _: bytes) -> list[str]:
    mine, theirs = (ours.width_px, ours.height_px), (row["oriented_width"], row["oriented_height"])
    if row["size_disputed"]:
        return _differs("height", ours.height_px, row["oriented_height"])
    if (
        ours.format in {"x3f", "crw"} and ours.orientation >= 5
    ):  # turned as the header says; ExifTool gives it as stored
        mine = mine[::-1]
    return _differs("size", mine, theirs)


def _camera(row: Row, ours: Facts, _: bytes) -> list[str]:
    return [
        *_differs("camera", ours.camera, row["camera_model"] and row["camera_model"].strip()),
        *_differs("lens", ours.lens, row["lens"]),
    ]


def _exposure(row: Row, ours: Facts, _: bytes) -> list[str]:
    if ours.format == "x3f":  # from its own property list, which the expectation leaves out
        return []
    return [
        *_differs("iso", ours.iso, row["iso"]),
        *_differs("exposure", ours.exposure, row["exposure"]),
        *_differs("f_number", ours.f_number, row["f_number"], 0.01),
    ]


def _place(row: Row, ours: Facts, data: bytes) -> list[str]:
    gps = row["gps"]
    if gps is None and ours.latitude is not None and b"exif:GPSLatitude" in data:
        return []  # a position in XMP alone counts too
    if gps and not (abs(gps["latitude"]) <= 90 and abs(gps["longitude"]) <= 180):
        gps = None  # not on Earth
    if gps and gps["latitude"] == gps["longitude"] == 0:
        gps = None  # the contract calls it absent
    gps = gps or {}
    return [
        *_differs("latitude", ours.latitude, gps.get("latitude"), 1e-5),
        *_differs("longitude", ours.longitude, gps.get("longitude"), 1e-5),
        *_differs("altitude", ours.altitude_m, gps.get("altitude"), 0.1),
    ]


def _date(row: Row, ours: Facts, _: bytes) -> list[str]:
    local = None if ours.taken_local_us is None else _EPOCH + timedelta(microseconds=ours.taken_local_us)
    text = f"{local.year:04}{local:%m%d%H%M%S}" if local else None
    apple = row["creation_date"] and _real(row["creation_date"][:19])
    if theirs := apple or _real(row["date_time_original"]) or _real(row["create_date"]):
        # A sequence's film header is the one container date that is not read.
        return [] if row["kind"] == "other" and text is None else _differs("date", text, re.sub(r"\D", "", theirs))
    if ours.taken_source is TakenSource.MODIFY_DATE:
        return _differs("modify date", text, re.sub(r"\D", "", _real(row["modify_date"]) or ""))
    if text is None:
        return _differs("no date", None, _real(row["modify_date"]))
    # The expectation holds no dates from these; the contract wants them before ModifyDate.
    allowed = {TakenSource.XMP, TakenSource.IPTC, TakenSource.GPS, TakenSource.FILE_NAME, TakenSource.CONTAINER}
    return [] if ours.taken_source in allowed else [f"date: {text} from {ours.taken_source}"]


def _real(date: str | None) -> str | None:
    """The date if a calendar has it."""
    if date is None or not _DATE.fullmatch(date):
        return None
    try:
        datetime.strptime(date, "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return date


def _instant(row: Row, ours: Facts, _: bytes) -> list[str]:
    differences = []
    if row["sub_sec"] and ours.taken_source is TakenSource.DATE_TIME_ORIGINAL and ours.taken_local_us is not None:
        fraction = int(row["sub_sec"][:6].ljust(6, "0"))
        differences += _differs("sub-seconds", ours.taken_local_us % 1_000_000, fraction)
    if (offset := row["offset_time_original"]) and ours.taken_us is not None and ours.taken_local_us is not None:
        seconds = (int(offset[1:3]) * 3600 + int(offset[4:6]) * 60) * (-1 if offset[0] == "-" else 1)
        differences += _differs("offset", (ours.taken_local_us - ours.taken_us) // 1_000_000, seconds)
    return differences


def _length(row: Row, ours: Facts, data: bytes) -> list[str]:
    if row["duration_s"] is None:
        return []
    theirs = row["duration_s"]
    if ours.format == "opus":  # RFC 7845 §4.2: the samples to skip at the start do not count
        theirs -= struct.unpack_from("<H", data, data.index(b"OpusHead") + 10)[0] / 48000
        return _differs("duration", ours.duration_s, theirs, 0.2)
    return _differs("duration", ours.duration_s, theirs, 0.2)


def _tags(row: Row, ours: Facts, data: bytes) -> list[str]:
    if ours.kind is Kind.PHOTO:
        return []
    differences = []
    for name in ("title", "artist", "album"):
        if not (row[name] is None and ours.kind is Kind.VIDEO and b"<x:xmpmeta" in data):  # ffprobe reads no XMP
            differences += _differs(name, getattr(ours, name), row[name])
    if row["has_cover"] is not None:
        differences += _differs("cover", ours.has_cover, row["has_cover"])
    if row["codecs"] is not None:
        differences += _differs("codecs", sorted(ours.codecs), sorted(row["codecs"]))
    return differences


def _details(row: Row, ours: Facts, _: bytes) -> list[str]:
    if ours.format in RAW_FORMATS:  # ExifTool's are those of the embedded preview
        return []
    differences = []
    for name in ("content_identifier", "frame_count", "bit_depth", "progressive", "color_components"):
        # QuickTime's nominal depth says nothing about the film.
        if row[name] is not None and not (name == "bit_depth" and ours.kind is Kind.VIDEO):
            differences += _differs(name, getattr(ours, name), row[name])
    return differences
