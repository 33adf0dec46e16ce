"""PNG thumbnails of the content-addressed door: small files in STORAGE/.thumbnails/, named by content."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import uuid
from pathlib import Path

import structlog

from pixlsrve.media.thumbnails import ThumbnailCache
from pixlsrve.store.assets import Viewer

log = structlog.get_logger(__name__)

FOLDER = ".thumbnails"
SIDE_PX = 256
CACHE_BYTES = 256 * 1024 * 1024
_SWEEP_EVERY = 200
"""Files written between two looks at how much the folder holds."""
_FILE_MODE = 0o640
_FOLDER_MODE = 0o750


def file_name(sha256: bytes) -> str:
    """What the thumbnail of this content is called."""
    return f"{sha256.hex()}.png"


def to_png(jpeg: bytes) -> bytes:
    """Our own JPEG thumbnail as a PNG within 256 by 256 pixels, never enlarged. Blocking."""
    from PIL import Image  # imported late: few hosts make any

    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
        image.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        image.save(out, "PNG")
        return out.getvalue()


class PngThumbnails:
    """Makes them from the JPEG thumbnails, and keeps the newest CACHE_BYTES of them on disk.

    A disk that is full or read-only costs time, and no answer: they are made again for each request.
    """

    def __init__(self, storage: Path, thumbnails: ThumbnailCache) -> None:
        self._folder = storage / FOLDER
        self._thumbnails = thumbnails
        self._until_sweep = 0
        self._is_sweeping = False

    async def get(self, asset_id: str, sha256: bytes, *, viewer: Viewer) -> bytes:
        """The PNG of an asset whose content is `sha256`.

        Raises NotFound (with a reason where no picture can be made), Unavailable.
        """
        path = self._folder / file_name(sha256)
        with contextlib.suppress(OSError):
            return await asyncio.to_thread(path.read_bytes)
        thumbnail = await self._thumbnails.get(asset_id, "medium", viewer=viewer)
        png = await asyncio.to_thread(to_png, thumbnail.jpeg)
        await asyncio.to_thread(self._keep, path, png)
        return png

    def _keep(self, path: Path, png: bytes) -> None:
        """Write a thumbnail as a whole or not at all."""
        fresh = path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            if not self._folder.is_dir():
                self._folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
                self._folder.chmod(_FOLDER_MODE)
            fresh.write_bytes(png)
            fresh.chmod(_FILE_MODE)
            fresh.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            log.warning("a PNG thumbnail could not be kept", error=error.strerror)
            return
        self._until_sweep -= 1
        if self._until_sweep <= 0 and not self._is_sweeping:
            self._until_sweep, self._is_sweeping = _SWEEP_EVERY, True
            try:
                _sweep(self._folder)
            finally:
                self._is_sweeping = False


def _sweep(folder: Path) -> None:
    """Delete the oldest files beyond CACHE_BYTES."""
    found: list[tuple[float, int, str]] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # an unfinished one got its name meanwhile
                status = entry.stat(follow_symlinks=False)
                found.append((status.st_mtime, status.st_size, entry.path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= CACHE_BYTES:
            return
        with contextlib.suppress(OSError):
            Path(path).unlink()
            total -= size
