"""The words of tus 1.0 (https://tus.io/protocols/resumable-upload, version 1.0.0): headers in, headers out. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

import msgspec

from pixlsrve.errors import InvalidInput, TooLarge
from pixlsrve.http.inputs import UnsupportedBody

PATH = "/api/v1/uploads"
VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,termination,expiration"
ALGORITHMS = ("sha1", "sha256", "md5")
OFFSET_TYPE = "application/offset+octet-stream"
METADATA_MAX = 8_192
LARGEST_BYTES = 1 << 50
_NUMBER = re.compile(r"[0-9]{1,30}", re.ASCII)
_KEY = re.compile(r"[!-+\--~]+")


class UnsupportedVersion(InvalidInput):
    """A client that speaks another version of tus, or none: HTTP 412."""

    reason = "unsupported_version"


class ChecksumMismatch(InvalidInput):
    """A piece that arrived damaged: HTTP 460 (tus, Checksum)."""

    reason = "checksum_mismatch"


class Checksum(msgspec.Struct, frozen=True):
    """What a piece is to hash to."""

    algorithm: str
    digest: bytes


def check_version(headers: Mapping[str, str]) -> None:
    """Raises UnsupportedVersion."""
    if headers.get("Tus-Resumable") != VERSION:
        raise UnsupportedVersion(f"Send `Tus-Resumable: {VERSION}`.")


def number(headers: Mapping[str, str], name: str) -> int:
    """A header that is a count of bytes. Raises InvalidInput, TooLarge."""
    value = headers.get(name, "")
    if not _NUMBER.fullmatch(value):
        raise InvalidInput(f"The header {name} must be a number of bytes.", reason="invalid_header", header=name)
    if int(value) > LARGEST_BYTES:
        raise TooLarge("No file is that large.")
    return int(value)


def length(headers: Mapping[str, str]) -> int:
    """The announced size of a new upload, bytes. Raises InvalidInput, TooLarge."""
    if "Upload-Defer-Length" in headers:
        raise InvalidInput(
            "The size must be known at the beginning.", reason="invalid_header", header="Upload-Defer-Length"
        )
    return number(headers, "Upload-Length")


def metadata(headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Upload-Metadata as it was sent, and its pairs decoded. Raises InvalidInput."""
    given = headers.get("Upload-Metadata", "")
    if len(given) > METADATA_MAX:
        raise InvalidInput("The header Upload-Metadata is too long.", reason="invalid_header", header="Upload-Metadata")
    pairs: dict[str, str] = {}
    for part in filter(None, (piece.strip(" ") for piece in given.split(","))):
        key, _, value = part.partition(" ")
        if not _KEY.fullmatch(key) or key in pairs:
            raise _bad_metadata()
        try:
            pairs[key] = base64.b64decode(value.strip(" "), validate=True).decode("utf-8")
        except (binascii.Error, ValueError) as error:
            raise _bad_metadata() from error
    return given, pairs


def file_name(pairs: Mapping[str, str]) -> str:
    """What the sender calls the file: `filename` by custom, `name` with some clients."""
    return pairs.get("filename") or pairs.get("name") or ""


def checksum(headers: Mapping[str, str]) -> Checksum | None:
    """What the body is to hash to; None where nothing is said. Raises InvalidInput."""
    if "Upload-Checksum" not in headers:
        return None
    algorithm, _, encoded = headers["Upload-Checksum"].partition(" ")
    try:
        digest = base64.b64decode(encoded.strip(" "), validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if algorithm not in ALGORITHMS or not digest:
        raise InvalidInput(
            f"The header Upload-Checksum must be one of {', '.join(ALGORITHMS)}, and the hash in Base64.",
            reason="invalid_header",
            header="Upload-Checksum",
        )
    return Checksum(algorithm, digest)


def check_type(content_type: str) -> None:
    """Raises UnsupportedBody for a body that is no piece of a file."""
    if content_type != OFFSET_TYPE:
        raise UnsupportedBody(f"The body must be sent with `Content-Type: {OFFSET_TYPE}`.")


def _bad_metadata() -> InvalidInput:
    return InvalidInput(
        "The header Upload-Metadata must be pairs of a key and a value in Base64, separated by commas.",
        reason="invalid_header",
        header="Upload-Metadata",
    )
