"""The drop directory: a text file put into it is sent to all clients of the broadcast, and then deleted (THREATS T23).

The folder is worked on through an open handle, so that nothing put in its place later is read or deleted by mistake.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import itertools
import os
import pwd
import stat
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import structlog
from watchfiles import awatch

log = structlog.get_logger(__name__)

FOLDER = "websocket_messages"
FILE_MAX_BYTES = 64 * 1024
STEADY_S = 0.3
"""A file that has not changed for so long is complete."""
LOOK_EVERY_S = 1.0
"""Also where changes can't be watched."""
RETRY_S = 10.0
ENTRIES_MAX = 1_000
"""Looked at in one go; the others have their turn when these are gone."""
_SENT = ".sent"
"""The name of a file between its sending and its end."""
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Send = Callable[[str], Awaitable[None]]


class DropRefused(Exception):
    """The folder can't be used; the text says why and what to do."""


class _Skipped(Exception):
    """A file that is not sent; the text says why."""


class _Likeness(NamedTuple):
    """What tells that a file is still the same, with the same content."""

    inode: int
    size: int
    modified_ns: int
    changed_ns: int


def _likeness(status: os.stat_result) -> _Likeness:
    return _Likeness(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _is_same(moved: os.stat_result, before: _Likeness) -> bool:
    """Whether a file is what it was before it was moved, which changes its last time only."""
    return _likeness(moved)[:3] == before[:3]


class DropDirectory:
    """Watches `folder` while `run` runs, and hands each message to `send` once.

    `group` is the name of a group whose members may put files there too; empty for none.
    """

    def __init__(self, folder: Path, group: str, send: Send) -> None:
        self._folder = folder
        self._group = group
        self._send = send
        self._gid: int | None = None
        self._seen: dict[str, tuple[_Likeness, float]] = {}
        self._settled: dict[str, _Likeness] = {}
        """What was skipped, or sent and could not be deleted: left alone until it changes."""
        self.trouble = ""
        """Why the folder is not watched; empty while it is."""

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                handle = await asyncio.to_thread(self._prepare)
            except (DropRefused, OSError) as error:
                self._explain(str(error) if isinstance(error, DropRefused) else f"{self._folder}: {error.strerror}.")
                await asyncio.sleep(RETRY_S)
                continue
            self.trouble = ""
            try:
                await self._follow(handle)
            finally:
                os.close(handle)

    def prepare(self) -> None:
        """Make the folder, so that it is there when the daemon says that it is ready; `run` says what is wrong."""
        with contextlib.suppress(DropRefused, OSError):
            os.close(self._prepare())

    def _explain(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("the drop directory is not watched", cause=trouble)
        self.trouble = trouble

    def _prepare(self) -> int:
        """A handle of the folder, which is made where it is missing. Raises DropRefused, OSError."""
        self._gid = _group_id(self._group)
        mode = 0o700 if self._gid is None else 0o770
        with contextlib.suppress(FileExistsError):
            self._folder.mkdir(mode=0o700)
        try:
            handle = os.open(self._folder, _FOLDER_FLAGS)
        except NotADirectoryError as error:  # what Linux says of a link too
            raise DropRefused(f"{self._folder} is a link or no folder; move it away.") from error
        try:
            status = os.fstat(handle)
            if status.st_uid != os.geteuid():
                raise DropRefused(f"{self._folder} belongs to another user; move it away or change its owner.")
            if self._gid is not None and status.st_gid != self._gid:
                try:
                    os.fchown(handle, -1, self._gid)
                except OSError as error:
                    raise DropRefused(
                        f"{self._folder} can't be given to the group {self._group}: run `chgrp {self._group} "
                        f"{self._folder}` as root, or make the service's user a member of the group."
                    ) from error
            if stat.S_IMODE(status.st_mode) != mode:
                os.fchmod(handle, mode)
        except BaseException:
            os.close(handle)
            raise
        return handle

    async def _follow(self, handle: int) -> None:
        """Send what comes, until another folder is in this one's place."""
        changed = asyncio.Event()
        watch = asyncio.create_task(self._watch(changed))
        try:
            while await asyncio.to_thread(self._is_in_place, handle):
                changed.clear()
                pause_s = await self._look(handle)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), pause_s)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    async def _watch(self, changed: asyncio.Event) -> None:
        """Set `changed` when something happens in the folder; without that, it is looked at regularly all the same."""
        try:
            async for _ in awatch(self._folder, watch_filter=None, debounce=50, step=10, recursive=False):
                changed.set()
        except (OSError, RuntimeError) as error:
            log.warning("the drop directory is looked at once a second", cause=str(error))

    def _is_in_place(self, handle: int) -> bool:
        ours = os.fstat(handle)
        try:
            there = self._folder.lstat()
        except OSError:
            return False
        return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)

    async def _look(self, handle: int) -> float:
        """Send what is complete; the seconds after which to look again."""
        complete, pause_s = await asyncio.to_thread(self._complete, handle)
        for name in complete:
            text = await asyncio.to_thread(self._take, handle, name)
            if text is not None:
                await self._send(text)
                await asyncio.to_thread(self._delete, handle, name)
        return pause_s

    def _complete(self, handle: int) -> tuple[list[str], float]:
        """The names of complete files, the earliest first, and when others may be."""
        now_s, pause_s = time.monotonic(), LOOK_EVERY_S
        seen: dict[str, tuple[_Likeness, float]] = {}
        complete: list[tuple[int, str]] = []
        present = dict(_entries(handle))
        self._settled = {name: kept for name, kept in self._settled.items() if present.get(name) == kept}
        for name, likeness in present.items():
            if name in self._settled:
                continue
            before, since_s = self._seen.get(name, (None, now_s))
            if before != likeness:
                since_s = now_s
            seen[name] = (likeness, since_s)
            left_s = since_s + STEADY_S - now_s
            if left_s <= 0:
                complete.append((likeness.modified_ns, name))
            else:
                pause_s = min(pause_s, left_s)
        self._seen = seen
        return [name for _, name in sorted(complete)], pause_s

    def _take(self, handle: int, name: str) -> str | None:
        """The text of a complete file; None where it is to be left, or has changed since."""
        likeness = self._seen[name][0]
        try:
            data = self._read(handle, name, likeness)
            # An empty one says nothing yet: somebody is about to write into it.
            text = data.decode("utf-8") if data else None
        except FileNotFoundError:
            return None
        except _Skipped as error:
            self._skip(name, likeness, str(error))
            return None
        except UnicodeDecodeError:
            self._skip(name, likeness, "not UTF-8")
            return None
        except OSError as error:
            self._skip(name, likeness, error.strerror or "unreadable")
            return None
        if data == b"":
            self._settled[name] = likeness
        return text

    def _read(self, handle: int, name: str, likeness: _Likeness) -> bytes | None:
        """The file's bytes; None where it is not the one that was looked at. Raises OSError, _Skipped."""
        status = os.stat(name, dir_fd=handle, follow_symlinks=False)
        if _likeness(status) != likeness:
            return None
        refusal = self._refusal(status)
        if refusal:
            raise _Skipped(refusal)
        return _read(handle, name, likeness)

    def _refusal(self, status: os.stat_result) -> str:
        """Why an entry is not sent; empty when it is."""
        if stat.S_ISLNK(status.st_mode):
            return "a link"
        if not stat.S_ISREG(status.st_mode):
            return "not a regular file"
        if status.st_nlink != 1:
            return "has further names (hard links)"
        if not self._is_trusted(status):
            return "belongs to somebody else"
        if status.st_size > FILE_MAX_BYTES:
            return "larger than 64 KiB"
        return ""

    def _is_trusted(self, status: os.stat_result) -> bool:
        """Whether it is of our user, root, or the group (its own, or its owner's)."""
        if status.st_uid in {os.geteuid(), 0}:
            return True
        return self._gid is not None and (status.st_gid == self._gid or self._gid in _groups_of(status.st_uid))

    def _skip(self, name: str, likeness: _Likeness, reason: str) -> None:
        self._settled[name] = likeness
        log.warning("a file in the drop directory is skipped", name=name[:100], reason=reason)

    def _delete(self, handle: int, name: str) -> None:
        """Delete what was sent; what can't be deleted is not sent again, and what has taken its place has its turn."""
        sent = self._seen[name][0]
        try:
            if _likeness(os.stat(name, dir_fd=handle, follow_symlinks=False)) != sent:
                return
            # Another file may take its place at any time, so that only what has been moved away is deleted.
            os.rename(name, _SENT, src_dir_fd=handle, dst_dir_fd=handle)
            if not _is_same(os.stat(_SENT, dir_fd=handle, follow_symlinks=False), sent):
                with contextlib.suppress(FileExistsError):
                    os.link(_SENT, name, src_dir_fd=handle, dst_dir_fd=handle, follow_symlinks=False)
            os.unlink(_SENT, dir_fd=handle)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._skip(name, self._seen[name][0], f"sent, but can't be deleted: {error.strerror}")


