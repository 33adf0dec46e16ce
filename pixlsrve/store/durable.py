"""Files that are whole and durable, or not there at all, and secret ones that are nobody else's. All of it blocks."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


class NotPrivate(Exception):
    """Other users of this computer could read a secret file, or put another in its place."""


def sync(path: Path) -> None:
    """Make a file, or a folder's entries, durable. A file system that can't do that for a folder is left alone."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Put `content` in the place of a file of ours. Raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync(path.parent)


def read_private(path: Path) -> bytes:
    """The bytes of a secret file of ours, such as `write_whole` makes; links are not followed (THREATS T36).

    Raises OSError, FileNotFoundError where there is none, and NotPrivate.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(file.fileno())
        if facts.st_mode & 0o077 or facts.st_uid not in (os.geteuid(), 0):
            raise NotPrivate(path)
        return file.read()
