"""Files that the host itself has just stored: into the index at once, without a walk (DESIGN section 5)."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable
from pathlib import Path

from pixlsrve.errors import NotFound
from pixlsrve.index.context import IndexContext
from pixlsrve.index.identity import uuid_text
from pixlsrve.index.metadata import EXTENSIONS, sniff
from pixlsrve.index.metadata.source import HEAD_BYTES
from pixlsrve.index.pipeline import Readers
from pixlsrve.index.placing import Placer
from pixlsrve.index.results import Entered, Results
from pixlsrve.index.walk import Entry
from pixlsrve.media.roots import Root
from pixlsrve.media.uploads.arrivals import Admitted, Examined
from pixlsrve.model import AssetId, Facts, Kind
from pixlsrve.store import assets, stages
from pixlsrve.store.database import Transaction
from pixlsrve.store.file_numbers import inode_of, mtime_ns_of

_USUAL = {"jpeg": "jpg"}
_TRIES = 3


class Arrivals:
    """Reads headers before a file has its place, and gives it its rows once it has.

    What a walk does for it later changes nothing: it finds the file as the index has it.
    """

    def __init__(
        self,
        context: IndexContext,
        readers: Readers,
        placer: Placer,
        results: Results,
        read_soon: Callable[[int], None],
    ) -> None:
        self._context = context
        self._readers = readers
        self._placer = placer
        self._results = results
        self._read_soon = read_soon

    async def examine(self, fd: int, name: str) -> Examined:
        """What an open file is by its content."""
        head = await asyncio.to_thread(os.pread, fd, HEAD_BYTES, 0)
        form = sniff(head, name)
        (verdict,) = await self._readers.read_facts([(fd, name)], interactive=True)
        kind = verdict.kind if isinstance(verdict, Facts) else (None if form is None else form.kind)
        format_ = verdict.format if isinstance(verdict, Facts) else (None if form is None else form.name)
        return Examined(kind=kind, format=format_, verdict=verdict)

    async def admit(self, root_id: int, path: bytes, sha256: bytes, examined: Examined) -> Admitted:
        """Rows for a file that is there, its header and hash included; its thumbnail follows soon."""
        root = self._context.roots.get(root_id)
        for _ in range(_TRIES):
            entry = await asyncio.to_thread(_entry_of, root.path, path)
            entered = await self._enter(root, path, entry, sha256, examined)
            if entered is not None:
                break
        else:
            raise NotFound("The file was changed or taken away while it was stored.")
        self._results.tell(entered)
        row = entered.now
        self._read_soon(row.id)
        return Admitted(
            pk=row.id,
            asset_id=AssetId(uuid_text(row.uuid)),
            kind=Kind(row.kind),
            is_quarantined=row.refusal_reason is not None,
        )

    async def _enter(self, root: Root, path: bytes, entry: Entry, sha256: bytes, examined: Examined) -> Entered | None:
        """The file with its rows; None where it is another one by now."""

        async def enter(tx: Transaction, pk: int) -> Entered | None:
            rows = await stages.work_rows(tx, [pk])
            if not rows or (rows[0].size_bytes, rows[0].mtime_ns) != (entry.size_bytes, entry.mtime_ns):
                return None
            return await self._results.enter(tx, rows[0], examined.verdict, sha256)

        folder = path.rpartition(b"/")[0]
        entered = await self._placer.place_new(root, folder, entry, enter)
        if entered is not None:
            return entered
        pk = await self._placer.place_one(root, folder, entry)
        return await self._context.index.write(lambda tx: enter(tx, pk))

    async def find(self, root_id: int, path: bytes) -> Admitted | None:
        """What the index has at a place."""
        asset = await assets.at_place(self._context.index, root_id, path)
        if asset is None:
            return None
        return Admitted(
            pk=asset.pk, asset_id=asset.id, kind=asset.kind, is_quarantined=asset.refusal_reason is not None
        )

    def extension_for(self, format_name: str) -> str:
        """The usual extension of a format."""
        return _USUAL.get(format_name, format_name)

    def kind_of_extension(self, extension: str) -> Kind | None:
        """What files with this extension usually are."""
        return EXTENSIONS.get(extension)


def _entry_of(root: Path, path: bytes) -> Entry:
    """A file as a walk would see it. Raises NotFound."""
    name = path.rpartition(b"/")[2]
    try:
        status = (root / os.fsdecode(path)).lstat()
    except OSError as error:
        raise NotFound("The file is not there any more.") from error
    kind = EXTENSIONS.get(os.fsdecode(name).rpartition(".")[2].lower())
    if kind is None or not stat.S_ISREG(status.st_mode):
        raise NotFound("The file is not there any more.")
    return Entry(name, kind, status.st_size, mtime_ns_of(status), status.st_dev, inode_of(status))
