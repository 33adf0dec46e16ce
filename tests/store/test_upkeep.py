"""What keeps the state safe while the daemon runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pixlsrve.events import EventBus, EventType
from pixlsrve.services import running
from pixlsrve.store import state as meta
from pixlsrve.store.database import Database, DatabaseDamaged
from pixlsrve.store.migrate import check, migrate
from pixlsrve.store.upkeep import BackgroundCheck, ClockKeeper, EventNumbers, StateCopies


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[Database]:
    migrate(tmp_path / "state.db", "state")
    async with Database.open(tmp_path / "state.db", durability="FULL") as database:
        yield database


async def test_identity_stays(state: Database) -> None:
    """The host id and the secret that ids are derived from are made once."""
    identity = await meta.load_identity(state)
    assert len(identity.id_secret) == 32
    assert await meta.load_identity(state) == identity
    assert repr(identity.id_secret) not in repr(identity)


async def test_state_is_copied_when_it_has_changed(state: Database, tmp_path: Path) -> None:
    """The copy is sound, private, and made again only after a change."""
    copies = StateCopies(tmp_path, lambda error: pytest.fail(error.message))
    assert copies.copy_if_changed()
    assert not copies.copy_if_changed()
    await meta.save_number(state, "x", 5)
    assert copies.copy_if_changed()
    copy = tmp_path / "backup" / "state.db"
    check(copy)
    assert copy.stat().st_mode & 0o777 == 0o600
    async with Database.open(copy, durability="FULL") as copied:
        assert await meta.load_number(copied, "x", 0) == 5


async def test_a_change_of_rights_is_in_the_copy_at_once(state: Database, tmp_path: Path) -> None:
    """A revocation is copied without waiting for the hour, so that going back to the copy can't undo it (T8)."""
    copies = StateCopies(tmp_path, lambda error: pytest.fail(error.message))
    copy = tmp_path / "backup" / "state.db"

    async def copied() -> int:
        async with Database.open(copy, durability="FULL") as database:
            return await meta.load_number(database, "x", 0)

    async with running("copies", copies), asyncio.timeout(60):
        while not copy.exists():
            await asyncio.sleep(0.01)
        await meta.save_number(state, "x", 5)
        await copies.hasten()
        while await copied() != 5:
            await asyncio.sleep(0.01)


async def test_event_numbers_are_never_given_twice(state: Database) -> None:
    """A process that ends without notice at any moment leaves numbers that the next one does not use again."""
    first = await EventNumbers.load(state)
    bus = EventBus(next_seq=first.first, reserve=first.reserve)
    async with running("numbers", first):
        for _ in range(3 * EventBus.BLOCK):
            bus.publish(EventType.SCAN_PROGRESS, {})
            if bus.last_seq % 1_000 == 0:
                stored = await meta.load_number(state, meta.EVENT_SEQ, 0)
                assert stored > bus.last_seq
                await asyncio.sleep(0)
        last = bus.last_seq
    assert (await EventNumbers.load(state)).first > last


async def test_event_numbers_go_on_without_a_gap_after_a_clean_stop(state: Database) -> None:
    """After a clean stop a client that has seen everything is up to date, and is told so."""
    numbers = await EventNumbers.load(state)
    bus = EventBus(next_seq=numbers.first, reserve=numbers.reserve)
    bus.publish(EventType.SCAN_PROGRESS, {})
    await numbers.close(bus.last_seq)
    again = await EventNumbers.load(state)
    assert again.first == 2
    assert EventBus(next_seq=again.first).since(1) == []


async def test_clock_is_stored(state: Database) -> None:
    """T11: how far the clock has come is there for the next start."""
    await ClockKeeper(state, lambda: 1_234_567).save()
    assert await meta.load_number(state, meta.CLOCK_US, 0) == 1_234_567


async def test_background_check_reports_damage(tmp_path: Path) -> None:
    """A damaged database that was too large to be checked before the start is found while running."""
    migrate(tmp_path / "index.db", "index")
    found: list[DatabaseDamaged] = []
    await BackgroundCheck([tmp_path / "index.db"], found.append).run()
    assert found == []
    _damage_page(tmp_path / "index.db", 2)
    await BackgroundCheck([tmp_path / "index.db"], found.append).run()
    assert [error.path.name for error in found] == ["index.db"]


async def test_damage_met_by_a_statement_is_reported(tmp_path: Path) -> None:
    """Whoever runs into damage gets the error, and the daemon hears of it."""
    migrate(tmp_path / "index.db", "index")
    async with Database.open(tmp_path / "index.db", durability="NORMAL") as database:
        row = await database.fetch_one("SELECT rootpage FROM sqlite_schema WHERE name = 'asset'")
    assert row is not None
    _damage_page(tmp_path / "index.db", row[0])
    found: list[DatabaseDamaged] = []
    async with Database.open(tmp_path / "index.db", durability="NORMAL", on_damage=found.append) as database:
        with pytest.raises(DatabaseDamaged):
            await database.fetch_all("SELECT * FROM asset")
    assert len(found) == 1


def _damage_page(path: Path, number: int) -> None:
    """Overwrite one page of 4,096 bytes; pages count from 1."""
    with path.open("r+b") as file:
        file.seek((number - 1) * 4_096)
        file.write(b"\xa5" * 4_096)
