"""Opening SQLite files: pragmas, the one writing connection, the reading ones, transactions."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence, Sized
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import aiosqlite

from pixlsrve.errors import StorageError, StorageFull, Unavailable

T = TypeVar("T")
Row = tuple[Any, ...]
Parameters = Sequence[Any]
QUERY_LIMIT_S = 5.0
READER_CACHE_KIB = 2_048
"""More is no quicker, since the system keeps what was read, and each reader of a large library would fill it."""
Durability = Literal["FULL", "NORMAL", "OFF"]


class DatabaseDamaged(StorageError):
    """The file is not a sound SQLite database. `path` is which one."""

    reason = "database_damaged"

    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(f"The database {path.name} is damaged ({cause}).")
        self.path = path


OnDamage = Callable[[DatabaseDamaged], None]


class Queries(Protocol):
    """What reads rows: a Database, or a Transaction of it."""

    async def fetch_all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of one SELECT."""

    async def fetch_one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row, or None."""


@contextlib.contextmanager
def _translated(path: Path, on_damage: OnDamage | None = None) -> Any:
    """Turn sqlite3's errors into ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            damaged = DatabaseDamaged(path, str(error))
            if on_damage is not None:
                on_damage(damaged)
            raise damaged from error
        if code == sqlite3.SQLITE_FULL:
            raise StorageFull(f"The disk that holds {path.name} is full; free some space.") from error
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
            raise StorageError(f"The database {path.name} can't be written: {error}.") from error
        raise


class Transaction:
    """Statements that take effect together; made by `Database.transaction`."""

    def __init__(self, connection: aiosqlite.Connection, path: Path, on_damage: OnDamage | None = None) -> None:
        self._connection = connection
        self._path = path
        self._on_damage = on_damage

    async def execute(self, sql: str, parameters: Parameters = ()) -> int:
        """Run one statement; the number of rows it changed."""
        with _translated(self._path, self._on_damage):
            # Not closed, which would be a second way to the connection's thread: a finished statement holds nothing.
            cursor = await self._connection.execute(sql, parameters)
            return cursor.rowcount

    async def insert(self, sql: str, parameters: Parameters = ()) -> int:
        """Run one INSERT; the new row's id."""
        with _translated(self._path, self._on_damage):
            row = await self._connection.execute_insert(sql, parameters)
            if row is None:
                raise StorageError("The database gave no id for a new row.")
            return int(row[0])

    async def execute_many(self, sql: str, rows: Iterable[Parameters]) -> None:
        """Run one statement for each of `rows`."""
        given = list(rows)
        if not given:
            return  # each call is a way to the connection's thread and back
        with _translated(self._path, self._on_damage):
            await self._connection.executemany(sql, given)

    async def fetch_all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of one SELECT, this transaction's own changes included."""
        with _translated(self._path, self._on_damage):
            return list(await self._connection.execute_fetchall(sql, parameters))  # type: ignore[arg-type]  # rows are tuples here

    async def fetch_one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row, or None."""
        rows = await self.fetch_all(sql, parameters)
        return rows[0] if rows else None


class _Inside(Transaction):
    """The same in the connection's own thread, where nothing has to be waited for."""

    def __init__(self, connection: sqlite3.Connection, path: Path, on_damage: OnDamage | None) -> None:
        self._inside = connection
        self._path = path
        self._on_damage = on_damage

    async def execute(self, sql: str, parameters: Parameters = ()) -> int:
        with _translated(self._path, self._on_damage):
            return self._inside.execute(sql, parameters).rowcount

    async def insert(self, sql: str, parameters: Parameters = ()) -> int:
        with _translated(self._path, self._on_damage):
            return int(self._inside.execute(sql, parameters).lastrowid or 0)

    async def execute_many(self, sql: str, rows: Iterable[Parameters]) -> None:
        with _translated(self._path, self._on_damage):
            self._inside.executemany(sql, rows)

    async def fetch_all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        with _translated(self._path, self._on_damage):
            return self._inside.execute(sql, parameters).fetchall()


Work = Callable[[Transaction], Coroutine[Any, Any, T]]
"""What a transaction does, where that awaits nothing but the transaction and may happen in another thread."""


