"""Rows of refresh_family and refresh_exchange. The tokens themselves are never stored."""

from __future__ import annotations

import msgspec

from pixlsrve.model import Subject, SubjectKind
from pixlsrve.store.database import Queries, Row, Transaction

_SELECT = "SELECT id, device_id, account_id, newest, created_us, expires_us, ended_us FROM refresh_family"


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """A chain of refresh tokens; `newest` is the number of the one that is good now. Times in microseconds."""

    id: str
    subject: Subject
    newest: int
    created_us: int
    expires_us: int
    ended_us: int | None = None


async def insert(transaction: Transaction, family: Family) -> None:
    """A new family."""
    sql = (
        "INSERT INTO refresh_family (id, device_id, account_id, newest, created_us, expires_us) "
        "VALUES (?, ?, ?, ?, ?, ?)"
    )
    subject = family.subject
    await transaction.execute(
        sql,
        (family.id, subject.device_id, subject.account_id, family.newest, family.created_us, family.expires_us),
    )


async def find(db: Queries, family_id: str) -> Family | None:
    """One family, ended ones included."""
    row = await db.fetch_one(_SELECT + " WHERE id = ?", (family_id,))
    return None if row is None else _to_family(row)


async def find_all(db: Queries) -> list[Family]:
    """Every family that is not ended, the oldest first."""
    sql = _SELECT + " WHERE ended_us IS NULL ORDER BY created_us, id"
    return [_to_family(row) for row in await db.fetch_all(sql)]


async def find_exchange(db: Queries, family_id: str, number: int) -> int | None:
    """When token `number` was exchanged, if that was moments ago."""
    sql = "SELECT at_us FROM refresh_exchange WHERE family_id = ? AND number = ?"
    row = await db.fetch_one(sql, (family_id, number))
    return None if row is None else int(row[0])


async def exchange(transaction: Transaction, family: Family, number: int, at_us: int, forget_before_us: int) -> None:
    """Token `number` has been exchanged for `family.newest`; forget this family's exchanges before a time."""
    await transaction.execute(
        "UPDATE refresh_family SET newest = ?, expires_us = ? WHERE id = ?",
        (family.newest, family.expires_us, family.id),
    )
    await transaction.execute(
        "DELETE FROM refresh_exchange WHERE family_id = ? AND at_us < ?", (family.id, forget_before_us)
    )
    await transaction.execute(
        "INSERT INTO refresh_exchange (family_id, number, at_us) VALUES (?, ?, ?)", (family.id, number, at_us)
    )


async def end(transaction: Transaction, family_id: str, at_us: int) -> None:
    """End one family; one that has ended keeps its time."""
    await transaction.execute(
        "UPDATE refresh_family SET ended_us = ? WHERE id = ? AND ended_us IS NULL", (at_us, family_id)
    )


async def end_of_subject(transaction: Transaction, subject: Subject, at_us: int) -> None:
    """End all families of a device or an account."""
    sql = (
        "UPDATE refresh_family SET ended_us = ? WHERE device_id = ? AND ended_us IS NULL"
        if subject.kind is SubjectKind.DEVICE
        else "UPDATE refresh_family SET ended_us = ? WHERE account_id = ? AND ended_us IS NULL"
    )
    await transaction.execute(sql, (at_us, subject.id))


async def delete_expired(transaction: Transaction, before_us: int) -> None:
    """Forget families that expired before a time."""
    await transaction.execute("DELETE FROM refresh_family WHERE expires_us < ?", (before_us,))


def _to_family(row: Row) -> Family:
    subject = Subject(SubjectKind.ACCOUNT, row[2]) if row[1] is None else Subject(SubjectKind.DEVICE, row[1])
    return Family(id=row[0], subject=subject, newest=row[3], created_us=row[4], expires_us=row[5], ended_us=row[6])
