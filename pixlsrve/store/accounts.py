"""Rows of account and account_root: people and what they may see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pixlsrve.model import Account, LibraryAccess, Role
from pixlsrve.store.database import Queries, Row, Transaction

_SELECT = (
    "SELECT id, uuid, username, role, library, password IS NOT NULL, generation, created_us, last_login_us, "
    "removed_us, (SELECT group_concat(root_id) FROM account_root WHERE account_id = account.id) FROM account"
)


async def insert(transaction: Transaction, account: Account, *, key: str, password: str | None) -> int:
    """A new account with the unique name `key` and a password hash; its number. The caller makes sure of the name."""
    sql = (
        "INSERT INTO account (uuid, username, username_key, password, role, library, created_us) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)"
    )
    values = (account.uuid, account.username, key, password, account.role, account.library, account.created_us)
    return await transaction.insert(sql, values)


async def find_all(db: Queries) -> list[Account]:
    """Every account there is or was, the oldest first."""
    return [_to_account(row) for row in await db.fetch_all(_SELECT + " ORDER BY id")]


async def find_id(db: Queries, key: str) -> int | None:
    """The number of the account that has this name now."""
    row = await db.fetch_one("SELECT id FROM account WHERE username_key = ? AND removed_us IS NULL", (key,))
    return None if row is None else int(row[0])


async def find_credential(db: Queries, key: str) -> tuple[int, str | None] | None:
    """Number and password hash of the account that has this name now."""
    sql = "SELECT id, password FROM account WHERE username_key = ? AND removed_us IS NULL"
    row = await db.fetch_one(sql, (key,))
    return None if row is None else (int(row[0]), row[1])


async def find_password(db: Queries, account_id: int) -> str | None:
    """The password hash of an account that is left."""
    row = await db.fetch_one("SELECT password FROM account WHERE id = ? AND removed_us IS NULL", (account_id,))
    return None if row is None else row[0]


async def count_admins(db: Queries, *, without: int) -> int:
    """How many admins would be left without this one."""
    sql = "SELECT count(*) FROM account WHERE role = 'admin' AND removed_us IS NULL AND id <> ?"
    row = await db.fetch_one(sql, (without,))
    return int(row[0]) if row else 0


async def save_password(transaction: Transaction, account_id: int, password: str) -> None:
    """Replace the password hash; older tokens are void."""
    sql = "UPDATE account SET password = ?, generation = generation + 1 WHERE id = ? AND removed_us IS NULL"
    await transaction.execute(sql, (password, account_id))


async def rehash_password(transaction: Transaction, account_id: int, old: str, new: str) -> None:
    """Replace the hash of the same password, unless it was changed meanwhile."""
    await transaction.execute("UPDATE account SET password = ? WHERE id = ? AND password = ?", (new, account_id, old))


async def save_role(transaction: Transaction, account_id: int, role: Role) -> None:
    """Change the role; older tokens are void."""
    sql = "UPDATE account SET role = ?, generation = generation + 1 WHERE id = ? AND removed_us IS NULL"
    await transaction.execute(sql, (role, account_id))


async def save_library(
    transaction: Transaction, account_id: int, library: LibraryAccess, roots: Iterable[int] = ()
) -> None:
    """Change what may be seen."""
    await transaction.execute("UPDATE account SET library = ? WHERE id = ?", (library, account_id))
    await transaction.execute("DELETE FROM account_root WHERE account_id = ?", (account_id,))
    await transaction.execute_many(
        "INSERT INTO account_root (account_id, root_id) VALUES (?, ?)", [(account_id, root) for root in sorted(roots)]
    )


async def save_login(transaction: Transaction, account_id: int, at_us: int) -> None:
    """Note the latest login."""
    await transaction.execute("UPDATE account SET last_login_us = ? WHERE id = ?", (at_us, account_id))


async def mark_removed(transaction: Transaction, account_id: int, at_us: int) -> None:
    """Remove an account: name, password and social logins go, the row stays to be recognised."""
    sql = (
        "UPDATE account SET username = '', username_key = '', password = NULL, role = 'member', library = 'none', "
        "generation = generation + 1, removed_us = ? WHERE id = ? AND removed_us IS NULL"
    )
    await transaction.execute(sql, (at_us, account_id))
    await transaction.execute("DELETE FROM account_root WHERE account_id = ?", (account_id,))
    await transaction.execute("DELETE FROM social_identity WHERE account_id = ?", (account_id,))


async def find(db: Queries, account_id: int) -> Account | None:
    """One account, removed ones included."""
    row = await db.fetch_one(_SELECT + " WHERE id = ?", (account_id,))
    return None if row is None else _to_account(row)


def _to_account(row: Row) -> Account:
    fields: dict[str, Any] = dict(
        zip(("id", "uuid", "username", "role", "library", "has_password", "generation"), row[:7], strict=True)
    )
    fields["role"], fields["library"] = Role(row[3]), LibraryAccess(row[4])
    fields["has_password"] = bool(row[5])
    roots = frozenset(int(number) for number in row[10].split(",")) if row[10] else frozenset[int]()
    return Account(**fields, created_us=row[7], last_login_us=row[8], removed_us=row[9], roots=roots)
