"""Assets by their content: every file whose bytes are known, whether it can be shown or not."""

from __future__ import annotations

from typing import NamedTuple

from pixlsrve.store.assets import Viewer, add_viewer
from pixlsrve.store.database import Queries

_SELECT = (
    "SELECT a.sha256, a.id, a.uuid, a.root_id, f.path, a.name, a.kind, a.shown > 0, a.has_thumbnail, a.size_bytes,"
    " a.mtime_ns, a.inode, a.facts FROM asset AS a"
)
_JOIN = "JOIN folder AS f ON f.id = a.folder_id"


class ContentRow(NamedTuple):
    """One file. `folder_path` and `name` are raw bytes, `facts` is MessagePack of model.Facts."""

    sha256: bytes
    pk: int
    uuid: bytes
    root_id: int
    folder_path: bytes
    name: bytes
    kind: str
    is_shown: bool
    has_thumbnail: bool
    size_bytes: int
    mtime_ns: int
    inode: int
    facts: bytes | None

    @property
    def path(self) -> bytes:
        """Relative to the root."""
        return self.folder_path + b"/" + self.name if self.folder_path else self.name


async def after(index: Queries, sha256: bytes, pk: int, viewer: Viewer, count: int) -> list[ContentRow]:
    """The next `count` files in the order of their SHA-256, then of their row, behind the one with these two."""
    terms = ["a.sha256 >= ?", "(a.sha256 > ? OR a.id > ?)", "a.gone_us IS NULL"]
    parameters: list[int | str | bytes] = [sha256, sha256, pk]
    add_viewer(terms, parameters, viewer)
    where = " AND ".join(terms)
    sql = f"{_SELECT} INDEXED BY asset_sha256 {_JOIN} WHERE {where} ORDER BY a.sha256, a.id LIMIT ?"
    return [ContentRow(*row) for row in await index.fetch_all(sql, [*parameters, count])]


async def with_sha256(index: Queries, sha256: bytes, viewer: Viewer, count: int) -> list[ContentRow]:
    """At most `count` files of one content, by root and path."""
    terms, parameters = ["a.sha256 = ?", "a.gone_us IS NULL"], list[int | str | bytes]([sha256])
    add_viewer(terms, parameters, viewer)
    where = " AND ".join(terms)
    sql = f"{_SELECT} INDEXED BY asset_sha256 {_JOIN} WHERE {where} ORDER BY a.root_id, f.path, a.name LIMIT ?"
    return [ContentRow(*row) for row in await index.fetch_all(sql, [*parameters, count])]
