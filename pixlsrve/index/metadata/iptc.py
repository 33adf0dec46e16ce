"""IPTC-IIM datasets, bare or in Photoshop's resource blocks (IIM 4.2; Photoshop file format, image resources)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pixlsrve.index.metadata import text
from pixlsrve.index.metadata.dates import Moment, parse_iso
from pixlsrve.index.metadata.findings import Findings
from pixlsrve.model import TakenSource

_MAX_DATASETS = 512
_TITLE, _KEYWORD, _DATE, _TIME, _CAPTION = 5, 25, 55, 60, 120
_IPTC_RESOURCE = 0x0404


def read_photoshop(block: bytes, found: Findings) -> None:
    """Add what the IPTC resource in a sequence of Photoshop resources says."""
    at = 0
    while block[at : at + 4] == b"8BIM" and at + 12 <= len(block):
        (resource,) = struct.unpack_from(">H", block, at + 4)
        name_bytes = block[at + 6] + 1
        at += 6 + name_bytes + name_bytes % 2
        if at + 4 > len(block):
            return
        (length,) = struct.unpack_from(">I", block, at)
        at += 4
        if resource == _IPTC_RESOURCE:
            read_iptc(block[at : at + length], found)
            return
        at += length + length % 2


def read_iptc(block: bytes, found: Findings) -> None:
    """Add title, caption, keywords and creation date of the application record (2)."""
    values: dict[int, list[bytes]] = {}
    is_utf8 = False
    for record, dataset, value in _datasets(block):
        if (record, dataset) == (1, 90):
            is_utf8 = value == b"\x1b%G"
        elif record == 2:
            values.setdefault(dataset, []).append(value)
    words = [word for value in values.get(_KEYWORD, ()) if (word := _text(value, is_utf8=is_utf8))]
    found.keywords = found.keywords or text.keywords(words)
    if _TITLE in values:
        found.title = found.title or _text(values[_TITLE][0], is_utf8=is_utf8)
    if _CAPTION in values:
        found.caption = found.caption or _text(values[_CAPTION][0], text.LONG, is_utf8=is_utf8)
    if _DATE in values:
        found.date(TakenSource.IPTC, _moment(values[_DATE][0], values.get(_TIME, [b""])[0]))


def _datasets(block: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    for _ in range(_MAX_DATASETS):
        if at + 5 > len(block) or block[at] != 0x1C:
            return
        record, dataset, length = struct.unpack_from(">BBH", block, at + 1)
        if length & 0x8000:  # an extended dataset: nothing that is read here is that long
            return
        yield record, dataset, block[at + 5 : at + 5 + length]
        at += 5 + length


def _text(value: bytes, limit: int = text.SHORT, *, is_utf8: bool) -> str | None:
    return text.clean(value.decode("utf-8", "ignore"), limit) if is_utf8 else text.decode(value, limit)


def _moment(day: bytes, time: bytes) -> Moment | None:
    """`CCYYMMDD` and `HHMMSS±HHMM` (IIM 2:55, 2:60)."""
    stamp = day[:8].decode("latin-1") + ("T" + time[:11].decode("latin-1") if time else "")
    return parse_iso(stamp) or parse_iso(stamp[:8])
