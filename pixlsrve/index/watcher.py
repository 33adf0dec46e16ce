"""Noticing changes on disk as they happen, and disks that come and go."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

import structlog
from watchfiles import awatch
from watchfiles._rust_notify import WatchfilesRustInternalError  # it has no public name

from pixlsrve.index.ignore import IGNORE_FILE, NOMEDIA, is_hidden
from pixlsrve.index.metadata import EXTENSIONS
from pixlsrve.media.roots import Root
from pixlsrve.model import RootState

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0
DEBOUNCE_MS = 200
STEP_MS = 40
RETRY_S = 60.0
COMPARE_PAUSE = 20
"""Folders that can't be watched are left alone so many times as long as comparing them takes."""

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
        stop, anew = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            look = tasks.create_task(self._look(place, stop, anew))
            try:
                await self._report(stop, anew)
            except* WatchfilesRustInternalError:
                # Something whose name is not UTF-8 came into a watched folder: the whole root is walked, and that
                # folder is compared from now on.
                await _either(stop, LOOK_EVERY_S)
            except* (OSError, RuntimeError) as errors:
                self._explain(_first_of(errors))
                await _either(stop, RETRY_S)
            finally:
                look.cancel()

    async def _look(self, place: Place, stop: asyncio.Event, anew: asyncio.Event) -> None:
        """Set both events when the root is not the folder that is being watched any more.

        A root that has just gone offline counts as such: a disk that is back at once may have the very numbers that
        the old one had, and is still not what is being watched.
        """
        was_online = self._root.state is RootState.ONLINE
        while await asyncio.to_thread(_place, self._root.path) == place:
            is_online = self._root.state is RootState.ONLINE
            if was_online and not is_online:
                break
            was_online = is_online
            await asyncio.sleep(LOOK_EVERY_S)
        stop.set()
        anew.set()

    async def _report(self, stop: asyncio.Event, anew: asyncio.Event) -> None:
        """Turn file events, and differences where there are none, into folders to list again."""
        while not stop.is_set():
            anew.clear()
            plan = await asyncio.to_thread(plan_watch, self._root.path)
            async with asyncio.TaskGroup() as tasks:
                compare = tasks.create_task(self._compare(plan.unwatched, anew))
                if plan.singly == []:
                    await anew.wait()
                else:
                    await self._follow(plan.singly, anew)
                compare.cancel()
            if not stop.is_set():
                # What happens in a new folder before it is watched must not be missed.
                asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._changed, self._root, None)

    async def _follow(self, singly: list[Path] | None, anew: asyncio.Event) -> None:
        """Report events until `anew` is set or there is another folder to watch."""
        root = self._root.path
        watch = awatch(
            *([root] if singly is None else singly),
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            stop_event=anew,
            yield_on_timeout=False,
            recursive=singly is None,
        )
        async with aclosing(watch):
            async for changes in watch:
                paths = [path for _, path in changes]
                if any(map(_concerns_much, paths)):
                    self._changed(self._root, None)
                elif found := await asyncio.to_thread(folders_of, root, paths):
                    self._changed(self._root, found)
                if singly is not None and await asyncio.to_thread(_has_new_folder, paths, set(singly)):
                    return

    async def _compare(self, folders: dict[Path, Likeness], anew: asyncio.Event) -> None:
        """Report the differences in folders that can't be watched; set `anew` when there are other folders in them."""
        pause_s = LOOK_EVERY_S
        while folders:
            await asyncio.sleep(pause_s)
            begun_s = time.monotonic()
            now = await asyncio.to_thread(_likenesses, folders)
            pause_s = max(LOOK_EVERY_S, COMPARE_PAUSE * (time.monotonic() - begun_s))
            different = [folder for folder in folders if now[folder] != folders[folder]]
            if different:
                self._changed(self._root, {_relative(self._root.path, folder) for folder in different})
            if any(now[folder].folders != folders[folder].folders for folder in different):
                anew.set()
                return
            folders = now

    def _explain(self, error: Exception) -> None:
        """Say why changes are not seen at once, and what to do."""
        remedy = "changes are found by the periodic scan"
        if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "limit" in str(error).lower():
            remedy += "; raise fs.inotify.max_user_watches (sysctl) to see them at once"
        log.warning("root can't be watched", root=str(self._root.path), error=str(error), remedy=remedy)