class Database:
    """One SQLite file: a single writing connection and `readers` reading ones.

    Transactions wait for each other; reads wait when all readers are busy, and are interrupted after 5 s.
    """

    def __init__(
        self,
        path: Path,
        writer: aiosqlite.Connection,
        readers: list[aiosqlite.Connection],
        on_damage: OnDamage | None = None,
    ) -> None:
        self.path = path
        self._on_damage = on_damage
        self._writer = writer
        self._write_lock = asyncio.Lock()
        self._readers = readers
        self._free: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
        for reader in readers:
            self._free.put_nowait(reader)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        path: Path,
        *,
        durability: Durability,
        readers: int = 2,
        cache_kib: int = 4096,
        on_damage: OnDamage | None = None,
    ) -> AsyncIterator[Database]:
        """The database for the length of the block. Raises DatabaseDamaged and StorageError.

        `on_damage` is told when a statement finds the file damaged, besides whoever ran the statement.
        """
        async with contextlib.AsyncExitStack() as stack:
            with _translated(path):
                writer = await stack.enter_async_context(aiosqlite.connect(path, isolation_level=None))
                for pragma in _pragmas(durability, cache_kib):
                    await writer.execute_fetchall(pragma)
                read_connections = []
                for _ in range(readers):
                    reader = await stack.enter_async_context(aiosqlite.connect(path, isolation_level=None))
                    own_kib = min(cache_kib, READER_CACHE_KIB)
                    for pragma in (f"PRAGMA cache_size = -{own_kib}", "PRAGMA query_only = ON"):
                        await reader.execute_fetchall(pragma)
                    read_connections.append(reader)
            database = cls(path, writer, read_connections, on_damage)
            yield database
            async with database._write_lock:
                with contextlib.suppress(sqlite3.Error):
                    await writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction that commits at the end of the block, or rolls back when the block raises."""
        async with self._write_lock:
            try:
                with _translated(self.path, self._on_damage):
                    await self._writer.execute_fetchall("BEGIN IMMEDIATE")
                yield Transaction(self._writer, self.path, self._on_damage)
                with _translated(self.path, self._on_damage):
                    await self._writer.execute_fetchall("COMMIT")
            except BaseException:
                # Always: the thread still does what nobody waits for any more, a BEGIN too.
                with contextlib.suppress(sqlite3.Error):
                    await self._writer.execute_fetchall("ROLLBACK")
                raise

    async def write(self, work: Work[T]) -> T:
        """`transaction` in one way to the connection's thread, not one for each statement; what `work` gives back.

        Who is cancelled meanwhile does not hear whether it was committed.
        """
        async with self._write_lock:
            with _translated(self.path, self._on_damage):
                # What aiosqlite does all its own work by; it has no public name for it.
                return await self._writer._execute(self._perform, work)  # type: ignore[no-any-return, no-untyped-call]

    def _perform(self, work: Work[T]) -> T:
        """For the connection's thread: the whole transaction."""
        connection = self._writer._conn
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = _done(work(_Inside(connection, self.path, self._on_damage)))
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise
        return result

    async def fetch_all(self, sql: str, parameters: Parameters = (), *, limit_s: float = QUERY_LIMIT_S) -> list[Row]:
        """All rows of one SELECT. Raises Unavailable (too_slow) after `limit_s`."""
        reader = await self._free.get()
        try:
            return await self._read(reader, sql, parameters, limit_s)
        finally:
            self._free.put_nowait(reader)

    async def _read(self, reader: aiosqlite.Connection, sql: str, parameters: Parameters, limit_s: float) -> list[Row]:
        """Run one SELECT, interrupting it when it takes too long or nobody waits any more."""
        query = asyncio.ensure_future(reader.execute_fetchall(sql, parameters))
        try:
            done, _ = await asyncio.wait({query}, timeout=limit_s)
        except asyncio.CancelledError:
            await reader.interrupt()
            await asyncio.wait({query})
            query.exception()
            raise
        if not done:
            await reader.interrupt()
            await asyncio.wait({query})
            query.exception()
            raise Unavailable("The query took too long; narrow it down.", reason="too_slow")
        with _translated(self.path, self._on_damage):
            return list(query.result())  # type: ignore[arg-type]  # rows are tuples here

    async def fetch_one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row, or None."""
        rows = await self.fetch_all(sql, parameters)
        return rows[0] if rows else None


def _done(work: Coroutine[Any, Any, T]) -> T:
    """The result of what waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        work.close()
    raise RuntimeError("a transaction's work awaits something beside the transaction")


def _pragmas(durability: Durability, cache_kib: int) -> tuple[str, ...]:
    """The writing connection's settings."""
    return (
        "PRAGMA busy_timeout = 5000",
        "PRAGMA journal_mode = WAL",
        f"PRAGMA synchronous = {durability}",
        "PRAGMA foreign_keys = ON",
        f"PRAGMA cache_size = -{cache_kib}",
        "PRAGMA temp_store = MEMORY",
        "PRAGMA journal_size_limit = 16777216",
        # Thumbnails fill the usual 1,000 pages a dozen photos; each checkpoint waits for the disk twice.
        "PRAGMA wal_autocheckpoint = 4000",
    )


def marks(values: Sized) -> str:
    """Question marks for an IN list of so many values."""
    return ",".join("?" * len(values))
