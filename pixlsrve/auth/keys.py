"""The key that signs tokens: 256 random bits in a file of their own, outside the database (THREATS T10)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from pixlsrve.errors import StartError

FOLDER = "keys"
FILE = "token.key"
SIZE_BYTES = 32
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
    path = data_dir / FOLDER / FILE
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            _create(path)
        secret = _read_private(path)
    except OSError as error:
        raise StartError(
            f"The signing key {path} can't be used ({error.strerror}); mend the folder's rights."
        ) from error
    if len(secret) != SIZE_BYTES or len(set(secret)) < 8:
        raise StartError(f"The signing key {path} is damaged; {_REMEDY}.")
    return SigningKey(hashlib.sha256(b"pixlsrve kid" + secret).hexdigest()[:16], secret)


def _create(path: Path) -> None:
    """Write a new key so that it is either there in full and durable, or not at all."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".token-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SIZE_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    """Make the folder's entries durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_private(path: Path) -> bytes:
    """The file's bytes. Raises StartError when others could read or swap it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(file.fileno())
        if facts.st_mode & 0o077 or facts.st_uid not in (os.geteuid(), 0):
            raise StartError(
                f"The signing key {path} could be read by other users of this computer; {_REMEDY} "
                "(or, when you know that nobody has read it, set its mode to 0600)."
            )
        return file.read(SIZE_BYTES + 1)
