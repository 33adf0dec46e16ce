"""Public ids of photos and albums: derived from where a thing was first seen, kept when it moves.

An id is a keyed hash of root and path, so that a rebuilt index gives the same ids without a row for each photo; only
what moved is written down (tables asset_identity and album_identity of the state database).
"""

from __future__ import annotations

import hashlib
import uuid


def derive(secret: bytes, root_uid: bytes, path: bytes, *, what: bytes) -> bytes:
    """16 bytes of a version 8 UUID (RFC 9562 §5.8) for the thing first seen at `path` below the root."""
    digest = hashlib.blake2b(root_uid + b"\0" + path, key=secret, digest_size=16, person=what).digest()
    value = int.from_bytes(digest)
    value = value & ~(0xF << 76) | 0x8 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return value.to_bytes(16)


def random_id() -> bytes:
    """16 bytes of a random (version 4) UUID, for a thing at a place whose derived id is taken."""
    return uuid.uuid4().bytes


def uuid_text(value: bytes) -> str:
    """16 bytes as the canonical text of a UUID (RFC 9562 §4)."""
    return str(uuid.UUID(bytes=value))
