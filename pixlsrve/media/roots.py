"""The library's roots as the running daemon knows them: where they are, what they are called, are they there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pixlsrve.errors import NotFound, Unavailable
from pixlsrve.media.originals import OpenRoot
from pixlsrve.model import RootState


@dataclass(slots=True, kw_only=True)
class Root:
    """One folder that the library is made of. `state` and the times change while the daemon runs."""

    id: int
    uid: bytes
    path: Path
    name: str
    """The folder's name, unique among the roots: the first part of every path that clients see."""
    is_uploads: bool = False
    state: RootState = RootState.ONLINE
    last_scan_us: int | None = None
    """When a walk of the whole root last ended, microseconds since the epoch."""
    absent_mounts: set[bytes] = field(default_factory=set)
    """Folders below it (relative paths) whose own disk is not there."""

    def is_offline_at(self, relative: bytes) -> bool:
        """Whether what was at a path below the root may come back with a disk."""
        return self.state is RootState.OFFLINE or any(relative.startswith(path + b"/") for path in self.absent_mounts)


class Roots:
    """The configured roots by id."""

    def __init__(self, roots: Iterable[Root]) -> None:
        self._by_id = {root.id: root for root in roots}

    def __iter__(self) -> Iterator[Root]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, root_id: int) -> Root:
        """The root with this id. Raises NotFound."""
        try:
            return self._by_id[root_id]
        except KeyError:
            raise NotFound("This folder is not part of the library any more.") from None

    async def open_original(self, root_id: int, relative: bytes) -> int:
        """A read-only descriptor of the file at `relative` below the root, to be closed by the caller.

        Raises Unavailable (reason offline) when the root or the file's own disk is not there, NotFound when the file
        is gone.
        """
        return await asyncio.to_thread(self.open_original_blocking, root_id, relative)

    def open_original_blocking(self, root_id: int, relative: bytes) -> int:
        """`open_original` for threads."""
        root = self.get(root_id)
        try:
            with OpenRoot(root.path) as opened:
                return opened.open_file(relative)
        except NotFound:
            if root.is_offline_at(relative):
                raise Unavailable("The disk that holds this file is not there just now.", reason="offline") from None
            raise


def unique_names(paths: Iterable[Path]) -> list[str]:
    """Names for roots: the folders' own, with ` (2)` and so on where one is taken."""
    names: list[str] = []
    for path in paths:
        base = path.name or "Photos"
        name, number = base, 2
        while name in names:
            name, number = f"{base} ({number})", number + 1
        names.append(name)
    return names
