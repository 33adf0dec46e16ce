"""Secret files of this package: written whole or not at all, and readable by nobody else (THREATS T36)."""

from __future__ import annotations

import os
from pathlib import Path

from pixlsrve.errors import StorageError
from pixlsrve.store.durable import write_whole


def read_private(path: Path) -> bytes | None:
    """The file's bytes, None without one. Raises StorageError when others could read or swap it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path.name} can't be read ({error.strerror}); mend its rights.") from error
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(file.fileno())
        if facts.st_mode & 0o077 or facts.st_uid not in (os.geteuid(), 0):
            raise StorageError(f"{path.name} could be read by other users of this computer.", reason="not_private")
        return file.read()


def write_private(path: Path, content: bytes) -> None:
    """Put `content` durably in the place of the file. Raises StorageError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise StorageError(f"{path.name} can't be written ({error.strerror}).") from error
