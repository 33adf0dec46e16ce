"""The backups that are made by themselves: when, where, and which are kept."""

from __future__ import annotations

import json
import os
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pixlsrve.config import BackupConfig, Config
from pixlsrve.doctor.backups import check_backups
from pixlsrve.store.backup import daily
from pixlsrve.store.backup.daily import DailyBackups
from pixlsrve.store.backup.reading import read_archive
from pixlsrve.store.backup.shelf import Kept, name_of, on_shelf, to_drop
from tests.store.backup.kit import make_host

START = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)


class Clock:
    """A clock that is put forward by hand."""

    def __init__(self) -> None:
        self.now = START

    def now_us(self) -> int:
        return int(self.now.timestamp() * 1_000_000)


def _backups(data_dir: Path, clock: Clock, **settings: object) -> DailyBackups:
    return DailyBackups(data_dir, BackupConfig(**settings), program="0.1.0", now_us=clock.now_us)  # type: ignore[arg-type]  # keys of it


def test_one_a_day_and_what_is_kept(tmp_path: Path) -> None:
    """Seven days and four weeks are kept, on both disks, however long it runs."""
    host, clock, second = make_host(tmp_path / "data"), Clock(), tmp_path / "second"
    second.mkdir()
    (second / "holiday.jpg").write_bytes(b"not ours")
    backups = _backups(host, clock, directory=str(second))
    for _ in range(60):
        backups.attend()
        backups.attend()
        clock.now += timedelta(hours=24, minutes=1)
    assert backups.notices() == []
    days = [(kept.made_at - START).days for kept in on_shelf(host / "backups")]
    newest = 59
    assert days[-7:] == list(range(newest - 6, newest + 1))
    assert days[:-7] == [41, 48]  # two Sundays; the newest of the other two weeks are among the days
    assert [kept.path.name for kept in on_shelf(second)] == [kept.path.name for kept in on_shelf(host / "backups")]
    assert (second / "holiday.jpg").read_bytes() == b"not ours"
    for kept in (*on_shelf(host / "backups"), *on_shelf(second)):
        read_archive(kept.path)
        assert kept.path.stat().st_mode & 0o777 == 0o600
    assert (host / "backups").stat().st_mode & 0o777 == 0o700


def test_dropping_against_a_plain_model() -> None:
    """What is kept is the newest of each of the last days and weeks that have one; the newest always is."""
    dice = random.Random(4)
    now = START + timedelta(days=400)
    for _ in range(300):
        moments = {START + timedelta(minutes=dice.randrange(600_000)) for _ in range(dice.randrange(1, 60))}
        shelf = [Kept(moment, Path(name_of(moment))) for moment in moments]
        daily_, weekly = dice.randrange(1, 9), dice.randrange(6)
        past = sorted((moment for moment in moments if moment <= now), reverse=True)
        wanted: set[datetime] = set(past[:1])
        for key, count in (("%Y-%j", daily_), ("%G-%V", weekly)):
            groups = sorted({moment.strftime(key) for moment in past}, reverse=True)[:count]
            wanted |= {max(moment for moment in past if moment.strftime(key) == group) for group in groups}
        dropped = {kept.made_at for kept in to_drop(shelf, now, keep_daily=daily_, keep_weekly=weekly)}
        assert set(past) - dropped == wanted
        assert all(moment <= now for moment in dropped)


def test_clock_in_the_past_or_future_keeps_backups_coming(tmp_path: Path) -> None:
    """A backup that a wrong clock has dated into the future neither counts as the newest nor is lost."""
    host, clock = make_host(tmp_path / "data"), Clock()
    clock.now += timedelta(days=3_000)
    _backups(host, clock).attend()
    clock.now = START
    _backups(host, clock).attend()
    assert len(on_shelf(host / "backups")) == 2


def test_second_disk_away_is_told_and_nothing_is_put_on_its_mount_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the disk nothing is written where it would be; when it is back, it gets what it lacks."""
    host, clock, second = make_host(tmp_path / "data"), Clock(), tmp_path / "mount" / "backups"
    backups = _backups(host, clock, directory=str(second))
    backups.attend()
    assert "is not there" in backups.notices()[0]["message"]
    assert not second.parent.exists()
    assert len(on_shelf(host / "backups")) == 1
    second.mkdir(parents=True)
    (host / "backups" / daily.SECOND_RECORD).write_text(json.dumps([str(second)]))  # it was on another disk once
    backups.attend()
    assert "not mounted" in backups.notices()[0]["message"]
    assert list(second.iterdir()) == []
    (host / "backups" / daily.SECOND_RECORD).unlink()
    backups.attend()
    assert backups.notices() == []
    assert len(on_shelf(second)) == 1
    assert backups.status()["directory_last_at"] == "2026-03-02T03:00:00Z"


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="no second file system here")
def test_another_disk_is_remembered(tmp_path: Path) -> None:
    """A folder on another file system is known as such from its first backup."""
    host, second = make_host(tmp_path / "data"), Path("/dev/shm") / f"pixlsrve-test-{os.getpid()}"
    if host.stat().st_dev == Path("/dev/shm").stat().st_dev:
        pytest.skip("no second file system here")
    second.mkdir(mode=0o700)
    try:
        _backups(host, Clock(), directory=str(second)).attend()
        assert len(on_shelf(second)) == 1
        assert json.loads((host / "backups" / daily.SECOND_RECORD).read_text()) == [str(second)]
    finally:
        shutil.rmtree(second)


def test_trouble_is_a_notice_and_never_more(tmp_path: Path) -> None:
    """A state that can't be saved leaves the daemon as it is, the older backups where they are, and a notice."""
    host, clock = make_host(tmp_path / "data"), Clock()
    backups = _backups(host, clock)
    backups.attend()
    (host / "keys" / "token.key").rename(host / "keys" / "not a backup's name")
    clock.now += timedelta(days=2)
    backups.attend()
    assert len(backups.notices()) == 1
    assert len(on_shelf(host / "backups")) == 1
    assert list((host / "backups").glob(".*")) == []


def test_doctor_warns_of_old_backups(tmp_path: Path) -> None:
    """After three days without a backup the doctor says so; a new installation is given that time."""
    host = make_host(tmp_path / "data")
    config = Config(data_dir=str(host), storage_dir=str(host / "storage"))
    assert list(check_backups(config, is_running=False)) == []
    long_ago = datetime.now(UTC).timestamp() - 4 * 86_400
    os.utime(host / "keys" / "token.key", (long_ago, long_ago))
    assert [finding.check for finding in check_backups(config, is_running=False)] == ["backup_old"]
    DailyBackups(
        host, BackupConfig(), program="0.1.0", now_us=lambda: int(datetime.now(UTC).timestamp() * 1_000_000)
    ).attend()
    assert list(check_backups(config, is_running=False)) == []
    off = Config(data_dir=str(host), storage_dir="/nowhere", backup=BackupConfig(directory=str(tmp_path / "away")))
    assert [finding.check for finding in check_backups(off, is_running=False)] == ["backup_directory"]
