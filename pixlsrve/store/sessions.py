"""Rows of browser_session: browsers that are signed in. Cookies' values are never stored, only their digests."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pixlsrve.model import Subject, SubjectKind
from pixlsrve.store.database import Queries, Row, Transaction


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One browser. `digest` is the SHA-256 of its cookie's value. Times in microseconds since the Unix epoch."""

    digest: bytes
    subject: Subject
    created_us: int
    used_us: int
    expires_us: int


async def insert(transaction: Transaction, session: Session) -> None:
    """A new session."""
    sql = (
        "INSERT INTO browser_session (digest, device_id, account_id, created_us, used_us, expires_us) "
        "VALUES (?, ?, ?, ?, ?, ?)"
    )
    subject = session.subject
    await transaction.execute(
        sql,
        (
            session.digest,
            subject.device_id,
            subject.account_id,
            session.created_us,
            session.used_us,
            session.expires_us,
        ),
    )


async def find_all(db: Queries) -> list[Session]:
    """Every session, the oldest first."""
    sql = (
        "SELECT digest, device_id, account_id, created_us, used_us, expires_us FROM browser_session "
        "ORDER BY created_us, digest"
    )
    return [_to_session(row) for row in await db.fetch_all(sql)]


async def save_used(transaction: Transaction, sessions: Iterable[Session]) -> None:
    """Note their latest use, which prolongs them."""
    await transaction.execute_many(
        "UPDATE browser_session SET used_us = ?, expires_us = ? WHERE digest = ?",
        [(session.used_us, session.expires_us, session.digest) for session in sessions],
    )


async def delete(transaction: Transaction, digest: bytes) -> None:
    """End one session."""
    await transaction.execute("DELETE FROM browser_session WHERE digest = ?", (digest,))


async def delete_of_subject(transaction: Transaction, subject: Subject) -> None:
    """End all sessions of a device or an account."""
    sql = (
        "DELETE FROM browser_session WHERE device_id = ?"
        if subject.kind is SubjectKind.DEVICE
        else "DELETE FROM browser_session WHERE account_id = ?"
    )
    await transaction.execute(sql, (subject.id,))


async def delete_expired(transaction: Transaction, before_us: int) -> None:
    """Forget sessions that expired before a time."""
    await transaction.execute("DELETE FROM browser_session WHERE expires_us < ?", (before_us,))


def _to_session(row: Row) -> Session:
    subject = Subject(SubjectKind.ACCOUNT, row[2]) if row[1] is None else Subject(SubjectKind.DEVICE, row[1])
    return Session(digest=row[0], subject=subject, created_us=row[3], used_us=row[4], expires_us=row[5])