def _first_of(errors: BaseExceptionGroup[Exception]) -> Exception:
    """The first error in a group of groups."""
    error = errors.exceptions[0]
    return _first_of(error) if isinstance(error, BaseExceptionGroup) else error


async def _either(stop: asyncio.Event, seconds: float) -> None:
    """Wait for `stop`, at most so long."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


class Likeness(NamedTuple):
    """What a folder looked like: hashes of its sub-folders, and of all that is in it."""

    folders: int
    entries: int


class Plan(NamedTuple):
    """How to notice changes below a root."""

    singly: list[Path] | None
    """The folders to watch one by one; None where the tree can be watched as a whole."""
    unwatched: dict[Path, Likeness]
    """The folders to compare instead."""


def plan_watch(root: Path) -> Plan:
    """Watch an ordinary tree as a whole, any other folder by folder.

    The watcher follows links to folders, out of the library and round in loops, and gives up on a tree with a folder
    that it may not read (where it is told to ignore that, it ignores having no watches left as well). And it fails at
    whatever happens to a name that is not UTF-8, even at our own reading of it: folders with such names are compared.
    """
    watched, unwatched, pending, is_ordinary = list[Path](), dict[Path, Likeness](), [root], True
    while pending:
        folder = pending.pop()
        is_utf8 = _is_text(str(folder))
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    is_utf8 = is_utf8 and _is_text(entry.name)
                    if entry.is_symlink():
                        is_ordinary = is_ordinary and not entry.is_dir()
                    elif entry.is_dir(follow_symlinks=False):
                        pending.append(Path(entry.path))
        except PermissionError:
            is_ordinary = False
        except OSError:
            continue
        else:
            is_ordinary = is_ordinary and is_utf8
            if folder != root and is_hidden(folder.name):
                continue
            if is_utf8:
                watched.append(folder)
            else:
                unwatched[folder] = likeness(folder)
    return Plan(None if is_ordinary or not (watched or unwatched) else watched, unwatched)


def likeness(folder: Path) -> Likeness:
    """What `folder` looks like now; of a folder that can't be read, nothing."""
    folders, others = set[str](), set[tuple[str, int, int, int]]()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.add(entry.name)
                elif not is_hidden(entry.name) or entry.name in {IGNORE_FILE, NOMEDIA}:
                    status = entry.stat(follow_symlinks=False)
                    others.add((entry.name, status.st_ino, status.st_size, status.st_mtime_ns))
    except OSError:
        pass
    return Likeness(hash(frozenset(folders)), hash((frozenset(folders), frozenset(others))))


def _likenesses(folders: Iterable[Path]) -> dict[Path, Likeness]:
    return {folder: likeness(folder) for folder in folders}


def _relative(root: Path, folder: Path) -> bytes:
    """A folder's path below the root as the index has it."""
    return b"" if folder == root else os.fsencode(folder.relative_to(root))


def _is_text(path: str) -> bool:
    """Whether the watcher can take a path: it knows only UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in path)


def _concerns_much(path: str) -> bool:
    """Whether a change there is not about one folder: ignore rules, and folders whose names the watcher can't spell."""
    folder, _, name = path.rpartition("/")
    return name == IGNORE_FILE or "\ufffd" in folder


def _has_new_folder(paths: Iterable[str], known: set[Path]) -> bool:
    """Whether one of `paths` is a folder that is not `known`."""
    return any(
        not path.is_symlink() and path.is_dir() and path not in known and not is_hidden(path.name)
        for path in map(Path, paths)
    )


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
        if any(is_hidden(part) for part in parts):
            continue
        if name == NOMEDIA:
            # That it hides the folder shows from the one above.
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
