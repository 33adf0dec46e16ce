"""What a device says it has: `GET /manifest`, one JSON object a line (DESIGN section 5)."""

from __future__ import annotations

import math

import msgspec

from pixlsrve.devices.songs import check
from pixlsrve.errors import InvalidInput
from pixlsrve.store.songs import Listed


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file. `mtime` is in seconds since the epoch; `sha256` is missing while the device has not hashed the file."""

    path: str
    size: int
    mtime: float | None = None
    sha256: str | None = None
    song_id: str | None = None


_decode = msgspec.json.Decoder(Line).decode
_encode = msgspec.json.Encoder().encode


def read_line(text: bytes) -> Listed | None:
    """What a line says; None for an empty one. Raises InvalidInput for what is no such line."""
    if not text.strip():
        return None
    try:
        line = _decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput("A line of the manifest is damaged.", reason="bad_manifest") from error
    listed = Listed(path=line.path, size_bytes=line.size, mtime_ns=ns_of(line.mtime), sha256=digest(line.sha256))
    check(listed)
    return listed


def write_line(*, path: str, size_bytes: int, mtime_ns: int, sha256: bytes | None, song_id: str | None) -> bytes:
    """A line with its end. The time is given in microseconds' precision, which a JSON number holds exactly enough."""
    line = Line(
        path=path,
        size=size_bytes,
        mtime=mtime_ns // 1_000 / 1e6,
        sha256=None if sha256 is None else sha256.hex(),
        song_id=song_id,
    )
    return _encode(line) + b"\n"


def digest(text: str | None) -> bytes | None:
    """A SHA-256 in hexadecimal digits as bytes. Raises InvalidInput."""
    if text is None:
        return None
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != 32 or len(text) != 64:
        raise InvalidInput("The field sha256 has 64 hexadecimal digits.", reason="invalid_field", parameter="sha256")
    return value


def ns_of(seconds: float | None) -> int | None:
    """A time in seconds as nanoseconds, to the microsecond. Raises InvalidInput."""
    if seconds is None:
        return None
    if not math.isfinite(seconds) or abs(seconds) > 1e11:
        raise InvalidInput("The field mtime is out of range.", reason="invalid_field", parameter="mtime")
    return round(seconds * 1e6) * 1_000
