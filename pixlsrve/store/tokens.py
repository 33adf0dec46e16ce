"""Rows of script_token: bearer tokens minted at the terminal. The tokens themselves are never stored."""

from __future__ import annotations

import msgspec

from pixlsrve.model import Role
from pixlsrve.store.database import Queries, Transaction


class ScriptToken(msgspec.Struct, frozen=True):
    """One minted token. Times in microseconds since the Unix epoch."""

    jti: str
    role: Role
    created_us: int
    expires_us: int
    revoked_us: int | None = None


async def insert(transaction: Transaction, token: ScriptToken) -> None:
    """Remember a new token."""
    sql = "INSERT INTO script_token (jti, role, created_us, expires_us, revoked_us) VALUES (?, ?, ?, ?, ?)"
    await transaction.execute(sql, (token.jti, token.role, token.created_us, token.expires_us, token.revoked_us))


async def find_all(db: Queries) -> list[ScriptToken]:
    """Every token there is, the oldest first."""
    rows = await db.fetch_all(
        "SELECT jti, role, created_us, expires_us, revoked_us FROM script_token ORDER BY created_us, jti"
    )
    return [ScriptToken(row[0], Role(row[1]), *row[2:]) for row in rows]


async def mark_revoked(transaction: Transaction, jti: str, at_us: int) -> None:
    """Withdraw a token; one that is withdrawn already keeps its time."""
    sql = "UPDATE script_token SET revoked_us = ? WHERE jti = ? AND revoked_us IS NULL"
    await transaction.execute(sql, (at_us, jti))


async def delete_expired(transaction: Transaction, before_us: int) -> None:
    """Forget tokens that expired before `before_us`."""
    await transaction.execute("DELETE FROM script_token WHERE expires_us < ?", (before_us,))
