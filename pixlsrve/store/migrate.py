"""Bringing a database file to the schema of this program, forward only, with a way back.

Each schema is a folder of numbered SQL files below `store/sql/`; PRAGMA user_version counts the ones applied. All
functions block; they run before anything is served.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Literal

from pixlsrve.errors import StartError, StorageError
from pixlsrve.store.database import DatabaseDamaged
from pixlsrve.store.durable import sync

Schema = Literal["state", "index", "thumbnails"]
PAGE_SIZE_BYTES = {"state": 4096, "index": 4096, "thumbnails": 16384}


def statements_of(schema: Schema) -> list[list[str]]:
    """The statements of each migration, oldest migration first."""
    folder = resources.files("pixlsrve.store") / "sql" / schema
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [split_statements(file.read_text("utf-8")) for file in files]


def split_statements(script: str) -> list[str]:
    """The single statements of an SQL script."""
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending.strip())
            pending = ""
    return statements


def migrate(path: Path, schema: Schema, before: Callable[[Path, Path], None] = lambda *_: None) -> None:
    """Create or upgrade the database at `path`, and test it once it was upgraded.

    `before` is told the path and the copy of its older self when that is durable, before the file is changed. The copy
    is the caller's to put back. Raises DatabaseDamaged, and StartError when the file was written by a newer program.
    """
    migrations = statements_of(schema)
    is_new = not path.exists() or path.stat().st_size == 0
    _make_private(path)
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            if is_new:
                connection.execute(f"PRAGMA page_size = {PAGE_SIZE_BYTES[schema]}")
            connection.execute("PRAGMA journal_mode = WAL")
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            _check_version(path, version, len(migrations))
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            is_upgrade = 0 < version < len(migrations)
            if is_upgrade:
                before(path, _copy_aside(path, version))
            for number, statements in enumerate(migrations[version:], version + 1):
                _apply(connection, path, number, statements)
        if is_upgrade:
            _test(path, schema)
    except sqlite3.DatabaseError as error:
        if _is_damage(error):
            raise DatabaseDamaged(path, str(error)) from error
        raise StartError(
            f"The database {path} can't be opened: {error}. Check the rights and the free space."
        ) from error


def _make_private(path: Path) -> None:
    """Create the file with mode 0600 before SQLite does with the umask's."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _check_version(path: Path, version: int, newest: int) -> None:
    """Refuse a file of a newer program."""
    if version > newest:
        raise StartError(
            f"The database {path} was written by a newer pixlsrve (schema {version}, this one knows {newest}); "
            "install that version or newer."
        )


def _copy_aside(path: Path, version: int) -> Path:
    """A consistent, checked and durable copy of the file before it is changed."""
    copy = path.with_name(f"{path.name}.before-{version + 1}")
    copy_verified(path, copy)
    return copy


def _test(path: Path, schema: Schema) -> None:
    """Look at an upgraded database. Raises StartError when it is not what this program makes, DatabaseDamaged."""
    if schema == "state":  # the others are large, and can be made again
        check(path)
    try:
        check_schema(path, schema)
    except StorageError as error:
        raise StartError(f"The upgrade of {path.name} went wrong: {error.message}") from error


def check_schema(path: Path, schema: Schema) -> None:
    """Raises StorageError unless the database has exactly what the migrations up to its version make; sqlite3.Error."""
    with reading(path) as connection:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        found = _objects(connection)
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as model:
        for statements in statements_of(schema)[:version]:
            for statement in statements:
                model.execute(statement)
        expected = _objects(model)
    differing = sorted({name for name, _ in found.symmetric_difference(expected)})
    if differing:
        raise StorageError(f"{path.name} does not have the tables of version {version} ({', '.join(differing[:3])}).")


def _objects(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Everything in a schema by name and definition, but for what SQLite keeps for itself."""
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'")
    return {(str(name), " ".join(str(sql).split())) for name, sql in rows}


def _apply(connection: sqlite3.Connection, path: Path, number: int, statements: list[str]) -> None:
    """Run one migration as one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements:
            connection.execute(statement)
        violations = connection.execute("PRAGMA foreign_key_check").fetchall()
        if violations:
            raise StartError(f"Migration {number} of {path.name} left rows without their parents: {violations[:3]}.")
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def check(path: Path, *, is_cancelled: Callable[[], bool] | None = None) -> None:
    """Read the whole file once, or until `is_cancelled`. Raises DatabaseDamaged when it is not sound."""
    try:
        with reading(path) as connection:
            connection.set_progress_handler(is_cancelled, 10_000)
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if is_cancelled is not None and is_cancelled():
            return
        if not _is_damage(error):
            raise StorageError(f"The database {path.name} can't be read: {error}.") from error
        raise DatabaseDamaged(path, str(error)) from error
    if verdict != "ok":
        raise DatabaseDamaged(path, str(verdict))


def copy_verified(path: Path, copy: Path) -> None:
    """Write a durable snapshot to `copy`, replacing an older one atomically. Raises like `snapshot`."""
    fresh = copy.with_name(f"{copy.name}.new")
    for left in (fresh, *(Path(f"{fresh}{suffix}") for suffix in ("-wal", "-shm", "-journal"))):
        left.unlink(missing_ok=True)
    snapshot(path, fresh)
    sync(fresh)
    fresh.replace(copy)
    sync(copy.parent)


def snapshot(path: Path, copy: Path) -> None:
    """Write a consistent, checked copy in one new file. Raises DatabaseDamaged, StorageError, sqlite3.Error."""
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        with reading(path) as source, contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    except sqlite3.DatabaseError as error:
        if _is_damage(error):
            raise DatabaseDamaged(path, str(error)) from error
        raise
    check(copy)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that can only read, to a database that others may be writing."""
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
        yield connection


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
