"""Rows of library roots: their lasting identity (state) and what is known of their contents (index)."""

from __future__ import annotations

from typing import NamedTuple

from pixlsrve.store.database import Queries, Transaction


class RootRow(NamedTuple):
    """One root as the state database has it."""

    id: int
    uid: bytes
    path: bytes
    is_configured: bool


async def all_roots(state: Queries) -> list[RootRow]:
    """Every root that was ever configured."""
    rows = await state.fetch_all("SELECT id, uid, path, is_configured FROM library_root ORDER BY id")
    return [RootRow(row[0], row[1], row[2], bool(row[3])) for row in rows]


async def insert_root(tx: Transaction, uid: bytes, path: bytes, name: str, *, is_uploads: bool, now_us: int) -> int:
    """A new root; its id."""
    sql = "INSERT INTO library_root (uid, path, name, is_uploads, added_us) VALUES (?, ?, ?, ?, ?)"
    return await tx.insert(sql, (uid, path, name, int(is_uploads), now_us))


async def update_root(tx: Transaction, root_id: int, path: bytes, name: str, *, is_uploads: bool) -> None:
    """Where a configured root is now and what it is called."""
    sql = "UPDATE library_root SET path = ?, name = ?, is_uploads = ?, is_configured = 1 WHERE id = ?"
    await tx.execute(sql, (path, name, int(is_uploads), root_id))


async def mark_unconfigured(tx: Transaction, root_id: int) -> None:
    """The settings don't name this root any more."""
    await tx.execute("UPDATE library_root SET is_configured = 0 WHERE id = ?", (root_id,))


async def ensure_index_root(tx: Transaction, root_id: int) -> None:
    """The index's own row for a root."""
    await tx.execute("INSERT INTO root (id) VALUES (?) ON CONFLICT (id) DO NOTHING", (root_id,))


async def index_roots(index: Queries) -> dict[int, tuple[str, int | None]]:
    """State and last walk (microseconds) of each root in the index."""
    rows = await index.fetch_all("SELECT id, state, last_scan_us FROM root")
    return {row[0]: (row[1], row[2]) for row in rows}


async def set_state(tx: Transaction, root_id: int, state: str) -> None:
    """Online or offline."""
    await tx.execute("UPDATE root SET state = ? WHERE id = ?", (state, root_id))


async def set_scanned(tx: Transaction, root_id: int, at_us: int) -> None:
    """A walk of the whole root has ended."""
    await tx.execute("UPDATE root SET last_scan_us = ? WHERE id = ?", (at_us, root_id))


async def sample_files(index: Queries, root_id: int, count: int) -> list[tuple[bytes, int, int]]:
    """Up to `count` files spread over a root: relative path, size in bytes, modification time in nanoseconds."""
    sql = """
        SELECT folder.path, asset.name, asset.size_bytes, asset.mtime_ns
        FROM asset JOIN folder ON folder.id = asset.folder_id
        WHERE asset.root_id = ? AND asset.gone_us IS NULL
            AND asset.id % (SELECT max(1, count(*) / ?) FROM asset WHERE root_id = ?) = 0
        LIMIT ?
    """
    rows = await index.fetch_all(sql, (root_id, count, root_id, count))
    return [(folder + b"/" + name if folder else name, size, mtime) for folder, name, size, mtime in rows]


async def add_loss(tx: Transaction, root_id: int, at_us: int, count: int) -> None:
    """Remember that `count` files of a root were removed."""
    await tx.execute("INSERT INTO loss (root_id, at_us, count) VALUES (?, ?, ?)", (root_id, at_us, count))


async def losses_since(queries: Queries, root_id: int, since_us: int) -> int:
    """How many files of a root were removed since then."""
    row = await queries.fetch_one("SELECT total(count) FROM loss WHERE root_id = ? AND at_us >= ?", (root_id, since_us))
    return int(row[0]) if row else 0


async def forget_losses(tx: Transaction, root_id: int) -> None:
    """The removals so far were meant, or have been taken back."""
    await tx.execute("DELETE FROM loss WHERE root_id = ?", (root_id,))


async def retire(tx: Transaction, root_id: int, now_us: int) -> None:
    """Take a root that is not configured any more out of the library; its ids are kept for a while."""
    await tx.execute(
        "DELETE FROM search WHERE rowid IN (SELECT date_key FROM asset WHERE root_id = ? AND gone_us IS NULL)",
        (root_id,),
    )
    await tx.execute(
        "UPDATE asset SET gone_us = ?, missing_us = NULL, shown = 0 WHERE root_id = ? AND gone_us IS NULL",
        (now_us, root_id),
    )
    await tx.execute(
        "UPDATE folder SET gone_us = ?, signature = NULL, total_count = 0 WHERE root_id = ? AND gone_us IS NULL",
        (now_us, root_id),
    )
