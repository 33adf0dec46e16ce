"""A small data directory, for tests that need no daemon."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from pixlsrve.store.recovery import INDEX, STATE, prepare


def make_host(data_dir: Path, *, host_id: str = "host-1") -> Path:
    """State, index, a key and settings of a host."""
    data_dir.mkdir(mode=0o700)
    prepare(data_dir)
    run(data_dir / STATE, "INSERT INTO meta VALUES ('host_id', ?)", host_id.encode())
    run(data_dir / STATE, "INSERT INTO meta VALUES ('event_seq', ?)", b"1000")
    run(data_dir / INDEX, "INSERT INTO root (id) VALUES (7)")
    for name in (STATE, INDEX):
        with contextlib.closing(sqlite3.connect(data_dir / name)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (data_dir / "keys").mkdir(mode=0o700)
    (data_dir / "keys" / "token.key").write_bytes(f"key of {host_id}".encode())
    (data_dir / "keys" / "token.key").chmod(0o600)
    (data_dir / "settings.toml").write_text('[mdns]\nname = "Photos"\n')
    return data_dir


def run(path: Path, sql: str, *values: object) -> None:
    """One statement, committed."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql, values)


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    """The rows of a query."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()
