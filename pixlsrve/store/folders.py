"""Folder rows as the scanner writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pixlsrve.store.database import Database, Queries, Row, Transaction, marks


class FolderRow(NamedTuple):
    """One live folder. `signature` is None when it must be compared entry by entry."""

    id: int
    uuid: bytes
    root_id: int
    parent_id: int | None
    path: bytes
    device: int
    inode: int
    signature: bytes | None
    is_offline: int


_COLUMNS = "id, uuid, root_id, parent_id, path, device, inode, signature, is_offline"


def _to_folder(row: Row) -> FolderRow:
    return FolderRow(*row)


async def signatures(index: Database, root_id: int) -> dict[bytes, bytes | None]:
    """The last signature of each live folder of a root, by path; parents and children in no order."""
    sql = "SELECT path, signature FROM folder WHERE root_id = ? AND gone_us IS NULL"
    return dict(await index.fetch_all(sql, (root_id,), limit_s=120))


async def at_paths(queries: Queries, root_id: int, paths: Sequence[bytes]) -> dict[bytes, FolderRow]:
    """The live folders among `paths`."""
    found: dict[bytes, FolderRow] = {}
    for start in range(0, len(paths), 500):
        chunk = paths[start : start + 500]
        sql = f"SELECT {_COLUMNS} FROM folder WHERE root_id = ? AND gone_us IS NULL AND path IN ({marks(chunk)})"  # noqa: S608
        for row in await queries.fetch_all(sql, (root_id, *chunk)):
            found[row[4]] = _to_folder(row)
    return found


async def children(queries: Queries, folder_id: int) -> list[FolderRow]:
    """The live folders directly in a folder."""
    sql = f"SELECT {_COLUMNS} FROM folder WHERE parent_id = ? AND gone_us IS NULL"  # noqa: S608
    return [_to_folder(row) for row in await queries.fetch_all(sql, (folder_id,))]


async def below(queries: Queries, folder: FolderRow) -> list[FolderRow]:
    """A live folder and all live ones below it."""
    sql = f"SELECT {_COLUMNS} FROM folder WHERE root_id = ? AND gone_us IS NULL AND (path = ? OR ? = X'' OR (path > ? AND path < ?))"  # noqa: S608, E501
    low, high = folder.path + b"/", folder.path + b"0"
    parameters = (folder.root_id, folder.path, folder.path, low, high)
    return [_to_folder(row) for row in await queries.fetch_all(sql, parameters)]


async def with_inode(queries: Queries, device: int, inode: int) -> list[FolderRow]:
    """The live folders that had this place on the disk, at most 5."""
    sql = f"SELECT {_COLUMNS} FROM folder WHERE inode = ? AND device = ? AND gone_us IS NULL LIMIT 5"  # noqa: S608
    return [_to_folder(row) for row in await queries.fetch_all(sql, (inode, device))]


async def by_uuid(queries: Queries, uuid: bytes) -> tuple[int, int, bytes, int | None] | None:
    """Id, root, path and time of vanishing of the folder with this public id, vanished ones included."""
    row = await queries.fetch_one("SELECT id, root_id, path, gone_us FROM folder WHERE uuid = ?", (uuid,))
    return None if row is None else (row[0], row[1], row[2], row[3])


async def mounts(queries: Queries, root_id: int) -> set[bytes]:
    """Paths of a root's folders that were on another disk than the one above them when they were last seen."""
    sql = """
        SELECT below.path FROM folder AS below JOIN folder AS above ON above.id = below.parent_id
        WHERE below.root_id = ? AND below.gone_us IS NULL AND (below.is_offline > above.is_offline
            OR (below.device <> above.device AND below.device <> 0 AND above.device <> 0))
    """
    return {row[0] for row in await queries.fetch_all(sql, (root_id,))}


async def absent_mounts(queries: Queries, root_id: int) -> set[bytes]:
    """Paths of a root's mounts that are not there just now."""
    sql = """
        SELECT below.path FROM folder AS below JOIN folder AS above ON above.id = below.parent_id
        WHERE below.root_id = ? AND below.gone_us IS NULL AND below.is_offline > above.is_offline
    """
    return {row[0] for row in await queries.fetch_all(sql, (root_id,))}


async def insert(
    tx: Transaction,
    uuid: bytes,
    root_id: int,
    parent_id: int | None,
    path: bytes,
    names: tuple[str, str],
    place: tuple[int, int],
) -> int:
    """A new folder; its id. `names` are shown and sorting name, `place` device and inode."""
    sql = """
        INSERT INTO folder (uuid, root_id, parent_id, path, name, sort_name, device, inode)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    """
    return await tx.insert(sql, (uuid, root_id, parent_id, path, *names, *place))


