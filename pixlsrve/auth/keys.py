"""The key that signs tokens: 256 random bits in a file of their own, outside the database (THREATS T10)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from pixlsrve.store.keyfiles import FOLDER, SIZE_BYTES, load_key

__all__ = ["FILE", "FOLDER", "SIZE_BYTES", "SigningKey", "load_signing_key"]
FILE = "token.key"
_REMEDY = "move it away and restart: every token is then void and every client has to sign in again"


@dataclass(frozen=True)
class SigningKey:
    """`kid` names the key in a token's header and gives nothing of `secret` away."""

    kid: str
    secret: bytes = field(repr=False)


def load_signing_key(data_dir: Path) -> SigningKey:
    """The key of this installation, made on the first start.

    There is no other key to fall back on: raises StartError when the file can't be read, made or trusted.
    """
    secret = load_key(data_dir, FILE, name="signing key", remedy=_REMEDY)
    return SigningKey(hashlib.sha256(b"pixlsrve kid" + secret).hexdigest()[:16], secret)
