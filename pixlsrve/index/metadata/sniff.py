"""What a file is, by its first bytes (the signatures are those of the formats' own specifications)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from pixlsrve.index.metadata.source import Damaged
from pixlsrve.index.metadata.tiff import Tiff, first_int
from pixlsrve.model import Kind


class Format(NamedTuple):
    """A file's real format."""

    kind: Kind
    name: str
    mime: str


_PHOTO_MIMES = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "apng": "image/apng",
    "gif": "image/gif",
    "webp": "image/webp",
    "bmp": "image/bmp",
    "ico": "image/x-icon",
    "tiff": "image/tiff",
    "jp2": "image/jp2",
    "jxl": "image/jxl",
    "heic": "image/heic",
    "heif": "image/heif",
    "avif": "image/avif",
}
_RAW_MIMES = {
    "dng": "image/x-adobe-dng",
    "cr2": "image/x-canon-cr2",
    "cr3": "image/x-canon-cr3",
    "crw": "image/x-canon-crw",
    "nef": "image/x-nikon-nef",
    "nrw": "image/x-nikon-nrw",
    "arw": "image/x-sony-arw",
    "sr2": "image/x-sony-sr2",
    "srf": "image/x-sony-srf",
    "orf": "image/x-olympus-orf",
    "rw2": "image/x-panasonic-rw2",
    "rwl": "image/x-leica-rwl",
    "raf": "image/x-fujifilm-raf",
    "pef": "image/x-pentax-pef",
    "srw": "image/x-samsung-srw",
    "x3f": "image/x-sigma-x3f",
    "mrw": "image/x-minolta-mrw",
    "3fr": "image/x-hasselblad-3fr",
    "fff": "image/x-hasselblad-fff",
    "iiq": "image/x-phaseone-iiq",
    "kdc": "image/x-kodak-kdc",
    "dcr": "image/x-kodak-dcr",
    "erf": "image/x-epson-erf",
    "mef": "image/x-mamiya-mef",
    "mos": "image/x-leaf-mos",
    "gpr": "image/x-gopro-gpr",
}
_VIDEO_MIMES = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "m4v": "video/x-m4v",
    "3gp": "video/3gpp",
    "3g2": "video/3gpp2",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "avi": "video/x-msvideo",
    "m2ts": "video/m2ts",
    "ts": "video/mp2t",
    "mpeg": "video/mpeg",
    "wmv": "video/x-ms-wmv",
    "flv": "video/x-flv",
    "ogv": "video/ogg",
}
_AUDIO_MIMES = {
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "aac": "audio/aac",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "wav": "audio/x-wav",
    "aiff": "audio/x-aiff",
    "wma": "audio/x-ms-wma",
    "ape": "audio/x-monkeys-audio",
}
RAW_FORMATS = frozenset(_RAW_MIMES)
"""Formats that hold sensor data, and a preview beside it."""

_FORMATS = {
    name: Format(kind, name, mime)
    for kind, mimes in (
        (Kind.PHOTO, _PHOTO_MIMES | _RAW_MIMES),
        (Kind.VIDEO, _VIDEO_MIMES),
        (Kind.AUDIO, _AUDIO_MIMES),
    )
    for name, mime in mimes.items()
}

_MORE_EXTENSIONS = {
    Kind.PHOTO: (
        *("jpg", "jpe", "jfif", "mpo", "tif", "dib", "jpf", "jpx", "j2k", "j2c", "jpc"),
        *("hif", "heics", "heifs", "avifs", "insp"),
    ),
    Kind.VIDEO: ("qt", "mts", "m2t", "mpg", "mpe", "vob", "mod", "asf", "3gpp", "insv", "lrv"),
    Kind.AUDIO: ("m4b", "oga", "aif", "aifc", "wave"),
}
EXTENSIONS: Mapping[str, Kind] = MappingProxyType(
    {name: form.kind for name, form in _FORMATS.items()}
    | {extension: kind for kind, extensions in _MORE_EXTENSIONS.items() for extension in extensions}
)
"""File name extensions (lower case, no dot) that belong to media, and what such files usually are."""

