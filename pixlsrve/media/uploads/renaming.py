"""Giving a finished file its name without ever replacing another, and making that durable (THREATS T21)."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import functools
import os
import sys

_RENAME_NOREPLACE = 1
"""renameat2(2)."""
_RENAME_EXCL = 4
"""renameatx_np(2) of macOS."""
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
"""On macOS fsync(2) alone leaves the bytes in the disk's own cache."""


def rename_without_replacing(source_fd: int, source: str, target_fd: int, target: str) -> None:
    """Rename a file from one open folder to another. Raises FileExistsError where the name is taken, OSError."""
    call = _system_call()
    if call is not None:
        function, flag = call
        if function(source_fd, os.fsencode(source), target_fd, os.fsencode(target), flag) == 0:
            return
        number = ctypes.get_errno()
        if number not in _UNSUPPORTED:
            raise OSError(number, os.strerror(number))
    _link_and_unlink(source_fd, source, target_fd, target)


def _link_and_unlink(source_fd: int, source: str, target_fd: int, target: str) -> None:
    """The way of file systems that know no such rename (network shares): a link never replaces anything either."""
    os.link(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False)
    os.unlink(source, dir_fd=source_fd)


@functools.cache
def _system_call() -> tuple[ctypes._NamedFuncPointer, int] | None:
    """The C library's function and the flag that forbids replacing; None where it has none."""
    name, flag = ("renameatx_np", _RENAME_EXCL) if sys.platform == "darwin" else ("renameat2", _RENAME_NOREPLACE)
    try:
        function: ctypes._NamedFuncPointer = getattr(ctypes.CDLL(None, use_errno=True), name)
    except AttributeError:
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    function.restype = ctypes.c_int
    return function, flag


def sync(fd: int) -> None:
    """Have an open file's bytes, or an open folder's entries, on the disk. Raises OSError when that failed."""
    if _FULL_SYNC is not None:
        try:
            fcntl.fcntl(fd, _FULL_SYNC)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        else:
            return
    os.fsync(fd)
