"""Whether the content of an upload is in the library already: online, read back right now, and its sender's to know."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Executor

from pixlsrve.errors import PixlsrveError
from pixlsrve.media.roots import Roots
from pixlsrve.media.uploads.arrivals import Admitted, Arrivals
from pixlsrve.media.uploads.leftovers import Leftovers
from pixlsrve.media.uploads.spool import hash_open_file
from pixlsrve.media.uploads.stored import Stored, stored_at
from pixlsrve.model import Refusal, RootState
from pixlsrve.store import uploads as rows
from pixlsrve.store.assets import Asset, Viewer
from pixlsrve.store.database import Database


class Known:
    """Looks for content by its hash."""

    def __init__(
        self,
        state: Database,
        index: Database,
        roots: Roots,
        arrivals: Arrivals,
        leftovers: Leftovers,
        executor: Executor,
    ) -> None:
        self._state = state
        self._leftovers = leftovers
        self._index = index
        self._roots = roots
        self._arrivals = arrivals
        self._executor = executor

    async def find(self, sha256: bytes, size_bytes: int, *, owner: str, viewer: Viewer) -> Stored | None:
        """A copy that `owner` may count on, or None. What they sent themselves they may know, wherever it is."""
        records = await rows.with_content(self._state, sha256)
        own = {(record.root_id, record.path) for record in records if record.owner == owner}
        hashed = [_place(asset) for asset in await rows.known_assets(self._index, sha256)]
        # What a first indexing has not read yet, and what a crash kept from being recorded, is known by its size alone.
        unhashed = [_place(asset) for asset in await rows.unhashed_assets(self._index, size_bytes)]
        unhashed += [(record.root_id, record.path) for record in records]
        unhashed += await self._leftovers.of_size(size_bytes)
        for root_id, path in dict.fromkeys(hashed + unhashed):
            if viewer is not None and root_id not in viewer and (root_id, path) not in own:
                continue
            if await self._is_there(root_id, path, sha256, size_bytes):
                found = await self._admitted(root_id, path, sha256, is_hashed=(root_id, path) in hashed)
                if found is not None:
                    return stored_at(root_id, path, found, sha256=sha256, size_bytes=size_bytes, is_duplicate=True)
        return None

    async def _is_there(self, root_id: int, path: bytes, sha256: bytes, size_bytes: int) -> bool:
        """Whether a file reads back as this content right now."""
        try:
            if self._roots.get(root_id).state is not RootState.ONLINE:
                return False
            fd = await self._roots.open_original(root_id, path)
        except PixlsrveError:
            return False
        loop = asyncio.get_running_loop()
        job = loop.run_in_executor(self._executor, _hash_and_close, fd, size_bytes)
        return await asyncio.shield(job) == sha256

    async def _admitted(self, root_id: int, path: bytes, sha256: bytes, *, is_hashed: bool) -> Admitted | None:
        """The copy's place in the index, which may not have come across it, or across its content, yet."""
        if is_hashed:
            return await self._arrivals.find(root_id, path)
        try:
            fd = await self._roots.open_original(root_id, path)
            try:
                examined = await self._arrivals.examine(fd, os.fsdecode(path.rpartition(b"/")[2]))
            finally:
                os.close(fd)
            if isinstance(examined.verdict, Refusal) and examined.kind is None:
                return None
            return await self._arrivals.admit(root_id, path, sha256, examined)
        except PixlsrveError:
            return None


def _place(asset: Asset) -> tuple[int, bytes]:
    return asset.original.root_id, asset.original.path


def _hash_and_close(fd: int, size_bytes: int) -> bytes | None:
    try:
        return hash_open_file(fd, size_bytes)
    finally:
        os.close(fd)