_BRANDS = {
    "heic": ("heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"),
    "avif": ("avif", "avis"),
    "heif": ("mif1", "msf1", "mif2", "1pic", "jpeg", "jpgs"),
    "cr3": ("crx ",),
    "mov": ("qt  ",),
    "m4a": ("M4A ", "M4B ", "M4P ", "F4A ", "F4B "),
    "m4v": ("M4V ", "M4VH", "M4VP"),
    "3g2": ("3g2a", "3g2b", "3g2c", "KDDI"),
}
_FORMAT_OF_BRAND = {brand: name for name, brands in _BRANDS.items() for brand in brands}
_OLD_QUICKTIME = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})

_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")

_PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    (b"FUJIFILMCCD-RAW", "raf"),
    (b"FOVb", "x3f"),
    (b"\0MRM", "mrw"),
    (b"IIU\0", "rw2"),
    (b"IIRO", "orf"),
    (b"IIRS", "orf"),
    (b"MMOR", "orf"),
    (b"fLaC", "flac"),
    (b"MAC ", "ape"),
    (b"FLV\x01", "flv"),
    (b"\0\0\x01\xba", "mpeg"),
    (b"\0\0\x01\xb3", "mpeg"),
)


def sniff(head: bytes, name: str) -> Format | None:
    """What a file is that begins with `head`, or None when it is no media known here.

    Give the first 64 KiB, or all there is. `name` decides only between RAW formats whose structure is the same TIFF.
    An MP4 with sound alone is known only by its tracks, so it is video here and `read_facts` says audio.
    """
    found = _sniff_name(head, name)
    return None if found is None else _FORMATS[found]


def format_named(name: str) -> Format:
    """The format with this lower-case name. Raises KeyError."""
    return _FORMATS[name]


def _sniff_name(head: bytes, name: str) -> str | None:
    for prefix, form in _PREFIXES:
        if head.startswith(prefix):
            return form
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "apng" if _is_animated_png(head) else "png"
    if head[:2] in {b"II", b"MM"}:
        return _tiff_variant(head, name)
    if head[4:8] == b"ftyp":
        return _brand(head)
    return _riff(head) or _stream(head) or _image(head) or _mpeg(head)


def _riff(head: bytes) -> str | None:
    if head[:4] in {b"RIFF", b"RF64"}:
        return {b"WEBP": "webp", b"WAVE": "wav", b"AVI ": "avi"}.get(head[8:12])
    if head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}:
        return "aiff"
    return None


def _stream(head: bytes) -> str | None:
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm" if b"webm" in head[:64] else "mkv"
    if head.startswith(b"OggS"):
        first = head[28:128]
        return "opus" if b"OpusHead" in first else "ogv" if b"theora" in first else "ogg"
    if head.startswith(_ASF):
        return "wmv" if _ASF_VIDEO in head else "wma"
    if head[4:8] in _OLD_QUICKTIME and (int.from_bytes(head[:4], "big") >= 8 or head[:4] == b"\0\0\0\1"):
        return "mov"
    if head[:1] == b"\x47" and head[188:189] == b"\x47" and head[376:377] == b"\x47":
        return "ts"
    if head[4:5] == b"\x47" and head[196:197] == b"\x47" and head[388:389] == b"\x47":
        return "m2ts"
    return None


def _image(head: bytes) -> str | None:
    if (
        head[:2] == b"BM"
        and len(head) >= 26
        and struct.unpack_from("<I", head, 14)[0] in {12, 16, 40, 52, 56, 64, 108, 124}
    ):
        return "bmp"
    # An icon has no signature: type 1, some entries, and the first entry's reserved byte 0 and bytes within the file.
    if head[:4] == b"\0\0\1\0" and len(head) >= 22 and head[4] > 0 and head[5] == 0 and head[9] == 0:
        return "ico"
    return None


def _mpeg(head: bytes) -> str | None:
    """MPEG audio: an ID3 tag with sound behind it, or two frames in a row (ISO 11172-3 §2.4.1.3, ISO 13818-7 ADTS)."""
    start = 0
    if head.startswith(b"ID3") and len(head) >= 10:
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        after = head[start : start + 4]
        if after == b"fLaC":
            return "flac"
        if len(after) < 4 or not after.startswith(b"\xff"):
            return "mp3"
    if head[start : start + 2] in {b"\xff\xf1", b"\xff\xf9"}:
        return "aac"
    length = _mp3_frame_bytes(head[start : start + 4])
    if length is None:
        return "mp3" if start else None
    following = head[start + length : start + length + 4]
    return "mp3" if start or len(following) < 4 or _mp3_frame_bytes(following) else None


