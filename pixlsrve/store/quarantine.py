"""Files that can't be decoded, with the reasons."""

from __future__ import annotations

import uuid

import msgspec

from pixlsrve.model import AssetId
from pixlsrve.store.assets import Viewer, add_viewer
from pixlsrve.store.database import Row
from pixlsrve.store.listing import Listing


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """One file and why it is not shown. `folder` and `name` are raw bytes, `folder` relative to the root."""

    id: AssetId
    root_id: int
    folder: bytes
    name: bytes
    size_bytes: int
    mtime_ns: int
    reason: str
    message: str


def to_quarantined(row: Row) -> Quarantined:
    """The file of one row of this module's columns."""
    uid, root_id, folder, name, size_bytes, mtime_ns, reason, message = row
    return Quarantined(
        id=AssetId(str(uuid.UUID(bytes=uid))),
        root_id=root_id,
        folder=folder,
        name=name,
        size_bytes=size_bytes,
        mtime_ns=mtime_ns,
        reason=reason,
        message=message or "",
    )


def listing(viewer: Viewer) -> Listing:
    """The files that may be seen, in the order in which they were first indexed."""
    terms, parameters = ["a.refusal_reason IS NOT NULL", "a.shown = 0", "a.gone_us IS NULL"], list[int | str | bytes]()
    add_viewer(terms, parameters, viewer)
    return Listing(
        source="asset AS a INDEXED BY asset_refused",
        where=" AND ".join(terms),
        parameters=tuple(parameters),
        key=("a.id",),
        row_id="a.id",
        columns="a.uuid, a.root_id, f.path, a.name, a.size_bytes, a.mtime_ns, a.refusal_reason, a.refusal_message",
        joins="JOIN asset AS a ON a.id = chosen.row JOIN folder AS f ON f.id = a.folder_id",
    )
