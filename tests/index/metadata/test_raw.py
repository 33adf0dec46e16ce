"""Tests for raw.py on RAW files whose structure is not TIFF's, built as ExifTool documents them."""

from __future__ import annotations

import struct

import pytest

from pixlsrve.model import Refusal
from tests.index.metadata.samples import box, exif, facts, local_text, picture, read

CAMERA = {0x010F: "Maker", 0x0110: "Model 7"}
PHOTO = {0x9003: "2023:07:15 14:30:00"}


def tiff(**tags: dict[int, object]) -> bytes:
    """A TIFF structure of these tags alone."""
    return exif(**tags)[6:]


def test_cr3_is_read_from_its_canon_box() -> None:
    """A CR3's size, camera, date and place come from the TIFF blocks in Canon's box."""
    # Each block's own first directory is the image, the Exif, or the GPS directory.
    blocks = [
        box(b"CMT1", tiff(image={0x0100: 6000, 0x0101: 4000, 0x0112: 8, **CAMERA})),
        box(b"CMT2", tiff(image=dict(PHOTO))),
        box(b"CMT4", tiff(image={1: "N", 3: "E"})),
    ]
    uuid = box(b"uuid", bytes.fromhex("85c0b687820f11e08111f4ce462b6a48"), *blocks)
    result = facts(box(b"ftyp", b"crx \0\0\0\1crx isom") + box(b"moov", uuid))
    assert (result.format, result.width_px, result.height_px, result.orientation) == ("cr3", 4000, 6000, 8)
    assert (result.camera, local_text(result)) == ("Model 7", "2023-07-15T14:30:00")


def test_raf_is_read_from_its_preview_and_directory() -> None:
    """A RAF's Exif lies in its preview, its size in a directory of its own."""
    preview = picture(exif=exif({0x0112: 6, **CAMERA}, PHOTO))
    directory = struct.pack(">IHHHH", 1, 0x0111, 4, 4000, 6000)
    head = b"FUJIFILMCCD-RAW 0201".ljust(84, b"\0")
    places = struct.pack(">IIII", 100, len(preview), 100 + len(preview), len(directory))
    result = facts(head + places + preview + directory)
    assert (result.format, result.width_px, result.height_px) == ("raf", 4000, 6000)
    assert (result.camera, local_text(result)) == ("Model 7", "2023-07-15T14:30:00")


def test_mrw_is_read_from_its_blocks() -> None:
    """An MRW's size and Exif come from two of its blocks."""
    block = tiff(image=dict(CAMERA), photo=dict(PHOTO))
    sizes = b"21810002" + struct.pack(">HHHH", 1976, 2576, 1960, 2560) + bytes(8)
    blocks = b"\0PRD" + struct.pack(">I", len(sizes)) + sizes + b"\0TTW" + struct.pack(">I", len(block)) + block
    result = facts(b"\0MRM" + struct.pack(">I", len(blocks)) + blocks)
    assert (result.format, result.width_px, result.height_px) == ("mrw", 2560, 1960)
    assert (result.camera, local_text(result)) == ("Model 7", "2023-07-15T14:30:00")


def test_rw2_size_is_that_of_the_sensors_borders() -> None:
    """An RW2's size comes from the sensor's borders, also when its preview is too large to be looked at."""
    entries = [(4, 3, 1, 10), (5, 3, 1, 20), (6, 3, 1, 3010), (7, 3, 1, 4020), (0x2E, 7, 6_000_000, 100)]
    rows = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    result = facts(b"IIU\0\x08\0\0\0" + struct.pack("<H", len(entries)) + rows + bytes(200))
    assert (result.format, result.width_px, result.height_px) == ("rw2", 4000, 3000)


def test_rw2_sensitivity_beyond_all_bounds_is_none() -> None:
    """A number that no column of the index can hold must not reach it: it would end the reading of all files (T25)."""
    entries = [(4, 3, 1, 0), (5, 3, 1, 0), (6, 3, 1, 3000), (7, 3, 1, 4000), (0x17, 16, 1, 74)]
    rows = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    result = facts(b"IIU\0\x08\0\0\0" + struct.pack("<H", len(entries)) + rows + bytes(4) + b"\xff" * 8)
    assert (result.format, result.width_px, result.iso) == ("rw2", 4000, None)


@pytest.mark.parametrize("side", [-5, 2**63])
def test_tiff_of_impossible_size_is_damaged(side: int) -> None:
    """Sizes may be declared as signed or 64-bit numbers; a picture has neither."""
    kind, value = (17, struct.pack("<q", side)) if side < 0 else (16, struct.pack("<Q", side))
    rows = b"".join(struct.pack("<HHII", tag, kind, 1, 38) for tag in (0x0100, 0x0101))
    found = read(b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + rows + bytes(4) + value, "odd.tif")
    assert isinstance(found, Refusal)
    assert found.reason == "damaged"
