"""Bringing a database file to the schema of this program, forward only, with a way back.

Each schema is a folder of numbered SQL files below `store/sql/`; PRAGMA user_version counts the ones applied. All
functions block; they run before anything is served.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from pixlsrve.errors import StartError, StorageError
from pixlsrve.store.database import DatabaseDamaged

Schema = Literal["state", "index", "thumbnails"]
PAGE_SIZE_BYTES = {"state": 4096, "index": 4096, "thumbnails": 16384}


@dataclass(frozen=True)
class Migrated:
    """What `migrate` did: the file, and the copy of its older self where there was one."""

    path: Path
    copy: Path | None

    def take_back(self) -> None:
        """Put the copy back in place of the migrated file; nothing may have the file open."""
        if self.copy is None:
            return
        for suffix in ("-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        self.copy.replace(self.path)

    def keep(self) -> None:
        """The new start came up: older copies than this one are not needed any more."""
        for old in self.path.parent.glob(f"{self.path.name}.before-*"):
            if old != self.copy and self.copy is not None:
                old.unlink(missing_ok=True)


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


def migrate(path: Path, schema: Schema) -> Migrated:
    """Create or upgrade the database at `path`.

    Raises DatabaseDamaged, and StartError when the file was written by a newer program.
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
            copy = _copy_aside(connection, path, version) if 0 < version < len(migrations) else None
            for number, statements in enumerate(migrations[version:], version + 1):
                _apply(connection, path, number, statements)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise DatabaseDamaged(path, str(error)) from error
        raise StartError(
            f"The database {path} can't be opened: {error}. Check the rights and the free space."
        ) from error
    return Migrated(path, copy)


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


def _copy_aside(connection: sqlite3.Connection, path: Path, version: int) -> Path:
    """A consistent copy of the file before it is changed."""
    copy = path.with_name(f"{path.name}.before-{version + 1}")
    _make_private(copy)
    with contextlib.closing(sqlite3.connect(copy)) as target:
        connection.backup(target)
    return copy


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
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.set_progress_handler(is_cancelled, 10_000)
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if is_cancelled is not None and is_cancelled():
            return
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise StorageError(f"The database {path.name} can't be read: {error}.") from error
        raise DatabaseDamaged(path, str(error)) from error
    if verdict != "ok":
        raise DatabaseDamaged(path, str(verdict))


def copy_verified(path: Path, copy: Path) -> None:
    """Write a consistent, checked copy of the database to `copy`, replacing an older one atomically."""
    fresh = copy.with_name(f"{copy.name}.new")
    fresh.unlink(missing_ok=True)
    _make_private(fresh)
    with (
        contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
        contextlib.closing(sqlite3.connect(fresh)) as target,
    ):
        source.backup(target)
    check(fresh)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(copy)
