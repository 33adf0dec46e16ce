"""The cover picture that an audio file carries in its tags."""

from __future__ import annotations

import base64
import binascii
import io
from typing import Any, BinaryIO

import mutagen
from mutagen.flac import Picture as FlacPicture

from pixlsrve.media.decode.limits import MIB

MAX_COVER_BYTES = 32 * MIB
_FRONT = 3  # picture type "cover (front)" of ID3v2 APIC, which FLAC and Ogg share


def cover(source: BinaryIO) -> BinaryIO | None:
    """The front cover's bytes, else the first picture's; None where there is none that can be read."""
    source.seek(0)
    try:
        tagged = mutagen.File(source)
        pictures = _pictures(tagged) if tagged is not None else []
    except (mutagen.MutagenError, OSError, ValueError, KeyError, IndexError, EOFError, OverflowError):
        return None
    usable = [(kind, data) for kind, data in pictures if data and len(data) <= MAX_COVER_BYTES]
    if not usable:
        return None
    return io.BytesIO(next((data for kind, data in usable if kind == _FRONT), usable[0][1]))


def _pictures(tagged: Any) -> list[tuple[int, bytes]]:
    """(picture type, bytes) of every picture, whatever the tag format calls it."""
    found = [(picture.type, picture.data) for picture in getattr(tagged, "pictures", [])]
    tags = tagged.tags
    if tags is None:
        return found
    if hasattr(tags, "getall"):
        found += [(frame.type, frame.data) for frame in tags.getall("APIC")]
    for key, value in _items(tags):
        if key == "covr":
            found += [(_FRONT, bytes(item)) for item in value]
        elif key == "metadata_block_picture":
            found += [_block(text) for text in value]
        elif key == "wm/picture":
            found += [_asf(bytes(item.value)) for item in value]
        elif key.startswith("cover art"):
            found.append((_FRONT if "front" in key else 0, bytes(value.value).split(b"\0", 1)[-1]))
    return found


def _items(tags: Any) -> list[tuple[str, Any]]:
    return [(str(key).lower(), tags[key]) for key in list(tags.keys())] if hasattr(tags, "keys") else []


def _block(text: str) -> tuple[int, bytes]:
    """A FLAC picture block in base64, as Ogg comments hold it (Xiph, METADATA_BLOCK_PICTURE)."""
    try:
        picture = FlacPicture(base64.b64decode(text))  # type: ignore[no-untyped-call]
    except (binascii.Error, ValueError, mutagen.MutagenError):
        return 0, b""
    return picture.type, picture.data


def _asf(data: bytes) -> tuple[int, bytes]:
    """WM/Picture: type (1 byte), length (4), MIME and description (UTF-16, each ending in a NUL), picture."""
    if len(data) < 9:
        return 0, b""
    position = 5
    for _ in range(2):
        while position + 1 < len(data) and data[position : position + 2] != b"\0\0":
            position += 2
        position += 2
    return data[0], data[position:]
