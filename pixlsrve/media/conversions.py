"""Pictures that a browser can't show, made into JPEG on request."""

from __future__ import annotations

import os
from typing import Literal, Protocol

from pixlsrve.errors import InvalidInput, NotFound, Unavailable
from pixlsrve.media.roots import Roots
from pixlsrve.model import Kind, Refusal
from pixlsrve.store.assets import Asset, Original
from pixlsrve.store.file_numbers import inode_of, mtime_ns_of


class Renderer(Protocol):
    """What decodes open files (index.workers.WorkerPool)."""

    async def render(self, fd: int, name: str) -> bytes | Refusal:
        """The open file's picture as a JPEG at full size."""


class Conversions:
    """Makes JPEGs of originals."""

    def __init__(self, roots: Roots, renderer: Renderer) -> None:
        self._roots = roots
        self._renderer = renderer

    def are_needed(self, asset: Asset, wanted: Literal["jpeg"] | None) -> bool:
        """Whether the original is something else than what is wanted. Raises InvalidInput for films and songs."""
        if wanted is None:
            return False
        if asset.kind is not Kind.PHOTO:
            raise InvalidInput("Only photos can be converted.", reason="not_a_photo", parameter="format")
        return asset.original.format != wanted

    async def jpeg(self, asset: Asset) -> bytes:
        """The photo at full size, orientation applied, without metadata.

        Raises NotFound, and Unavailable where the root is offline or the file is another than the index knows.
        """
        fd = await self._roots.open_original(asset.original.root_id, asset.original.path)
        try:
            if not is_as_indexed(fd, asset.original):
                raise Unavailable("The file has just changed.", reason="changing", retry_after_s=1)
            name = os.fsdecode(asset.original.path.rpartition(b"/")[2])
            made = await self._renderer.render(fd, name)
        finally:
            os.close(fd)
        if isinstance(made, Refusal):
            raise NotFound(made.message, reason=made.reason)
        return made


def is_as_indexed(fd: int, original: Original) -> bool:
    """Whether an open file is the one that the index knows."""
    facts = os.fstat(fd)
    now = (facts.st_size, mtime_ns_of(facts), inode_of(facts))
    return now == (original.size_bytes, original.mtime_ns, original.inode)