def _mp3_frame_bytes(header: bytes) -> int | None:
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer, rate, sampling = header[1] >> 3 & 3, header[1] >> 1 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer != 1 or rate in {0, 15} or sampling == 3:
        return None
    kilobits = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    lower = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    hertz = (44100, 48000, 32000)[sampling] >> {3: 0, 2: 1, 0: 2}[version]
    per_frame = 144_000 * kilobits[rate - 1] if version == 3 else 72_000 * lower[rate - 1]
    return per_frame // hertz + (header[2] >> 1 & 1)


def _is_animated_png(head: bytes) -> bool:
    """Whether an acTL chunk stands before the image data (APNG specification)."""
    at = 8
    while at + 8 <= len(head):
        length, chunk = int.from_bytes(head[at : at + 4], "big"), head[at + 4 : at + 8]
        if chunk == b"acTL":
            return True
        if chunk == b"IDAT":
            return False
        at += 12 + length
    return False


def _brand(head: bytes) -> str | None:
    """The format of an ISO base media file, by its major brand, then by the compatible ones (ISO 14496-12 §4.3)."""
    length = min(int.from_bytes(head[:4], "big"), 1024, len(head))
    brands = [head[at : at + 4].decode("latin-1") for at in (8, *range(16, length - 3, 4))]
    major = brands[0]
    if major in {"mif1", "msf1"} and any(_FORMAT_OF_BRAND.get(brand) == "avif" for brand in brands):
        return "avif"
    if major in _FORMAT_OF_BRAND:
        return _FORMAT_OF_BRAND[major]
    if major.startswith("3g"):
        return "3gp"
    stills = (_FORMAT_OF_BRAND.get(brand) for brand in brands[1:])
    return next((form for form in stills if form in {"heic", "avif", "cr3"}), "mp4")


_SUB_IFDS, _PHOTOMETRIC, _DNG_VERSION, _MAKE = 0x014A, 0x0106, 0xC612, 0x010F
_SENSOR_PIXELS = frozenset({32803, 34892})
_RAW_OF_MAKE = (
    (b"NIKON", ("nef", "nrw")),
    (b"SONY", ("arw", "sr2", "srf")),
    (b"PENTAX", ("pef",)),
    (b"RICOH", ("pef",)),
    (b"SAMSUNG", ("srw",)),
    (b"HASSELBLAD", ("3fr", "fff")),
    (b"PHASE ONE", ("iiq",)),
    (b"LEAF", ("mos",)),
    (b"MAMIYA", ("mef", "mos")),
    (b"EPSON", ("erf",)),
    (b"SEIKO EPSON", ("erf",)),
    (b"EASTMAN KODAK", ("dcr", "kdc")),
    (b"KODAK", ("dcr", "kdc")),
    (b"GOPRO", ("gpr",)),
)


def _tiff_variant(head: bytes, name: str) -> str | None:
    """Which of the formats built on TIFF it is."""
    if head[:4] in {b"II\x1a\0", b"II\x0e\0"} and head[6:14] == b"HEAPCCDR":
        return "crw"
    if head[8:10] == b"CR" and head[:4] == b"II*\0":
        return "cr2"
    try:
        tiff = Tiff(lambda offset, length: head[offset : offset + length] if offset >= 0 else b"")
    except Damaged:
        return None
    image, _ = tiff.directory(tiff.first, {_MAKE, _PHOTOMETRIC, _SUB_IFDS, _DNG_VERSION})
    if _DNG_VERSION in image:
        return "gpr" if name.lower().endswith(".gpr") else "dng"
    make = image.get(_MAKE)
    raws = _raws_of(make.strip().upper()) if isinstance(make, bytes) else ()
    extension = name.rpartition(".")[2].lower()
    if extension in raws:
        return extension
    subs = image.get(_SUB_IFDS, ())
    directories = [
        image,
        *(tiff.directory(int(at), {_PHOTOMETRIC})[0] for at in subs[:8] if not isinstance(subs, bytes)),
    ]
    has_sensor = any(first_int(one.get(_PHOTOMETRIC)) in _SENSOR_PIXELS for one in directories)
    if has_sensor and raws:
        return raws[0]
    return "tiff"


def _raws_of(make: bytes) -> tuple[str, ...]:
    return next((raws for start, raws in _RAW_OF_MAKE if make.startswith(start)), ())
