"""Keys in files of their own, outside the databases: made once, durable before their first use, private."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from pixlsrve.errors import StartError
from pixlsrve.store.durable import NotPrivate, read_private, sync

FOLDER = "keys"
SIZE_BYTES = 32


def load_key(data_dir: Path, file: str, *, name: str, remedy: str) -> bytes:
    """The 32 random bytes in a key file of this installation, made on the first start.

    There is no other key to fall back on: raises StartError when the file can't be read, made or trusted. `name` is
    what the key is called in the message, `remedy` what to do when it can't be used any more.
    """
    path = data_dir / FOLDER / file
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            _create(path)
        secret = read_private(path)
    except NotPrivate as error:
        raise StartError(
            f"The {name} {path} could be read by other users of this computer; {remedy} "
            "(or, when you know that nobody has read it, set its mode to 0600)."
        ) from error
    except OSError as error:
        raise StartError(f"The {name} {path} can't be used ({error.strerror}); mend the folder's rights.") from error
    if len(secret) != SIZE_BYTES or len(set(secret)) < 8:
        raise StartError(f"The {name} {path} is damaged; {remedy}.")
    return secret


def _create(path: Path) -> None:
    """Write a new key so that it is either there in full and durable, or not at all."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SIZE_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
    sync(path.parent)
