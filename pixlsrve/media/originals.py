"""Original files: reaching them by name beneath a root, read only, and showing their names (THREATS T19, T20)."""

from __future__ import annotations

import errno
import os
import re
import stat
import unicodedata
from pathlib import Path
from types import TracebackType
from typing import Self

from pixlsrve.errors import NotFound, PathTraversal, PixlsrveError, Unavailable
from pixlsrve.media.beneath import DIRECTORY_FLAGS, open_beneath

NAME_MAX_BYTES = 255
PATH_MAX_BYTES = 4096

_NO_ATIME = getattr(os, "O_NOATIME", 0)
# O_NONBLOCK: a FIFO without a writer must not hang us. O_NOCTTY: a terminal must not become ours.
_READ_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_DRIVE = re.compile(r"[A-Za-z]:")
_BIDI = dict.fromkeys((0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
_VISIBLE: dict[int, str] = (
    {code: chr(0x2400 + code) for code in range(0x20)}
    | {0x7F: "\u2421"}
    | {code: f"[U+{code:04X}]" for code in (*range(0x80, 0xA0), 0x2028, 0x2029, *_BIDI)}
    | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
)


class OpenRoot:
    """A root folder held open, so that what is opened beneath it can't be redirected by renames above it.

    Make one for an operation (a request, a scan) and close it: while it is held, its disk can't be unmounted. All
    methods make blocking system calls and belong in an executor; one instance may be used by several threads until it
    is closed. Raises Unavailable (reason `offline`) when the folder itself can't be opened; a link given as the root
    is followed, because the owner chose it.
    """

    def __init__(self, root: Path | bytes, *, by_steps: bool = False) -> None:
        self._by_steps = by_steps
        self._fd = -1
        try:
            self._fd = os.open(root, DIRECTORY_FLAGS)
        except OSError as error:
            raise Unavailable("The folder that holds this file is not there just now.", reason="offline") from error

    def open_file(self, relative: bytes) -> int:
        """A read-only descriptor, the caller's to close, of the regular file at `relative` (any bytes, `/` between).

        The access time stays as it was where the kernel lets us ask for that: always for our own files, and with
        CAP_FOWNER; for others' files the mount's `relatime` or `noatime` decides (T20).

        Raises PathTraversal for a path that isn't strictly below the root or goes through a symbolic link, NotFound
        for what is absent or no regular file (folder, FIFO, device, socket), Unavailable (reason `unreadable`) when
        the system refuses or the disk fails.
        """
        _check_relative(relative)
        try:
            fd = self._open(relative)
        except OSError as error:
            raise _translated(error) from error
        try:
            regular = stat.S_ISREG(os.fstat(fd).st_mode)
        except BaseException:
            os.close(fd)
            raise
        if not regular:
            os.close(fd)
            raise NotFound("There is no such file.")
        return fd

    def _open(self, relative: bytes) -> int:
        try:
            return open_beneath(self._fd, relative, _READ_FLAGS | _NO_ATIME, by_steps=self._by_steps)
        except PermissionError as error:
            # O_NOATIME on somebody else's file is EPERM, a refused read is EACCES (open(2)).
            if error.errno != errno.EPERM or not _NO_ATIME:
                raise
            return open_beneath(self._fd, relative, _READ_FLAGS, by_steps=self._by_steps)

    def close(self) -> None:
        """Let go of the folder; descriptors given out stay open. Closing twice is fine."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def parse_relative(text: str) -> bytes:
    """The path that a URL names, as bytes below a root; `text` is percent-decoded exactly once.

    Raises PathTraversal for what an ordinary name below a root never is: empty, absolute, `.` and `..` components,
    backslashes, drive letters, NUL and other control characters, text that is no UTF-8 (surrogates that stand for
    undecodable bytes are taken back to those bytes), names over 255 and paths over 4,096 bytes. Files whose real names
    look like that are reached by their ids.
    """
    if "\\" in text or any(unicodedata.category(character) == "Cc" for character in text):
        raise PathTraversal("The path holds a backslash or a control character.")
    components = text.split("/")
    if _DRIVE.match(text) or any(_DRIVE.fullmatch(component) for component in components):
        raise PathTraversal("The path names a drive.")
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise PathTraversal("The path is not valid text.") from error
    _check_relative(raw)
    if len(raw) > PATH_MAX_BYTES or any(len(name) > NAME_MAX_BYTES for name in raw.split(b"/")):
        raise PathTraversal("The path is too long.")
    return raw


def display_name(raw: bytes) -> str:
    """A file name as text that is safe to show: what is not UTF-8 becomes U+FFFD.

    Control characters become their pictures (a newline shows as U+240A), bidirectional and line-breaking format
    characters their code in brackets ("[U+202E]"), so that a name can't pose as another (Unicode TR 36 §2.4).
    """
    return visible_text(raw.decode("utf-8", "replace"))


def visible_text(text: str) -> str:
    """`text` with control, bidirectional and surrogate characters replaced as `display_name` says."""
    return text.translate(_VISIBLE)


def _check_relative(relative: bytes) -> None:
    if b"\0" in relative:
        raise PathTraversal("The path holds a NUL character.")
    if any(component in (b"", b".", b"..") for component in relative.split(b"/")):
        raise PathTraversal("The path has an empty, '.' or '..' component.")


def _translated(error: OSError) -> PixlsrveError:
    # ENXIO is what opening a socket or a device without a driver says.
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP):
        return NotFound("There is no such file.")
    if error.errno in (errno.ELOOP, errno.EXDEV, errno.EMLINK):
        return PathTraversal("The path leads through a link.")
    return Unavailable("The file can't be read just now.", reason="unreadable")
