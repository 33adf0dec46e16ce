"""Sending one file to the host: streamed, hashed on its way where it isn't yet, given up when it changes meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from typing import Any

from pixlsrve.devices.agent.folder import Entry, Folder, name_of, version_of
from pixlsrve.devices.agent.host import Host, HostRefused, HostUnreachable
from pixlsrve.errors import Conflict, NotFound, PixlsrveError
from pixlsrve.outbound import PROGRESS_LIMIT_S

CHUNK_BYTES = 512 * 1024
AT_ONCE = 8


class Sender:
    """Sends files of the folder to the host, a few at once."""

    def __init__(self, folder: Folder, host: Host) -> None:
        self._folder = folder
        self._host = host
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def send(self, path: bytes, song_id: str | None) -> dict[str, Any]:
        """Upload the file at `path`; what the host answers, in the specification's words.

        Raises NotFound and PathTraversal for what is not there or not inside, Conflict for what changes, and
        HostUnreachable, HostRefused, NotWelcome.
        """
        async with self._turns:
            fd = await asyncio.to_thread(self._folder.open, path)
            reading = _Reading(fd)
            entry = self._folder.entry(path)
            reading.is_hashed = entry is not None and entry.sha256 is not None and entry.version == reading.version
            try:
                return await self._upload(path, reading, song_id or await self._song_id(path, reading))
            finally:
                await reading.close()

    async def _upload(self, path: bytes, reading: _Reading, song_id: str) -> dict[str, Any]:
        url = f"/api/device/{self._host.pairing.device_id}/songs/{song_id}/upload/"
        for is_last in (False, True):
            try:
                async with asyncio.timeout(PROGRESS_LIMIT_S) as patience:
                    chunks = reading.chunks(patience)
                    answer = await self._host.upload(url, chunks, reading.version[0])
            except TimeoutError as error:
                raise HostUnreachable("The host takes no more of the file.") from error
            except HostUnreachable:
                if reading.has_changed:
                    raise Conflict("The file changes just now.", reason="changing") from None
                raise
            except HostRefused as error:
                if error.status != 401 or is_last:
                    raise
                self._host.forget_token()
                continue
            if reading.digest is not None:
                self._folder.note_hash(path, reading.version, reading.digest)
            return answer
        raise AssertionError("the loop ends by itself")

    async def _song_id(self, path: bytes, reading: _Reading) -> str:
        """What the host calls the file; told now where it has not been told yet."""
        entry = self._folder.entry(path)
        if entry is not None and entry.song_id is not None:
            return entry.song_id
        (song_id,) = await register(self._host, self._folder, [entry or Entry(path, *reading.version)])
        return song_id


async def register(host: Host, folder: Folder, entries: list[Entry]) -> list[str]:
    """Tell the host of files; the ids that it gives them. Raises HostUnreachable, HostRefused, NotWelcome."""
    songs = [
        {
            "path": name_of(entry.path),
            "size_bytes": entry.size_bytes,
            "mtime": entry.mtime_ns // 1_000 / 1e6,
            "sha256": None if entry.sha256 is None else entry.sha256.hex(),
        }
        for entry in entries
    ]
    answer = await host.call("POST", f"/api/device/{host.pairing.device_id}/songs/", {"songs": songs})
    ids = [str(song["song_id"]) for song in answer["songs"]]
    await asyncio.to_thread(folder.note_ids, dict(zip((entry.path for entry in entries), ids, strict=True)))
    return ids


class _Reading:
    """An open file that is being sent, maybe more than once."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._job: asyncio.Future[Any] | None = None
        self.version = version_of(fd)
        self.has_changed = False
        self.is_hashed = False
        """Whether the content's hash is known already."""
        self.digest: bytes | None = None

    async def chunks(self, patience: asyncio.Timeout) -> AsyncIterator[bytes]:
        """The whole file; breaks off when it is not what it was at the start. Each chunk that goes gives more time."""
        loop, hash_, done = asyncio.get_running_loop(), None if self.is_hashed else hashlib.sha256(), 0
        size_bytes = self.version[0]
        while done < size_bytes:
            self._job = loop.run_in_executor(None, self._read, done, size_bytes, hash_)
            chunk = await asyncio.shield(self._job)
            done += len(chunk)
            patience.reschedule(loop.time() + PROGRESS_LIMIT_S if done < size_bytes else None)
            yield chunk
        self.digest = None if hash_ is None else hash_.digest()

    async def close(self) -> None:
        """Let go of the file, after a thread that reads it."""
        if self._job is not None:
            await asyncio.wait({self._job})
        os.close(self._fd)

    def _read(self, offset: int, size_bytes: int, hash_: Any) -> bytes:
        data = os.pread(self._fd, min(CHUNK_BYTES, size_bytes - offset), offset)
        if not data or version_of(self._fd) != self.version:
            self.has_changed = True
            raise OSError("the file changes")
        if hash_ is not None:
            hash_.update(data)
        return data


def status_of(error: PixlsrveError) -> int:
    """The status that tells the host why its transfer failed (DESIGN section 5)."""
    if isinstance(error, NotFound) or (isinstance(error, HostRefused) and error.status == 404):
        return 404
    return 409 if isinstance(error, Conflict) else 502
