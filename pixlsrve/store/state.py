"""The meta table: who this installation is, the next event number, how far the clock has come."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field

from pixlsrve.store.database import Database, Transaction

HOST_ID = "host_id"
ID_SECRET = "id_secret"  # noqa: S105  # the key's name in the table
EVENT_SEQ = "event_seq"
CLOCK_US = "clock_us"
MAPPED_ENDPOINT = "mapped_endpoint"
SEEN_OUTSIDE = "seen_outside"


@dataclass(frozen=True)
class Identity:
    """What makes this installation itself. `id_secret` (32 bytes) is what public ids are derived with."""

    host_id: str
    id_secret: bytes = field(repr=False)


async def load_identity(state: Database) -> Identity:
    """The identity, made on the first start."""
    async with state.transaction() as transaction:
        host_id = await _get_or_put(transaction, HOST_ID, str(uuid.uuid4()).encode())
        secret = await _get_or_put(transaction, ID_SECRET, secrets.token_bytes(32))
    return Identity(host_id.decode(), secret)


async def load_number(state: Database, key: str, default: int) -> int:
    """A stored whole number, or `default`."""
    row = await state.fetch_one("SELECT value FROM meta WHERE key = ?", (key,))
    return default if row is None else int(row[0])


async def load_text(state: Database, key: str) -> str:
    """A stored text; empty when there is none."""
    row = await state.fetch_one("SELECT value FROM meta WHERE key = ?", (key,))
    return "" if row is None else bytes(row[0]).decode()


async def save_number(state: Database, key: str, value: int) -> None:
    """Store a whole number, durably."""
    await save_text(state, key, str(value))


async def save_text(state: Database, key: str, value: str) -> None:
    """Store a text, durably."""
    sql = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
    async with state.transaction() as transaction:
        await transaction.execute(sql, (key, value.encode()))


async def _get_or_put(transaction: Transaction, key: str, value: bytes) -> bytes:
    """The stored value, which is `value` from now on when there was none."""
    await transaction.execute("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING", (key, value))
    row = await transaction.fetch_one("SELECT value FROM meta WHERE key = ?", (key,))
    return bytes(row[0]) if row is not None else value
