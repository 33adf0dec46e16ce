"""Folder rows: made, revived, and brought along when a folder is renamed or moved."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from pixlsrve.errors import NotFound
from pixlsrve.events import EventType
from pixlsrve.index import identity
from pixlsrve.index.context import IndexContext
from pixlsrve.index.identity import uuid_text
from pixlsrve.index.walk import Listing
from pixlsrve.media.originals import display_name
from pixlsrve.media.roots import Root
from pixlsrve.store import counts, files, folders
from pixlsrve.store import identity as identities
from pixlsrve.store.file_numbers import inode_of
from pixlsrve.store.folders import FolderRow


def names_of(path: bytes, root: Root) -> tuple[str, str]:
    """A folder's shown and sorting name."""
    name = display_name(path.rpartition(b"/")[2]) if path else root.name
    return name, name.casefold()


class FolderKeeper:
    """Gives every listed folder its row."""

    def __init__(self, context: IndexContext) -> None:
        self._context = context

    async def ensure(self, root: Root, listings: Sequence[Listing]) -> dict[bytes, FolderRow]:
        """The row of every listed folder; new ones are made, moved ones brought to their new place."""
        index = self._context.index
        wanted = [listing.path for listing in listings]
        parents = [path.rpartition(b"/")[0] for path in wanted if path]
        rows = await folders.at_paths(index, root.id, list({*wanted, *parents}))
        for listing in listings:
            if listing.path in rows:
                continue
            parent = rows.get(listing.path.rpartition(b"/")[0]) if listing.path else None
            if await self._bring_moved(root, listing, parent):
                rows |= await folders.at_paths(index, root.id, wanted)
            else:
                await self._make_folder(root, listing, parent)
                rows |= await folders.at_paths(index, root.id, [listing.path])
        return rows

    async def _make_folder(self, root: Root, listing: Listing, parent: FolderRow | None) -> None:
        """Insert a folder, or revive the one that was there before."""
        context, path = self._context, listing.path
        written = await identities.written_ids(context.state, "album", root.id, [path])
        uuid = written.get(path) or identity.derive(context.id_secret, root.uid, path, what=b"album")
        known = await folders.by_uuid(context.index, uuid)
        place = (listing.device, listing.inode)
        parent_id = None if parent is None else parent.id
        if known is not None and known[3] is not None and (known[1], known[2]) == (root.id, path):
            async with context.index.transaction() as tx:
                await folders.revive(tx, known[0], parent_id, place)
            return
        if known is not None:
            uuid = identity.random_id()
            async with context.state.transaction() as tx:
                await identities.write_ids(tx, "album", [(root.id, path, uuid)])
        async with context.index.transaction() as tx:
            await folders.insert(tx, uuid, root.id, parent_id, path, names_of(path, root), place)

    async def _bring_moved(self, root: Root, listing: Listing, parent: FolderRow | None) -> bool:
        """Whether the folder is a known one that was renamed or moved; if so, it and all below it are now here."""
        if not listing.path or not listing.inode:
            return False
        for folder in await folders.with_inode(self._context.index, listing.device, listing.inode):
            if folder.path != b"" and await asyncio.to_thread(self._has_left, folder):
                await self._relocate(root, listing, parent, folder)
                return True
        return False

    def _has_left(self, folder: FolderRow) -> bool:
        """Whether another folder, or none, is at a folder's old place."""
        try:
            status = (self._context.roots.get(folder.root_id).path / os.fsdecode(folder.path)).lstat()
        except (OSError, NotFound):
            return True
        return (status.st_dev, inode_of(status)) != (folder.device, folder.inode)

    async def _relocate(self, root: Root, listing: Listing, parent: FolderRow | None, folder: FolderRow) -> None:
        """Write down the ids of everything that moved, then move it."""
        context, cut = self._context, len(folder.path)
        moved = await folders.below(context.index, folder)
        albums = [(root.id, listing.path + row.path[cut:], row.uuid) for row in moved]
        async with context.state.transaction() as tx:
            await identities.write_ids(tx, "album", albums)
            for row in moved:
                assets = await files.in_folder(context.index, row.id)
                await identities.write_ids(
                    tx, "asset", [(root.id, listing.path + asset.path[cut:], asset.uuid) for asset in assets]
                )
        async with context.index.transaction() as tx:
            parent_id = None if parent is None else parent.id
            await folders.relocate(tx, folder, root.id, parent_id, listing.path, names_of(listing.path, root))
            await counts.refresh(tx, [i for i in (folder.id, folder.parent_id, parent_id) if i is not None])
        context.version.bump()
        data = {"id": uuid_text(folder.uuid), "name": names_of(listing.path, root)[0]}
        context.bus.publish(EventType.ALBUM_CHANGED, data, root_id=root.id)
