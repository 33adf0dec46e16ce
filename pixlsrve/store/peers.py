"""Rows of peer: the WireGuard keys and addresses of devices that are not revoked."""

from __future__ import annotations

import msgspec

from pixlsrve.store.database import Queries, Row, Transaction

_SELECT = (
    "SELECT device_id, public_key, private_key, host_number, created_us, blocked_us, blocked_reason, told_endpoint "
    "FROM peer"
)


class PeerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One peer. `private_key` is sealed, None where only the device has it. Times in microseconds since the epoch."""

    device_id: int
    public_key: bytes
    private_key: bytes | None
    host_number: int
    created_us: int
    blocked_us: int | None = None
    blocked_reason: str | None = None
    told_endpoint: str | None = None
    """HOST:PORT in the configuration that the device was given last; None before the first."""

    def __repr__(self) -> str:
        return f"PeerRow(device_id={self.device_id}, host_number={self.host_number})"


async def insert(transaction: Transaction, peer: PeerRow) -> None:
    """A new peer; key and number are the caller's to check."""
    sql = "INSERT INTO peer (device_id, public_key, private_key, host_number, created_us) VALUES (?, ?, ?, ?, ?)"
    await transaction.execute(
        sql, (peer.device_id, peer.public_key, peer.private_key, peer.host_number, peer.created_us)
    )


async def find_all(db: Queries) -> list[PeerRow]:
    """Every peer, by device."""
    return [_to_peer(row) for row in await db.fetch_all(_SELECT + " ORDER BY device_id")]


async def find(db: Queries, device_id: int) -> PeerRow | None:
    """One device's peer."""
    row = await db.fetch_one(_SELECT + " WHERE device_id = ?", (device_id,))
    return None if row is None else _to_peer(row)


async def find_by_key(db: Queries, public_key: bytes) -> int | None:
    """The device that holds a key."""
    row = await db.fetch_one("SELECT device_id FROM peer WHERE public_key = ?", (public_key,))
    return None if row is None else int(row[0])


async def find_numbers(db: Queries) -> set[int]:
    """The host numbers that are taken."""
    return {int(row[0]) for row in await db.fetch_all("SELECT host_number FROM peer")}


async def save_number(transaction: Transaction, device_id: int, host_number: int) -> None:
    """Give a peer another address."""
    await transaction.execute("UPDATE peer SET host_number = ? WHERE device_id = ?", (host_number, device_id))


async def save_block(transaction: Transaction, device_id: int, at_us: int | None, reason: str | None) -> int:
    """End a peer's tunnel (`at_us`), or allow it again (None); how many peers there were."""
    sql = "UPDATE peer SET blocked_us = ?, blocked_reason = ? WHERE device_id = ?"
    return await transaction.execute(sql, (at_us, reason, device_id))


async def save_told(transaction: Transaction, device_id: int, endpoint: str) -> None:
    """Note which endpoint stands in the configuration that a device is given."""
    await transaction.execute("UPDATE peer SET told_endpoint = ? WHERE device_id = ?", (endpoint, device_id))


async def delete(transaction: Transaction, device_id: int) -> None:
    """Free a device's key and address."""
    await transaction.execute("DELETE FROM peer WHERE device_id = ?", (device_id,))


def _to_peer(row: Row) -> PeerRow:
    return PeerRow(
        device_id=row[0],
        public_key=row[1],
        private_key=row[2],
        host_number=row[3],
        created_us=row[4],
        blocked_us=row[5],
        blocked_reason=row[6],
        told_endpoint=row[7],
    )