async def revive(tx: Transaction, folder_id: int, parent_id: int | None, place: tuple[int, int]) -> None:
    """A vanished folder is back at its place."""
    sql = "UPDATE folder SET gone_us = NULL, signature = NULL, parent_id = ?, device = ?, inode = ? WHERE id = ?"
    await tx.execute(sql, (parent_id, *place, folder_id))


async def relocate(
    tx: Transaction, folder: FolderRow, root_id: int, parent_id: int | None, path: bytes, names: tuple[str, str]
) -> None:
    """A folder and everything below it was renamed or moved to `path` in `root_id`."""
    low, high = folder.path + b"/", folder.path + b"0"
    await tx.execute(
        "UPDATE folder SET path = CAST(? || substr(path, ?) AS BLOB), root_id = ?, words_stale = 1 "
        "WHERE root_id = ? AND gone_us IS NULL AND path > ? AND path < ?",
        (path, len(folder.path) + 1, root_id, folder.root_id, low, high),
    )
    await tx.execute(
        "UPDATE folder SET path = ?, root_id = ?, parent_id = ?, name = ?, sort_name = ?, words_stale = 1 WHERE id = ?",
        (path, root_id, parent_id, *names, folder.id),
    )
    if root_id != folder.root_id:
        await tx.execute(
            "UPDATE asset SET root_id = ? WHERE root_id = ? AND folder_id IN (SELECT id FROM folder WHERE root_id = ?)",
            (root_id, folder.root_id, root_id),
        )


async def set_seen(tx: Transaction, rows: Iterable[tuple[bytes | None, int, int, int]]) -> None:
    """What a walk saw of folders: signature, device, inode, folder id."""
    await tx.execute_many("UPDATE folder SET signature = ?, device = ?, inode = ?, is_offline = 0 WHERE id = ?", rows)


async def set_gone(tx: Transaction, folder_ids: Iterable[int], now_us: int) -> None:
    """Folders that are not on the disk any more."""
    await tx.execute_many(
        "UPDATE folder SET gone_us = ?, signature = NULL WHERE id = ?", ((now_us, i) for i in folder_ids)
    )


async def set_offline(tx: Transaction, folder_ids: Iterable[int]) -> None:
    """Folders on a mount that is not there just now."""
    await tx.execute_many("UPDATE folder SET is_offline = 1, signature = NULL WHERE id = ?", ((i,) for i in folder_ids))


async def forget_signatures(tx: Transaction, folder_ids: Iterable[int]) -> None:
    """Make the next walk compare these folders entry by entry."""
    await tx.execute_many("UPDATE folder SET signature = NULL WHERE id = ?", ((i,) for i in folder_ids))


async def forget_all_signatures(tx: Transaction) -> None:
    """Make the next walk compare everything entry by entry."""
    await tx.execute("UPDATE folder SET signature = NULL")


async def stale_words(queries: Queries, count: int) -> list[int]:
    """Folders whose assets still carry the words of an older name."""
    return [row[0] for row in await queries.fetch_all("SELECT id FROM folder WHERE words_stale = 1 LIMIT ?", (count,))]


async def words_are_fresh(tx: Transaction, folder_ids: Iterable[int]) -> None:
    """The words of these folders' assets have been written again."""
    await tx.execute_many("UPDATE folder SET words_stale = 0 WHERE id = ?", ((i,) for i in folder_ids))


async def offline_in(queries: Queries, root_id: int) -> list[int]:
    """Folders of a root whose own mount is not there."""
    sql = "SELECT id FROM folder WHERE root_id = ? AND is_offline = 1 AND gone_us IS NULL"
    return [row[0] for row in await queries.fetch_all(sql, (root_id,))]


async def revive_many(tx: Transaction, folder_ids: Iterable[int]) -> None:
    """Folders that count as there again, where no other has taken their place; those above them too."""
    sql = """
        WITH RECURSIVE up (id) AS (
            VALUES (?) UNION SELECT folder.parent_id FROM folder JOIN up ON folder.id = up.id
            WHERE folder.parent_id IS NOT NULL
        )
        UPDATE OR IGNORE folder SET gone_us = NULL, signature = NULL WHERE id IN (SELECT id FROM up)
    """
    await tx.execute_many(sql, ((i,) for i in folder_ids))