def _entries(handle: int) -> Iterator[tuple[str, _Likeness]]:
    """The names that end in .txt, each with its likeness."""
    with os.scandir(handle) as entries:
        named = (entry for entry in entries if entry.name.endswith(".txt"))
        for entry in itertools.islice(named, ENTRIES_MAX):
            with contextlib.suppress(OSError):
                yield entry.name, _likeness(os.stat(entry.name, dir_fd=handle, follow_symlinks=False))


def _read(handle: int, name: str, likeness: _Likeness) -> bytes | None:
    """The whole file; None when it is not the one that was looked at, or changed while it was read. Raises OSError."""
    file = os.open(name, _FILE_FLAGS, dir_fd=handle)
    try:
        if _likeness(os.fstat(file)) != likeness:
            return None
        data = b""
        while chunk := os.read(file, FILE_MAX_BYTES + 1 - len(data)):
            data += chunk
        return data if _likeness(os.fstat(file)) == likeness and len(data) == likeness.size else None
    finally:
        os.close(file)


def _group_id(name: str) -> int | None:
    """The number of a group, None without a name. Raises DropRefused."""
    if not name:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise DropRefused(f"There is no group {name}: correct compat.drop_group.") from error


def _groups_of(uid: int) -> list[int]:
    """The groups of a user; none where nobody has that number."""
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return []
    return os.getgrouplist(user.pw_name, user.pw_gid)
