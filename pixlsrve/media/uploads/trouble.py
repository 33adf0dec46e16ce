"""What the disk's refusals mean for an upload, in words for whoever sent it."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from pixlsrve.errors import StorageError, StorageFull

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_READ_ONLY = frozenset({errno.EROFS})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn the system's errors into ours. Raises StorageFull, StorageError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull("The disk for uploads is full; free some space and send the file again.") from error
        if error.errno in _READ_ONLY:
            raise StorageError("The disk for uploads is read-only just now.", reason="read_only") from error
        if error.errno in _FORBIDDEN:
            raise StorageError(
                "The service may not write to the storage directory; `pixlsrve doctor` says more.", reason="forbidden"
            ) from error
        raise StorageError("The disk for uploads refused; nothing was stored.", reason="storage") from error
