"""Rows of invitation: who may make an account though nobody may. Codes are never stored, only their digests."""

from __future__ import annotations

import msgspec

from pixlsrve.store.database import Queries, Row, Transaction

_SELECT = "SELECT id, digest, email_key, created_us, expires_us, used_us FROM invitation"


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """One invitation. `digest` is the SHA-256 of its code. Times in microseconds since the Unix epoch."""

    id: int
    digest: bytes
    email_key: str | None
    """The e-mail address that it is bound to, in lower case."""
    created_us: int
    expires_us: int
    used_us: int | None = None


async def insert(transaction: Transaction, invitation: Invitation) -> int:
    """A new invitation; its number, `invitation.id` being ignored."""
    sql = "INSERT INTO invitation (digest, email_key, created_us, expires_us) VALUES (?, ?, ?, ?)"
    values = (invitation.digest, invitation.email_key, invitation.created_us, invitation.expires_us)
    return await transaction.insert(sql, values)


async def find_open(db: Queries, digest: bytes, now_us: int) -> Invitation | None:
    """The invitation with this digest, unless it is used or over."""
    sql = f"{_SELECT} WHERE digest = ? AND used_us IS NULL AND expires_us > ?"
    row = await db.fetch_one(sql, (digest, now_us))
    return None if row is None else _to_invitation(row)


async def find_open_for(db: Queries, email_key: str, now_us: int) -> Invitation | None:
    """The invitation bound to this e-mail address that ends first, unless it is used or over."""
    sql = f"{_SELECT} WHERE email_key = ? AND used_us IS NULL AND expires_us > ? ORDER BY expires_us, id LIMIT 1"
    row = await db.fetch_one(sql, (email_key, now_us))
    return None if row is None else _to_invitation(row)


async def list_open(db: Queries, now_us: int) -> list[Invitation]:
    """Those that can still be used, the oldest first."""
    sql = f"{_SELECT} WHERE used_us IS NULL AND expires_us > ? ORDER BY id"
    return [_to_invitation(row) for row in await db.fetch_all(sql, (now_us,))]


async def mark_used(transaction: Transaction, invitation_id: int, at_us: int) -> bool:
    """Use it up; False when somebody else was first."""
    sql = "UPDATE invitation SET used_us = ? WHERE id = ? AND used_us IS NULL"
    return await transaction.execute(sql, (at_us, invitation_id)) == 1


async def delete(transaction: Transaction, invitation_id: int) -> bool:
    """Withdraw one that is open; False where there is none."""
    return await transaction.execute("DELETE FROM invitation WHERE id = ? AND used_us IS NULL", (invitation_id,)) == 1


async def delete_over(transaction: Transaction, before_us: int) -> None:
    """Forget those that ended before a time, used or not."""
    await transaction.execute("DELETE FROM invitation WHERE expires_us < ?", (before_us,))


def _to_invitation(row: Row) -> Invitation:
    return Invitation(id=row[0], digest=row[1], email_key=row[2], created_us=row[3], expires_us=row[4], used_us=row[5])
