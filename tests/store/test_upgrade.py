"""Upgrades: from every released schema, cut at any moment, and back again when the new program does not come up."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from pixlsrve.errors import StartError
from pixlsrve.store import migrate as migrations
from pixlsrve.store import recovery, upgrade
from pixlsrve.store.migrate import check_schema, statements_of
from pixlsrve.store.recovery import INDEX, STATE, prepare
from tests.campaigns.upgrade import Campaign
from tests.store.released.generate import FOLDER, build, load, rows_of

RELEASES = sorted({path.name.removesuffix("-state.sql") for path in FOLDER.glob("*-state.sql")})


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A data directory with a state of schema 1."""
    build(tmp_path / STATE, "state", 1)
    return tmp_path


@pytest.mark.parametrize("release", RELEASES)
def test_every_release_is_taken_over(release: str, tmp_path: Path) -> None:
    """A state of each release comes to this version's tables with all of its rows."""
    for name in (STATE, INDEX, "thumbnails.db"):
        load(FOLDER / f"{release}-{name.removesuffix('.db')}.sql", tmp_path / name)
    before = rows_of(tmp_path / STATE)
    prepared = prepare(tmp_path)
    prepared.keep()
    assert prepared.repairs == []
    after = rows_of(tmp_path / STATE)
    for table, rows in before.items():
        assert [set(row) for row in rows] == [set(old) & set(row) for old, row in zip(rows, after[table], strict=True)]
    check_schema(tmp_path / STATE, "state")
    check_schema(tmp_path / INDEX, "index")


def test_this_version_is_among_the_releases() -> None:
    """Who makes a release runs `python -m tests.store.released.generate`, so that later versions know its tables."""
    from pixlsrve import __version__

    assert __version__ in RELEASES
    newest = (FOLDER / f"{__version__}-state.sql").read_text("utf-8")
    assert f"PRAGMA user_version = {len(statements_of('state'))};" in newest


def test_upgrade_cut_at_any_step_comes_up_or_goes_back(tmp_path: Path) -> None:
    """T39: whenever the power goes, the next start has everything, and the older state is to be had again."""
    campaign = Campaign(tmp_path)
    newest = campaign.report.schemas[-1]
    campaign.cut_at_every_step(1, every=7)
    campaign.cut_at_every_step(newest, every=5)
    if shutil.which("strace"):
        assert campaign.cut_at_system_call(1, 60)
    assert campaign.report.failures == []
    assert campaign.report.came_up > 3
    assert campaign.report.went_back > 3


def test_start_that_fails_takes_the_upgrade_back(older: Path) -> None:
    """A start that says it can't leaves the state as the older version had it, and a note."""
    before = rows_of(older / STATE)
    prepared = prepare(older)
    assert prepared.upgrade.is_pending
    assert (older / "state.db.before-2").stat().st_mode & 0o077 == 0
    prepared.take_back("the port is taken")
    assert rows_of(older / STATE) == before
    failure = upgrade.read_failure(older)
    assert failure is not None
    assert failure.cause == "the port is taken"
    prepare(older).keep()
    assert upgrade.read_failure(older) is None


def test_new_program_that_never_comes_up_is_undone(older: Path) -> None:
    """After three starts that were killed before they came up the state is as before, and the start says so."""
    before = rows_of(older / STATE)
    for number in range(1, upgrade.MOST_STARTS + 1):
        assert prepare(older).upgrade.starts == number
    with pytest.raises(StartError, match="did not come up in 3 starts"):
        prepare(older)
    assert rows_of(older / STATE) == before
    assert not (older / upgrade.MARK).exists()
    prepare(older).keep()
    assert not (older / upgrade.MARK).exists()


def test_upgrade_that_makes_other_tables_is_undone(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade is tested before anything is built on it."""
    before = rows_of(older / STATE)
    original = migrations._apply

    def careless(connection: sqlite3.Connection, path: Path, number: int, statements: list[str]) -> None:
        original(connection, path, number, statements)
        connection.execute("DROP INDEX IF EXISTS device_account")

    monkeypatch.setattr(migrations, "_apply", careless)
    with pytest.raises(StartError, match="went wrong"):
        prepare(older)
    assert rows_of(older / STATE) == before


def test_copies_of_the_last_upgrade_stay_and_older_ones_go(older: Path) -> None:
    """One way back is kept, not all of them."""
    (older / "state.db.before-1").write_bytes(b"of long ago")
    prepare(older).keep()
    assert [path.name for path in older.glob("state.db.before-*")] == ["state.db.before-2"]
    assert recovery.prepare(older).upgrade.is_pending is False
