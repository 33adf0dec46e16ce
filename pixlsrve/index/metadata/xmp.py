"""XMP packets (ISO 16684-1): a bounded reading of the few properties that matter here."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any
from xml.parsers import expat

from pixlsrve.index.metadata import text
from pixlsrve.index.metadata.dates import SECOND_US, Moment, parse_iso
from pixlsrve.index.metadata.findings import Findings
from pixlsrve.index.metadata.source import Damaged
from pixlsrve.model import TakenSource

MAX_BYTES = 512 * 1024
_MAX_DEPTH = 32
_MAX_VALUES = 512
_MAX_CHARS = 4096

_PREFIXES = {
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.google.com/photos/1.0/camera/": "camera",
    "http://ns.google.com/photos/1.0/container/item/": "item",
}
_COORDINATE = re.compile(r"\s*(\d{1,3})(?:,(\d{1,2}(?:\.\d+)?))(?:,(\d{1,2}(?:\.\d+)?))?\s*([NSEW])\s*$")


class _Refused(Exception):
    """The packet holds what no XMP packet needs."""


class Packet:
    """The properties of one packet: `values["dc:subject"]` is a list, `items` the motion photo's container items."""

    def __init__(self, data: bytes) -> None:
        self.values: dict[str, list[str]] = defaultdict(list)
        self.items: list[dict[str, str]] = []
        self._path: list[str] = []
        self._text: list[str] = []
        self._chars = 0
        self._count = 0
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        try:
            parser.Parse(data[:MAX_BYTES].strip(b"\0 \r\n\t"), True)
        except (_Refused, expat.ExpatError, ValueError, LookupError):
            # A packet cut short has said something before the cut; an entity bomb has not.
            self._path.clear()

    def first(self, *names: str) -> str | None:
        """The first value of the first of these properties that has one."""
        return next((self.values[name][0] for name in names if self.values.get(name)), None)

    def _refuse(self, *_: Any) -> None:
        raise _Refused

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._path) >= _MAX_DEPTH:
            raise _Refused
        name = _short(tag)
        self._path.append(name)
        self._text.clear()
        self._chars = 0
        item: dict[str, str] = {}
        for key, value in attributes.items():
            short = _short(key)
            if short.startswith("item:"):
                item[short] = value[:_MAX_CHARS]
            elif short:
                self._add(short, value)
        if item:
            self.items.append(item)

    def _end(self, _tag: str) -> None:
        name = self._path.pop()
        value = "".join(self._text).strip()
        self._text.clear()
        self._chars = 0
        if not value:
            return
        owner = name or next((one for one in reversed(self._path) if one), "")
        if owner.startswith("item:"):
            self._add_item(owner, value)
        elif owner:
            self._add(owner, value)

    def _characters(self, data: str) -> None:
        self._chars += len(data)
        if self._chars <= _MAX_CHARS:
            self._text.append(data)

    def _add(self, name: str, value: str) -> None:
        self._count += 1
        if self._count > _MAX_VALUES:
            raise _Refused
        self.values[name].append(value[:_MAX_CHARS])

    def _add_item(self, name: str, value: str) -> None:
        self._count += 1
        if self._count > _MAX_VALUES:
            raise _Refused
        if not self.items or name in self.items[-1]:
            self.items.append({})
        self.items[-1][name] = value


def read_xmp(data: bytes, found: Findings) -> Packet:
    """Add what an XMP packet says and hand it back for what depends on the file around it."""
    if len(data) > MAX_BYTES:
        raise Damaged("the XMP packet is too large")
    packet = Packet(data)
    found.camera_make = found.camera_make or text.clean(packet.first("tiff:Make") or "")
    found.camera = found.camera or text.clean(packet.first("tiff:Model") or "")
    found.title = found.title or text.clean(packet.first("dc:title", "photoshop:Headline") or "")
    found.caption = found.caption or text.clean(packet.first("dc:description") or "", text.LONG)
    found.keywords = found.keywords or text.keywords(packet.values.get("dc:subject", ()))
    found.date(TakenSource.XMP, _moment(packet))
    stamp = parse_iso(packet.first("exif:GPSTimeStamp", "exif:GPSDateTime") or "")
    if stamp is not None:  # always UTC, whether it says so or not (XMP specification part 2, exif namespace)
        found.date(TakenSource.GPS, Moment(stamp.clock_us - (stamp.offset_s or 0) * SECOND_US, is_utc=True))
    found.place(
        _coordinate(packet.first("exif:GPSLatitude")), _coordinate(packet.first("exif:GPSLongitude")), _altitude(packet)
    )
    return packet


def _short(name: str) -> str:
    namespace, _, local = name.rpartition(" ")
    prefix = _PREFIXES.get(namespace)
    return f"{prefix}:{local}" if prefix else ""


def _moment(packet: Packet) -> Moment | None:
    for name in ("exif:DateTimeOriginal", "photoshop:DateCreated", "exif:DateTimeDigitized", "xmp:CreateDate"):
        value = packet.first(name)
        if value and (moment := parse_iso(value)):
            return moment
    return None


def _coordinate(value: str | None) -> float | None:
    """Signed degrees of `41,51.18N` or `41,51,10N` (XMP specification part 2, GPSCoordinate)."""
    match = _COORDINATE.match(value[:64]) if value else None
    if match is None:
        return None
    degrees = int(match[1]) + float(match[2] or 0) / 60 + float(match[3] or 0) / 3600
    return -degrees if match[4] in "SW" else degrees


def _altitude(packet: Packet) -> float | None:
    value = packet.first("exif:GPSAltitude")
    metres = text.number(value) if value else None
    if metres is None:
        return None
    return -metres if (packet.first("exif:GPSAltitudeRef") or "").strip() == "1" else metres
