"""Transactions that are done in one way to the connection's thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pixlsrve.store.database import Database, Transaction


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """One with an empty table `song`."""
    async with Database.open(tmp_path / "some.db", durability="FULL") as opened:
        async with opened.transaction() as tx:
            await tx.execute("CREATE TABLE song (id INTEGER PRIMARY KEY, title TEXT)")
        yield opened


async def _titles(database: Database) -> list[str]:
    return [title for (title,) in await database.fetch_all("SELECT title FROM song ORDER BY id")]


async def test_work_is_committed_with_its_result(database: Database) -> None:
    """Everything that a transaction offers works there, and what the work gives back arrives."""

    async def work(tx: Transaction) -> tuple[int, int, object]:
        first = await tx.insert("INSERT INTO song (title) VALUES (?)", ("one",))
        await tx.execute_many("INSERT INTO song (title) VALUES (?)", [("two",), ("three",)])
        await tx.execute_many("INSERT INTO song (title) VALUES (?)", [])
        changed = await tx.execute("UPDATE song SET title = title || '!' WHERE id > ?", (first,))
        return first, changed, await tx.fetch_one("SELECT count(*) FROM song")

    assert await database.write(work) == (1, 2, (3,))
    assert await _titles(database) == ["one", "two!", "three!"]


async def test_work_that_fails_leaves_nothing(database: Database) -> None:
    """What it raises comes out, nothing of it stays, and the next one works."""

    async def fail(tx: Transaction) -> None:
        await tx.execute("INSERT INTO song (title) VALUES ('lost')")
        raise LookupError("no")

    async def work(tx: Transaction) -> None:
        await tx.execute("INSERT INTO song (title) VALUES ('kept')")

    with pytest.raises(LookupError):
        await database.write(fail)
    await database.write(work)
    assert await _titles(database) == ["kept"]


async def test_work_may_wait_for_nothing_else(database: Database) -> None:
    """Work that awaits anything beside its transaction is a mistake that is told, and is not committed."""

    async def work(tx: Transaction) -> None:
        await tx.execute("INSERT INTO song (title) VALUES ('lost')")
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="awaits something"):
        await database.write(work)
    assert await _titles(database) == []


async def test_works_and_transactions_take_turns(database: Database) -> None:
    """However many wait at once, each finds what those before it have committed."""

    async def work(tx: Transaction) -> None:
        await tx.execute("INSERT INTO song (title) SELECT count(*) FROM song")

    async def transact() -> None:
        async with database.transaction() as tx:
            await work(tx)

    await asyncio.gather(*(database.write(work) if number % 2 else transact() for number in range(20)))
    assert await _titles(database) == [str(number) for number in range(20)]


async def test_cancelled_work_leaves_the_database_usable(database: Database) -> None:
    """Who is cancelled while the thread works does not stand in the way of the next."""

    async def work(tx: Transaction) -> None:
        await tx.execute("INSERT INTO song (title) VALUES ('maybe')")

    waiting = asyncio.create_task(database.write(work))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with database.transaction() as tx:
        await tx.execute("INSERT INTO song (title) VALUES ('after')")
    assert (await _titles(database))[-1] == "after"


@pytest.mark.parametrize("steps", range(1, 12))
async def test_cancelled_transaction_leaves_the_database_usable(database: Database, steps: int) -> None:
    """Wherever a transaction is cancelled, while it begins too, the next one works."""

    async def transact() -> None:
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO song (title) VALUES ('maybe')")

    cancelled = asyncio.create_task(transact())
    for _ in range(steps):
        await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait({cancelled})
    async with database.transaction() as tx:
        await tx.execute("INSERT INTO song (title) VALUES ('after')")
    assert (await _titles(database))[-1] == "after"
