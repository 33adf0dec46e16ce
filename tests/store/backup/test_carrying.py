"""What a restore in place must not undo (THREATS T8)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pixlsrve.store.backup.carrying import carry_over, skip_event_numbers
from pixlsrve.store.migrate import statements_of
from tests.store.backup.kit import rows, run
from tests.store.released.generate import build


@pytest.fixture
def states(tmp_path: Path) -> tuple[Path, Path]:
    """A state as it was saved, and as it is now: the same, until a test changes it."""
    saved, now = tmp_path / "saved.db", tmp_path / "now.db"
    build(saved, "state", len(statements_of("state")))
    run(saved, "UPDATE refresh_family SET expires_us = 1000")
    shutil.copy(saved, now)
    return saved, now


def test_withdrawn_access_stays_withdrawn(states: tuple[Path, Path]) -> None:
    """Devices, accounts, tokens, passwords, tunnels and sign-ins that ended since the backup have ended."""
    saved, now = states
    for sql in (
        "UPDATE device SET revoked_us = 50 WHERE id = 1",
        "UPDATE account SET removed_us = 60, username = '', username_key = '', password = NULL WHERE id = 2",
        "UPDATE account SET password = 'new', generation = 9 WHERE id = 1",
        "UPDATE script_token SET revoked_us = 70 WHERE jti = 'jti 1'",
        "UPDATE peer SET blocked_us = 80, blocked_reason = 'lost' WHERE device_id = 2",
        "DELETE FROM browser_session",
    ):
        run(now, sql)
    assert carry_over(saved, now) == ["name 1"]
    assert rows(saved, "SELECT id, revoked_us FROM device ORDER BY id") == [(1, 50), (2, 60)]  # 2 was of the account
    assert rows(saved, "SELECT password, generation, removed_us FROM account") == [("new", 9, None), (None, 2, 60)]
    assert rows(saved, "SELECT jti FROM script_token WHERE revoked_us IS NULL") == [("jti 2",)]
    assert rows(saved, "SELECT device_id FROM peer") == []
    assert rows(saved, "SELECT count(*) FROM browser_session") == [(0,)]
    assert rows(saved, "SELECT id FROM refresh_family WHERE ended_us IS NULL") == []
    assert rows(saved, "PRAGMA foreign_key_check") == []


def test_blocked_tunnel_and_newer_tokens_are_known(states: tuple[Path, Path]) -> None:
    """A tunnel that was ended alone stays so, and a refresh token that was used since is an old one."""
    saved, now = states
    run(now, "UPDATE peer SET blocked_us = 80, blocked_reason = 'lost' WHERE device_id = 2")
    run(now, "UPDATE refresh_family SET newest = 17 WHERE id = 'family-1'")
    assert carry_over(saved, now) == []
    assert rows(saved, "SELECT device_id, blocked_us FROM peer ORDER BY device_id") == [(1, None), (2, 80)]
    assert rows(saved, "SELECT newest FROM refresh_family WHERE id = 'family-1'") == [(17,)]
    assert rows(saved, "SELECT count(*) FROM browser_session") == [(2,)]


def test_numbers_are_never_given_again(states: tuple[Path, Path]) -> None:
    """Small ids and event numbers go on after the highest that anybody has seen."""
    saved, now = states
    run(saved, "INSERT INTO meta VALUES ('event_seq', ?)", b"500")
    run(now, "INSERT INTO meta VALUES ('event_seq', ?)", b"90000")
    run(now, "INSERT INTO device (uuid, role, name, type, paired_us) VALUES ('later', 'member', 'x', 'ios', 1)")
    run(now, "DELETE FROM device WHERE uuid = 'later'")
    carry_over(saved, now)
    skip_event_numbers(saved)
    run(saved, "INSERT INTO device (uuid, role, name, type, paired_us) VALUES ('newest', 'member', 'x', 'ios', 1)")
    assert rows(saved, "SELECT id FROM device WHERE uuid = 'newest'") == [(4,)]
    ((value,),) = rows(saved, "SELECT CAST(value AS TEXT) FROM meta WHERE key = 'event_seq'")
    assert int(str(value)) > 90_000
