"""Preparing the databases: made, checked, migrated, mended."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from pixlsrve.errors import StartError
from pixlsrve.store import migrate as migrations
from pixlsrve.store import recovery
from pixlsrve.store.database import DatabaseDamaged
from pixlsrve.store.migrate import copy_verified
from pixlsrve.store.recovery import COPY_FOLDER, INDEX, STATE, THUMBNAILS, mark_clean, prepare


def _write(path: Path, sql: str) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql)


def _read(path: Path, sql: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def _damage(path: Path) -> None:
    """Overwrite everything behind the header."""
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xa5" * (path.stat().st_size - 100))


def _save_copy(data_dir: Path) -> None:
    (data_dir / COPY_FOLDER).mkdir()
    copy_verified(data_dir / STATE, data_dir / COPY_FOLDER / STATE)


def test_new_data_dir_gets_three_private_databases(tmp_path: Path) -> None:
    """T36, T39: state, index and thumbnails are files of their own, and nobody else's."""
    prepared = prepare(tmp_path)
    assert (prepared.repairs, prepared.unchecked) == ([], [])
    for name in (STATE, INDEX, THUMBNAILS):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", [INDEX, THUMBNAILS])
@pytest.mark.parametrize("content", [None, b"not a database, but longer than a header " * 500])
def test_damaged_index_or_thumbnails_are_made_again(tmp_path: Path, name: str, content: bytes | None) -> None:
    """T39: what can be made again is, without a hand, and the state is not touched."""
    prepare(tmp_path)
    _write(tmp_path / STATE, "INSERT INTO meta VALUES ('kept', 'x')".replace("'x'", "x'01'"))
    if content is None:
        _damage(tmp_path / name)
    else:
        (tmp_path / name).write_bytes(content)
    prepared = prepare(tmp_path)
    assert len(prepared.repairs) == 1
    assert name in prepared.repairs[0]
    migrations.check(tmp_path / name)
    assert _read(tmp_path / STATE, "SELECT key FROM meta") == [("kept",)]
    assert prepare(tmp_path).repairs == []


def test_damaged_state_is_restored_from_its_copy(tmp_path: Path) -> None:
    """T39: damaged state comes back from the verified copy, the damaged file is kept, the index is made anew."""
    prepare(tmp_path)
    _write(tmp_path / STATE, "INSERT INTO meta VALUES ('kept', x'01')")
    _write(tmp_path / INDEX, "INSERT INTO root (id) VALUES (7)")
    _save_copy(tmp_path)
    _damage(tmp_path / STATE)
    prepared = prepare(tmp_path)
    assert "restored" in prepared.repairs[0]
    assert _read(tmp_path / STATE, "SELECT key FROM meta") == [("kept",)]
    assert _read(tmp_path / INDEX, "SELECT id FROM root") == []
    assert len(list(tmp_path.glob("state.db.damaged-*Z"))) == 1
    assert (tmp_path / COPY_FOLDER / STATE).exists()


def test_missing_state_is_restored_from_its_copy(tmp_path: Path) -> None:
    """A crash in the middle of a restoration leaves something that the next start finishes."""
    prepare(tmp_path)
    _write(tmp_path / STATE, "INSERT INTO meta VALUES ('kept', x'01')")
    _save_copy(tmp_path)
    recovery.remove(tmp_path / STATE)
    assert "restored" in prepare(tmp_path).repairs[0]
    assert _read(tmp_path / STATE, "SELECT key FROM meta") == [("kept",)]


def test_damaged_state_without_a_copy_stops_the_start(tmp_path: Path) -> None:
    """Irreplaceable state is never silently begun anew."""
    prepare(tmp_path)
    _damage(tmp_path / STATE)
    with pytest.raises(StartError, match="no copy"):
        prepare(tmp_path)
    assert (tmp_path / STATE).exists()


def test_damaged_copy_is_not_restored(tmp_path: Path) -> None:
    """A copy is checked before it is trusted."""
    prepare(tmp_path)
    _save_copy(tmp_path)
    _damage(tmp_path / STATE)
    _damage(tmp_path / COPY_FOLDER / STATE)
    with pytest.raises(StartError, match="both damaged"):
        prepare(tmp_path)


def test_large_index_is_checked_before_the_start_only_when_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an unclean stop a large index is left to be checked while running; after a clean one it is not."""
    prepare(tmp_path)
    assert prepare(tmp_path).unchecked == []
    monkeypatch.setattr(recovery, "CHECKED_BEFORE_START_BYTES", 0)
    assert prepare(tmp_path).unchecked == [tmp_path / INDEX]
    mark_clean(tmp_path)
    assert prepare(tmp_path).unchecked == []
    assert prepare(tmp_path).unchecked == [tmp_path / INDEX]


def test_clean_mark_does_not_count_when_the_file_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that somebody exchanged while the daemon was down is checked."""
    prepare(tmp_path)
    monkeypatch.setattr(recovery, "CHECKED_BEFORE_START_BYTES", 0)
    mark_clean(tmp_path)
    shutil.copy(tmp_path / INDEX, tmp_path / "other")
    _write(tmp_path / "other", "INSERT INTO root (id) VALUES (7)")
    (tmp_path / "other").replace(tmp_path / INDEX)
    assert prepare(tmp_path).unchecked == [tmp_path / INDEX]


def test_migrations_are_taken_back_when_preparing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that fails on one database leaves the others as the older program had them."""
    prepare(tmp_path)
    original = migrations.statements_of

    def newer(schema: migrations.Schema) -> list[list[str]]:
        extra = {"state": "CREATE TABLE extra (x TEXT) STRICT;", "index": "not SQL;", "thumbnails": "SELECT 1;"}
        return [*original(schema), [extra[schema]]]

    monkeypatch.setattr(migrations, "statements_of", newer)
    with pytest.raises(StartError):
        prepare(tmp_path)
    assert _read(tmp_path / STATE, "PRAGMA user_version") == [(len(original("state")),)]
    assert _read(tmp_path / STATE, "SELECT name FROM sqlite_schema WHERE name = 'extra'") == []
    monkeypatch.undo()
    assert prepare(tmp_path).repairs == []


def test_check_can_be_cancelled_and_does_not_mistake_that_for_damage(tmp_path: Path) -> None:
    """A stopping daemon does not wait for a check, and does not remove what it did not finish checking."""
    prepare(tmp_path)
    sql = "INSERT INTO meta SELECT value, zeroblob(100) FROM generate_series(1, 20000)"
    series = "WITH RECURSIVE s(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM s WHERE value < 20000) "
    _write(tmp_path / STATE, series + sql.replace("generate_series(1, 20000)", "s"))
    migrations.check(tmp_path / STATE, is_cancelled=lambda: True)
    _damage(tmp_path / STATE)
    with pytest.raises(DatabaseDamaged):
        migrations.check(tmp_path / STATE)
