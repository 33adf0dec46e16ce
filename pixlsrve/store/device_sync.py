"""Rows of device_agent, device_sync and device_sync_failure: where devices' mini-servers are, how their syncs went."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pixlsrve.store.database import Queries, Row, Transaction, marks

FAILURES_KEPT = 100
"""Of each device."""


class AgentRow(msgspec.Struct, frozen=True, kw_only=True):
    """Where a device's mini-server listens."""

    device_id: int
    address: str
    """An IP address or a name."""
    port: int
    is_local: bool = False
    """Registered by a program on this host, which alone may have a loopback address."""
    is_foreign: bool = False
    """Added by an admin; it has no token."""
    registered_us: int


class SyncRow(msgspec.Struct, frozen=True, kw_only=True):
    """How the last sync of a device went; `code` and `message` are PiSync's. Times in microseconds."""

    device_id: int
    synced_us: int | None
    attempted_us: int
    code: int
    message: str | None


class FailureRow(msgspec.Struct, frozen=True):
    """One sync that failed."""

    device_id: int
    at_us: int
    code: int
    message: str


async def find_agents(db: Queries) -> list[AgentRow]:
    """Every registered mini-server."""
    sql = "SELECT device_id, address, port, is_local, is_foreign, registered_us FROM device_agent"
    return [_to_agent(row) for row in await db.fetch_all(sql)]


async def save_agent(transaction: Transaction, agent: AgentRow) -> None:
    """This is where the device's mini-server is from now on."""
    sql = (
        "INSERT INTO device_agent (device_id, address, port, is_local, is_foreign, registered_us)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (device_id) DO UPDATE SET address = excluded.address,"
        " port = excluded.port, is_local = excluded.is_local, is_foreign = excluded.is_foreign,"
        " registered_us = excluded.registered_us"
    )
    values = (agent.device_id, agent.address, agent.port, agent.is_local, agent.is_foreign, agent.registered_us)
    await transaction.execute(sql, values)


async def find_syncs(db: Queries) -> list[SyncRow]:
    """How the last sync of each device went, of those that were ever tried."""
    sql = "SELECT device_id, synced_us, attempted_us, code, message FROM device_sync"
    return [
        SyncRow(device_id=row[0], synced_us=row[1], attempted_us=row[2], code=row[3], message=row[4])
        for row in await db.fetch_all(sql)
    ]


async def save_sync(transaction: Transaction, sync: SyncRow) -> None:
    """Note how a sync went, and keep a failure in the log of its device."""
    sql = (
        "INSERT INTO device_sync (device_id, synced_us, attempted_us, code, message) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (device_id) DO UPDATE SET synced_us = excluded.synced_us,"
        " attempted_us = excluded.attempted_us, code = excluded.code, message = excluded.message"
    )
    await transaction.execute(sql, (sync.device_id, sync.synced_us, sync.attempted_us, sync.code, sync.message))
    if sync.message is None:
        return
    sql = "INSERT INTO device_sync_failure (device_id, at_us, code, message) VALUES (?, ?, ?, ?)"
    await transaction.execute(sql, (sync.device_id, sync.attempted_us, sync.code, sync.message))
    sql = (
        "DELETE FROM device_sync_failure WHERE device_id = ? AND id <="
        " (SELECT id FROM device_sync_failure WHERE device_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?)"
    )
    await transaction.execute(sql, (sync.device_id, sync.device_id, FAILURES_KEPT))


async def find_failures(
    db: Queries, devices: Sequence[int], *, limit: int, offset: int
) -> tuple[int, list[FailureRow]]:
    """How many failures these devices have in the log, and a page of them, the newest first."""
    where = f"WHERE device_id IN ({marks(devices)})"
    count = await db.fetch_one(f"SELECT count(*) FROM device_sync_failure {where}", devices)  # noqa: S608  # marks only
    sql = f"SELECT device_id, at_us, code, message FROM device_sync_failure {where} ORDER BY id DESC LIMIT ? OFFSET ?"  # noqa: S608  # as above
    rows = await db.fetch_all(sql, (*devices, limit, offset))
    return (0 if count is None else int(count[0])), [FailureRow(*row) for row in rows]


def _to_agent(row: Row) -> AgentRow:
    return AgentRow(
        device_id=row[0],
        address=row[1],
        port=row[2],
        is_local=bool(row[3]),
        is_foreign=bool(row[4]),
        registered_us=row[5],
    )
