"""Rows of social_identity: whose an account at a login provider is."""

from __future__ import annotations

from pixlsrve.store.database import Queries, Transaction


async def find_account(db: Queries, issuer: str, subject: str) -> int | None:
    """The number of the account that this identity belongs to, unless it has been removed."""
    sql = (
        "SELECT account_id FROM social_identity JOIN account ON account.id = account_id "
        "WHERE issuer = ? AND subject = ? AND removed_us IS NULL"
    )
    row = await db.fetch_one(sql, (issuer, subject))
    return None if row is None else int(row[0])


async def save(
    transaction: Transaction, issuer: str, subject: str, account_id: int, *, email: str | None, at_us: int
) -> None:
    """From now on the identity belongs to this account; one whose account is gone is taken over."""
    sql = (
        "INSERT INTO social_identity (issuer, subject, account_id, email, created_us) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (issuer, subject) DO UPDATE "
        "SET account_id = excluded.account_id, email = excluded.email, created_us = excluded.created_us"
    )
    await transaction.execute(sql, (issuer, subject, account_id, email, at_us))
