"""Noticing changes on disk as they happen, and disks that come and go."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog
from watchfiles import awatch

from pixlsrve.index.ignore import IGNORE_FILE, NOMEDIA, is_hidden
from pixlsrve.index.metadata import EXTENSIONS
from pixlsrve.media.roots import Root

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0
DEBOUNCE_MS = 200
STEP_MS = 40
RETRY_S = 60.0

Place = tuple[int, int] | None
Changed = Callable[[Root, set[bytes] | None], None]
"""Called with the folders to list again, relative to the root; None for the whole root."""


class Watcher:
    """Watches one root, and starts anew when another disk is at its place."""

    def __init__(self, root: Root, changed: Changed) -> None:
        self._root = root
        self._changed = changed

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            place = await asyncio.to_thread(_place, self._root.path)
            if place is None:
                await asyncio.sleep(LOOK_EVERY_S)
                if await asyncio.to_thread(_place, self._root.path) is not None:
                    self._changed(self._root, None)
                continue
            await self._watch(place)
            self._changed(self._root, None)

    async def _watch(self, place: Place) -> None:
        """Report changes until another folder, or none, is at the root's path."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            look = tasks.create_task(self._look(place, stop))
            try:
                await self._report(stop)
            except (OSError, RuntimeError) as error:
                self._explain(error)
                await _either(stop, RETRY_S)
            finally:
                look.cancel()

    async def _look(self, place: Place, stop: asyncio.Event) -> None:
        """Set `stop` when the root is not the folder that is being watched any more."""
        while await asyncio.to_thread(_place, self._root.path) == place:  # noqa: ASYNC110  # nothing tells of mounts
            await asyncio.sleep(LOOK_EVERY_S)
        stop.set()

    async def _report(self, stop: asyncio.Event) -> None:
        """Turn file events into folders to list again."""
        watch = awatch(
            self._root.path,
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            stop_event=stop,
            yield_on_timeout=False,
        )
        async for changes in watch:
            folders = folders_of(self._root.path, (path for _, path in changes))
            if folders:
                self._changed(self._root, folders)

    def _explain(self, error: Exception) -> None:
        """Say why changes are not seen at once, and what to do."""
        remedy = "changes are found by the periodic scan"
        if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "limit" in str(error).lower():
            remedy += "; raise fs.inotify.max_user_watches (sysctl) to see them at once"
        log.warning("root can't be watched", root=str(self._root.path), error=str(error), remedy=remedy)


async def _either(stop: asyncio.Event, seconds: float) -> None:
    """Wait for `stop`, at most so long."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def _place(path: Path) -> Place:
    """Device and inode of a folder; None when there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def folders_of(root: Path, paths: Iterable[str]) -> set[bytes]:
    """The folders below `root` whose listing a change at `paths` may alter.

    Blocking calls are few: one `lstat` a path. Paths of hidden and foreign files are passed over.
    """
    found: set[bytes] = set()
    for path in paths:
        relative = os.path.relpath(path, root)
        if relative.startswith(".."):
            continue
        if relative == ".":
            found.add(b"")
            continue
        folder, _, name = relative.rpartition("/")
        parts = folder.split("/") if folder else []
        if any(is_hidden(part) for part in parts) or "\ufffd" in folder:
            found.update({_readable_parent(parts)} if "\ufffd" in folder else ())
            continue
        if name in (NOMEDIA, IGNORE_FILE):
            # Which folders it hides shows from the one above.
            found |= {os.fsencode(folder), os.fsencode(folder.rpartition("/")[0])}
        elif not is_hidden(name):
            is_media = "." in name and name[name.rfind(".") + 1 :].lower() in EXTENSIONS
            if is_media:
                found.add(os.fsencode(folder))
            elif Path(path).is_dir():
                found |= {os.fsencode(folder), os.fsencode(relative)}
            elif not os.path.lexists(path):
                found.add(os.fsencode(folder))
    return found


def _readable_parent(parts: list[str]) -> bytes:
    """The deepest folder above a name that is not UTF-8 (the watcher can't spell those)."""
    good: list[str] = []
    for part in parts:
        if "\ufffd" in part:
            break
        good.append(part)
    return os.fsencode("/".join(good))
