"""Rows of what uploads stored, and of unfinished uploads (state database); where known content lies (index)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pixlsrve.store.assets import Asset, asset_rows
from pixlsrve.store.database import Queries, Transaction, marks


class Record(NamedTuple):
    """One stored upload. `path` is relative to the root, raw bytes.

    `owner` is the UUID of who sent it, `name` what they called it.
    """

    root_id: int
    path: bytes
    sha256: bytes
    size_bytes: int
    owner: str
    name: str
    stored_us: int


class Session(NamedTuple):
    """One resumable upload; times in microseconds since the epoch. `metadata` is as it was sent."""

    id: str
    owner: str
    name: str
    metadata: str
    size_bytes: int
    offset_bytes: int
    created_us: int
    last_byte_us: int
    finished_us: int | None
    asset_id: str | None
    is_duplicate: bool | None


_RECORD = "SELECT root_id, path, sha256, size_bytes, owner, name, stored_us FROM upload"
_SESSION = (
    "SELECT id, owner, name, metadata, size_bytes, offset_bytes, created_us, last_byte_us, finished_us, asset_id, "
    "is_duplicate FROM upload_session"
)


async def insert(tx: Transaction, record: Record) -> None:
    """A file is there; what was recorded of an older one at its place is replaced."""
    sql = """
        INSERT INTO upload (root_id, path, sha256, size_bytes, owner, name, stored_us) VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (root_id, path) DO UPDATE SET sha256 = excluded.sha256, size_bytes = excluded.size_bytes,
            owner = excluded.owner, name = excluded.name, stored_us = excluded.stored_us
    """
    await tx.execute(sql, record)


async def with_content(state: Queries, sha256: bytes) -> list[Record]:
    """The stored uploads of this content, oldest first."""
    rows = await state.fetch_all(f"{_RECORD} WHERE sha256 = ? ORDER BY id LIMIT 20", (sha256,))
    return [Record(*row) for row in rows]


async def recorded(state: Queries, root_id: int, paths: Sequence[bytes]) -> dict[bytes, Record]:
    """What is recorded of these places, by path; at most some hundred at once."""
    sql = f"{_RECORD} WHERE root_id = ? AND path IN ({marks(paths)})"
    return {row[1]: Record(*row) for row in await state.fetch_all(sql, (root_id, *paths))}


async def last_stored_us(state: Queries) -> int:
    """When the newest upload was recorded; 0 without one."""
    row = await state.fetch_one("SELECT coalesce(max(stored_us), 0) FROM upload")
    return 0 if row is None else int(row[0])


async def used_bytes(state: Queries, owner: str) -> int:
    """What an owner's uploads take, unfinished ones included."""
    sql = """
        SELECT (SELECT total(size_bytes) FROM upload WHERE owner = ?)
            + (SELECT total(offset_bytes) FROM upload_session WHERE owner = ? AND finished_us IS NULL)
    """
    row = await state.fetch_one(sql, (owner, owner))
    return 0 if row is None else int(row[0])


async def known_assets(index: Queries, sha256: bytes) -> list[Asset]:
    """The assets of this content whose files are there as far as the index knows, oldest first."""
    where = "a.sha256 = ? AND a.gone_us IS NULL AND a.missing_us IS NULL ORDER BY a.id LIMIT 20"
    return await asset_rows(index, where, (sha256,))


async def unhashed_assets(index: Queries, size_bytes: int) -> list[Asset]:
    """The newest assets of this size whose content the index has not come to yet, at most 8."""
    where = "a.size_bytes = ? AND a.sha256 IS NULL AND a.gone_us IS NULL AND a.missing_us IS NULL"
    return await asset_rows(index, f"{where} ORDER BY a.id DESC LIMIT 8", (size_bytes,))


async def add_session(tx: Transaction, session: Session) -> None:
    """A new resumable upload."""
    columns = "id, owner, name, metadata, size_bytes, offset_bytes, created_us, last_byte_us"
    sql = f"INSERT INTO upload_session ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # fixed names
    await tx.execute(sql, session[:8])


async def find_session(state: Queries, session_id: str, owner: str) -> Session | None:
    """An owner's resumable upload, or None."""
    row = await state.fetch_one(f"{_SESSION} WHERE id = ? AND owner = ?", (session_id, owner))
    return None if row is None else Session(*row)


async def count_unfinished(state: Queries, owner: str) -> int:
    """How many resumable uploads of an owner are not finished."""
    sql = "SELECT count(*) FROM upload_session WHERE owner = ? AND finished_us IS NULL"
    row = await state.fetch_one(sql, (owner,))
    return 0 if row is None else int(row[0])


async def set_offset(tx: Transaction, session_id: str, offset_bytes: int, at_us: int) -> None:
    """So much of it is certainly on the disk."""
    sql = "UPDATE upload_session SET offset_bytes = ?, last_byte_us = ? WHERE id = ?"
    await tx.execute(sql, (offset_bytes, at_us, session_id))


async def finish_session(tx: Transaction, session_id: str, asset_id: str, at_us: int, *, is_duplicate: bool) -> None:
    """It is stored as this asset."""
    sql = """
        UPDATE upload_session SET offset_bytes = size_bytes, finished_us = ?, last_byte_us = ?, asset_id = ?,
            is_duplicate = ? WHERE id = ?
    """
    await tx.execute(sql, (at_us, at_us, asset_id, int(is_duplicate), session_id))


async def delete_sessions(tx: Transaction, session_ids: Sequence[str]) -> None:
    """They are over."""
    await tx.execute_many("DELETE FROM upload_session WHERE id = ?", [(session_id,) for session_id in session_ids])


async def sessions_before(state: Queries, before_us: int, count: int) -> list[Session]:
    """Resumable uploads whose last byte came before then, the oldest first."""
    rows = await state.fetch_all(f"{_SESSION} WHERE last_byte_us < ? ORDER BY last_byte_us LIMIT ?", (before_us, count))
    return [Session(*row) for row in rows]


async def stored_since(state: Queries, since_us: int) -> int:
    """How many bytes uploads have stored since then."""
    row = await state.fetch_one("SELECT coalesce(sum(size_bytes), 0) FROM upload WHERE stored_us >= ?", (since_us,))
    return 0 if row is None else int(row[0])


async def unfinished_ids(state: Queries) -> list[str]:
    """The ids of all resumable uploads that are not finished."""
    return [row[0] for row in await state.fetch_all("SELECT id FROM upload_session WHERE finished_us IS NULL")]
