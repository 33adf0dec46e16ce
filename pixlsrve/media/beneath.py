"""Opening a relative path beneath a directory handle so that no link, swapped or not, leads anywhere else.

Owns the two ways of doing it: one `openat2` call where the Linux kernel has it (5.6 and later, outside filters that
forbid it), and one `openat` a component everywhere else. Both refuse every symbolic link, also those that stay inside:
the walker ignores links too, so nothing that is listed is lost, and there is no resolution left to race against.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import stat
import sys

_SYS_OPENAT2 = 437
"""The same number on every architecture with the unified table (Linux 5.6, include/uapi/asm-generic/unistd.h)."""
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_PATH_MAX = 4096
_AGAIN_LIMIT = 128

DIRECTORY_FLAGS = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
"""How a directory is opened to look names up in it; on Linux that needs no permission to list it."""


class _OpenHow(ctypes.Structure):
    """struct open_how of openat2(2)."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_beneath(directory_fd: int, relative: bytes, flags: int, *, by_steps: bool = False) -> int:
    """A descriptor of `relative`, resolved strictly beneath `directory_fd` without following any link.

    `relative` has only ordinary components (no empty one, `.` or `..`). Raises OSError: ELOOP where a link stands in
    the way, else what the system said. `by_steps` forces the portable way.
    """
    if by_steps or len(relative) >= _PATH_MAX or not kernel_resolves():
        return _open_by_steps(directory_fd, relative, flags)
    return _open_by_kernel(directory_fd, relative, flags)


@functools.cache
def kernel_resolves() -> bool:
    """Whether `openat2` exists and is not filtered away, found out by asking it once."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        os.close(_openat2(-100, b".", DIRECTORY_FLAGS, _RESOLVE_NO_MAGICLINKS))
    except OSError:
        return False
    return True


@functools.cache
def _syscall() -> ctypes._NamedFuncPointer:
    function = ctypes.CDLL(None, use_errno=True).syscall
    function.restype = ctypes.c_long
    function.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_char_p, ctypes.POINTER(_OpenHow), ctypes.c_size_t)
    return function


def _openat2(directory_fd: int, path: bytes, flags: int, resolve: int) -> int:
    # O_LARGEFILE is what open() adds by itself on 32-bit systems; without it files over 2 GiB fail there.
    how = _OpenHow(flags=flags | getattr(os, "O_LARGEFILE", 0), mode=0, resolve=resolve)
    fd = int(_syscall()(_SYS_OPENAT2, directory_fd, path, ctypes.byref(how), ctypes.sizeof(how)))
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return fd


def _open_by_kernel(directory_fd: int, relative: bytes, flags: int) -> int:
    resolve = _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS
    for _ in range(_AGAIN_LIMIT):
        try:
            return _openat2(directory_fd, relative, flags, resolve)
        except InterruptedError:
            continue
    raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))


def _open_by_steps(directory_fd: int, relative: bytes, flags: int) -> int:
    *folders, name = relative.split(b"/")
    held = directory_fd
    try:
        for folder in folders:
            below = _open_step(held, folder, DIRECTORY_FLAGS)
            if held != directory_fd:
                os.close(held)
            held = below
        return _open_step(held, name, flags)
    finally:
        if held != directory_fd:
            os.close(held)


def _open_step(directory_fd: int, name: bytes, flags: int) -> int:
    try:
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=directory_fd)
    except NotADirectoryError:
        # With O_DIRECTORY Linux says ENOTDIR for a link as well; callers need to tell the two apart.
        if stat.S_ISLNK(os.stat(name, dir_fd=directory_fd, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
        raise
