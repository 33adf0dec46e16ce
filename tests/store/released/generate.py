"""Keeps the databases of a release as SQL, so that every later version is tried on them.

    python -m tests.store.released.generate VERSION

writes `VERSION-state.sql`, `VERSION-index.sql` and `VERSION-thumbnails.sql` beside this file, from the schema of this
checkout with rows of every kind in the state. Run it once, when the release is made, and commit the files.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import sys
import tempfile
from pathlib import Path

from pixlsrve.store.migrate import Schema, statements_of

FOLDER = Path(__file__).parent
SCHEMAS: tuple[Schema, ...] = ("state", "index", "thumbnails")


def build(path: Path, schema: Schema, version: int) -> None:
    """A database of this schema version, the state with rows in each table."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for statements in statements_of(schema)[:version]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version}")
        if schema == "state":
            fill(connection)


def fill(connection: sqlite3.Connection, count: int = 2) -> None:
    """`count` rows in each table that allows it, children after parents; constraints decide which values."""
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("BEGIN")
    tables = [
        str(name)
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
        )
    ]
    for table in tables:
        sql = str(connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0])
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        for number in range(1, count + 1):
            given = {str(column[1]): _value(str(column[1]), str(column[2]), sql, number) for column in columns}
            if "(device_id IS NULL) <> (account_id IS NULL)" in sql:
                given["account_id" if number % 2 else "device_id"] = None
            names, marks = ", ".join(given), ", ".join("?" * len(given))
            connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(given.values()))  # noqa: S608
    connection.execute("COMMIT")


def _value(name: str, kind: str, sql: str, number: int) -> object:
    """A value that a column takes."""
    if name in ("revoked_us", "removed_us", "ended_us", "blocked_us", "asset_uuid"):
        return None
    chosen = re.search(rf"{name} TEXT[^,]*CHECK \({name} IN \('(\w+)'", sql)
    if chosen:
        return chosen[1]
    length = re.search(rf"{name} BLOB[^\n]*length\({name}\) = (\d+)", sql)
    if length:
        return bytes([number]) * int(length[1])
    if name == "host_number":
        return number + 1
    if name in ("id", "root_id", "device_id", "account_id"):
        return f"family-{number}" if kind == "TEXT" else number
    if name == "family_id":
        return f"family-{number}"
    if kind == "TEXT":
        return f"{name} {number}"
    return f"{name} {number}".encode() if kind == "BLOB" else number


def rows_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, by table; columns with their names."""
    result: dict[str, list[tuple[object, ...]]] = {}
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        for (table,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall():
            found = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608  # from the schema
            result[str(table)] = [tuple(zip(row.keys(), tuple(row), strict=True)) for row in found]
    return result


def load(script: Path, path: Path) -> None:
    """Make a database out of a released dump."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(script.read_text("utf-8"))


def main(release: str) -> None:
    """Write the dumps."""
    with tempfile.TemporaryDirectory() as folder:
        for schema in SCHEMAS:
            path = Path(folder) / f"{schema}.db"
            version = len(statements_of(schema))
            build(path, schema, version)
            with contextlib.closing(sqlite3.connect(path)) as connection:
                lines = list(connection.iterdump()) if schema != "index" else _plain(version)
            script = [*lines, f"PRAGMA user_version = {version};"]
            (FOLDER / f"{release}-{schema}.sql").write_text("\n".join(script) + "\n", "utf-8")


def _plain(version: int) -> list[str]:
    """The index's statements themselves: a dump can't make virtual tables again everywhere."""
    return [statement for statements in statements_of("index")[:version] for statement in statements]


if __name__ == "__main__":
    main(sys.argv[1])
