"""Secret files of this package: written whole or not at all, and readable by nobody else (THREATS T36)."""

from __future__ import annotations

from pathlib import Path

from pixlsrve.errors import StorageError
from pixlsrve.store import durable


def read_private(path: Path) -> bytes | None:
    """The file's bytes, None without one. Raises StorageError when others could read or swap it."""
    try:
        return durable.read_private(path)
    except FileNotFoundError:
        return None
    except durable.NotPrivate as error:
        raise StorageError(
            f"{path.name} could be read by other users of this computer.", reason="not_private"
        ) from error
    except OSError as error:
        raise StorageError(f"{path.name} can't be read ({error.strerror}); mend its rights.") from error


def write_private(path: Path, content: bytes) -> None:
    """Put `content` durably in the place of the file. Raises StorageError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        durable.write_whole(path, content)
    except OSError as error:
        raise StorageError(f"{path.name} can't be written ({error.strerror}).") from error
