"""The TIFF directory structure that Exif blocks, TIFF, BigTIFF and most RAW files share (TIFF 6.0 §2, Exif 2.32 §4.5).

Pillow has a reader too. This one takes only the tags it is asked for and never more bytes of a value than a header may
have, which makes it an order of magnitude faster and safe on files of any size.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Collection

from pixlsrve.index.metadata.source import Damaged

Value = bytes | tuple[int, ...] | tuple[float, ...]
"""Texts and raw bytes as bytes, rationals and floats as floats (NaN for 0/0), other numbers as ints."""

Read = Callable[[int, int], bytes]
"""`read(offset, length)`: at most that many bytes."""

MAX_ENTRIES = 1024
MAX_VALUE_BYTES = 512 * 1024
MAX_NUMBERS = 256
IPTC_TAG = 0x83BB

# TIFF field types: size in bytes, and struct code where the value is numbers. 13 is IFD, 16 to 18 are BigTIFF's.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1}
_CODES = {3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_RATIONALS = {5: "I", 10: "i"}

# 42 is TIFF, 43 BigTIFF, 0x55 Panasonic RW2, "RO" and "RS" Olympus ORF.
_MAGICS = frozenset({42, 43, 0x55, 0x4F52, 0x5352})


class Tiff:
    """Reads directories from one TIFF structure. Raises Damaged when there is none."""

    def __init__(self, read: Read) -> None:
        head = read(0, 16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None or len(head) < 8:
            raise Damaged("no TIFF header")
        self.read = read
        self.order = order
        magic = struct.unpack_from(order + "H", head, 2)[0]
        if magic not in _MAGICS:
            raise Damaged("no TIFF header")
        self.is_big = magic == 43
        if self.is_big and len(head) < 16:
            raise Damaged("the TIFF header is cut short")
        self.first = int(struct.unpack_from(order + ("Q" if self.is_big else "I"), head, 8 if self.is_big else 4)[0])
        self._entry = struct.Struct(order + ("HHQ8s" if self.is_big else "HHI4s"))

    def directory(self, offset: int, wanted: Collection[int]) -> tuple[dict[int, Value], int]:
        """The wanted tags of the directory at `offset`, and where the next directory is (0: nowhere).

        Entries that make no sense are left out; an unreadable directory is empty. The first of equal tags counts.
        """
        width, count_code, next_code = (8, "Q", "Q") if self.is_big else (2, "H", "I")
        head = self.read(offset, width)
        if offset <= 0 or len(head) < width:
            return {}, 0
        count = int(struct.unpack(self.order + count_code, head)[0])
        entry = self._entry
        body = self.read(offset + width, min(count, MAX_ENTRIES) * entry.size + (8 if self.is_big else 4))
        whole = min(count, MAX_ENTRIES, len(body) // entry.size)
        found: dict[int, Value] = {}
        for tag, kind, number, inline in entry.iter_unpack(body[: whole * entry.size]):
            if tag in wanted and tag not in found and (value := self._value(tag, kind, number, inline)) is not None:
                found[tag] = value
        tail = body[count * entry.size :] if count <= MAX_ENTRIES else b""
        following = struct.unpack_from(self.order + next_code, tail)[0] if len(tail) >= (8 if self.is_big else 4) else 0
        return found, int(following)

    def _value(self, tag: int, kind: int, number: int, inline: bytes) -> Value | None:
        size = _SIZES.get(kind)
        if size is None or not number:
            return None
        # IPTC is often declared as numbers, and is bytes in the file's order all the same.
        code = None if tag == IPTC_TAG else _CODES.get(kind) or _RATIONALS.get(kind)
        if code is not None:
            number = min(number, MAX_NUMBERS)
        length = size * number
        if length > MAX_VALUE_BYTES:
            return None
        data = inline[:length] if length <= len(inline) else self.read(self._offset(inline), length)
        if code is None:
            return data or None
        number = len(data) // size  # fewer when the file ends early
        if kind in _RATIONALS:
            return tuple(_ratios(struct.unpack_from(f"{self.order}{number * 2}{code}", data)))
        return struct.unpack_from(f"{self.order}{number}{code}", data) if number else None

    def _offset(self, inline: bytes) -> int:
        return int(struct.unpack(self.order + ("Q" if self.is_big else "I"), inline)[0])


def _ratios(parts: tuple[int, ...]) -> list[float]:
    return [parts[at] / parts[at + 1] if parts[at + 1] else math.nan for at in range(0, len(parts) - 1, 2)]


def first_number(value: Value | None) -> float | None:
    """The first number of a numeric value, None when there is none or it is not finite."""
    if not value or isinstance(value, bytes):
        return None
    number = value[0]
    return number if math.isfinite(number) else None


def first_int(value: Value | None) -> int | None:
    """As first_number, for whole numbers."""
    number = first_number(value)
    return None if number is None else int(number)
