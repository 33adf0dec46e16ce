"""Rows of device: what has been paired."""

from __future__ import annotations

from collections.abc import Iterable

from pixlsrve.model import Device, Role
from pixlsrve.store.database import Queries, Row, Transaction

_SELECT = "SELECT id, uuid, name, type, role, account_id, paired_us, last_seen_us, revoked_us FROM device"


async def insert(transaction: Transaction, device: Device) -> int:
    """A new device; its number, `device.id` being ignored."""
    sql = "INSERT INTO device (uuid, name, type, role, account_id, paired_us) VALUES (?, ?, ?, ?, ?, ?)"
    values = (device.uuid, device.name, device.type, device.role, device.account_id, device.paired_us)
    return await transaction.insert(sql, values)


async def find_all(db: Queries) -> list[Device]:
    """Every device there is or was, the oldest first."""
    return [_to_device(row) for row in await db.fetch_all(_SELECT + " ORDER BY id")]


async def find(db: Queries, device_id: int) -> Device | None:
    """One device, revoked ones included."""
    row = await db.fetch_one(_SELECT + " WHERE id = ?", (device_id,))
    return None if row is None else _to_device(row)


async def find_live_of_account(db: Queries, account_id: int) -> list[int]:
    """The numbers of an account's devices that are not revoked."""
    rows = await db.fetch_all("SELECT id FROM device WHERE account_id = ? AND revoked_us IS NULL", (account_id,))
    return [int(row[0]) for row in rows]


async def mark_revoked(transaction: Transaction, device_id: int, at_us: int) -> None:
    """Revoke a device; one that is revoked already keeps its time."""
    await transaction.execute(
        "UPDATE device SET revoked_us = ? WHERE id = ? AND revoked_us IS NULL", (at_us, device_id)
    )


async def save_seen(transaction: Transaction, seen: Iterable[tuple[int, int]]) -> None:
    """Note when devices were last heard of: pairs of number and time."""
    await transaction.execute_many(
        "UPDATE device SET last_seen_us = ? WHERE id = ?", [(at_us, device_id) for device_id, at_us in seen]
    )


def _to_device(row: Row) -> Device:
    return Device(
        id=row[0],
        uuid=row[1],
        name=row[2],
        type=row[3],
        role=Role(row[4]),
        account_id=row[5],
        paired_us=row[6],
        last_seen_us=row[7],
        revoked_us=row[8],
    )
