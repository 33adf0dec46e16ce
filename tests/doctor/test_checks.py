"""The doctor's checks: each finds what it is for, and nothing on a healthy system."""

from __future__ import annotations

import os
import socket
import sqlite3
import zoneinfo
from pathlib import Path
from typing import Any

import pytest

from pixlsrve.config import CompatConfig, Config, HttpConfig
from pixlsrve.doctor import folders, parts, ports
from pixlsrve.doctor.finding import Finding

needs_rights = pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")


def _checks(found: Any) -> list[str]:
    findings = list(found)
    assert all(isinstance(finding, Finding) and finding.remedy for finding in findings)
    return [finding.check for finding in findings]


def test_healthy_system_is_silent(tmp_path: Path) -> None:
    """Nothing is reported where nothing is wrong."""
    tmp_path.chmod(0o700)
    (tmp_path / "photos").mkdir()
    assert _checks(folders.check_data_dir(tmp_path)) == []
    assert _checks(folders.check_storage_dir(tmp_path / "storage" / "below")) == []
    assert _checks(folders.check_photos([tmp_path / "photos"])) == []
    assert _checks(parts.check_clock(tmp_path)) == []
    assert _checks(parts.check_parts()) == []


def test_open_data_directory_is_found(tmp_path: Path) -> None:
    """T36: others may look into it."""
    tmp_path.chmod(0o755)
    assert _checks(folders.check_data_dir(tmp_path)) == ["data_dir_mode"]


def test_file_in_the_way_is_found(tmp_path: Path) -> None:
    """A data directory that can't be made."""
    (tmp_path / "file").touch()
    assert _checks(folders.check_storage_dir(tmp_path / "file")) == ["storage_dir"]


def test_restored_state_is_mentioned_until_its_remains_are_gone(tmp_path: Path) -> None:
    """T39: said loudly, as long as the damaged file is kept."""
    tmp_path.chmod(0o700)
    (tmp_path / "state.db.damaged-20260101T000000Z").touch()
    (tmp_path / "state.db.damaged-20260101T000000Z-wal").touch()
    assert _checks(folders.check_data_dir(tmp_path)) == ["state_restored"]


def test_full_disk_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little room is reported before it runs out."""
    tmp_path.chmod(0o700)
    monkeypatch.setattr(folders, "RESERVE_BYTES", 10**18)
    monkeypatch.setattr(folders, "RESERVE_SHARE", 1.1)
    assert _checks(folders.check_data_dir(tmp_path)) == ["disk_space"]


def test_missing_root_is_found(tmp_path: Path) -> None:
    """A disk that is not connected."""
    assert _checks(folders.check_photos([tmp_path / "nowhere"])) == ["root_missing"]


@needs_rights
def test_unreadable_folders_are_counted_and_named(tmp_path: Path) -> None:
    """The first few are named, all are counted."""
    for number in range(5):
        (tmp_path / f"closed-{number}").mkdir(mode=0o000)
    (finding,) = folders.check_photos([tmp_path])
    assert finding.check == "unreadable"
    assert " 5 of" in finding.message
    assert "and 2 more" in finding.message


def test_too_many_folders_to_watch_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux' limit of watches, with the line that raises it."""
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "limit").write_text("2\n")
    monkeypatch.setattr(folders, "_WATCH_LIMIT", tmp_path / "limit")
    (finding,) = folders.check_photos([tmp_path / "photos"])
    assert finding.check == "watches"
    assert "fs.inotify.max_user_watches=524288" in finding.remedy


def _config(http: HttpConfig) -> Config:
    """Settings without the broadcast's port, which daemons of other tests may have just now."""
    return Config(data_dir="/d", storage_dir="/s", http=http, compat=CompatConfig(websocket_port=0))


def test_taken_port_is_found() -> None:
    """Another program on the port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        http = HttpConfig(host="127.0.0.1", port=port)
        assert _checks(ports.check_ports(_config(http))) == ["port"]


def test_foreign_address_is_found() -> None:
    """An address that no interface has (RFC 5737)."""
    http = HttpConfig(host="192.0.2.1", port=8080)
    assert _checks(ports.check_ports(_config(http))) == ["port", "tls_port"]


def test_wrong_clock_is_found(tmp_path: Path) -> None:
    """A clock that was never set, and one that went back."""
    assert _checks(parts.check_clock(tmp_path, now_s=86_400.0)) == ["clock"]
    (tmp_path / "state.db").touch()
    os.utime(tmp_path / "state.db", (1_900_000_000, 1_900_000_000))
    assert _checks(parts.check_clock(tmp_path, now_s=1_800_000_000.0)) == ["clock"]


def test_missing_time_zones_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without tzdata."""
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    assert _checks(parts.check_clock(tmp_path)) == ["time_zones"]


def test_old_sqlite_and_libraries_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """T40: an old SQLite, an old or missing library."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    monkeypatch.setattr(parts, "LIBRARY_FLOORS", {"pillow": (999, 0, 0), "no-such-library": (1, 0, 0)})
    assert _checks(parts.check_parts()) == ["sqlite", "library", "library"]


def test_pure_python_parser_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """T40: HTTP without the compiled parser."""
    import aiohttp.http_parser as parser

    monkeypatch.setattr(parser, "HttpRequestParser", parser.HttpRequestParserPy)
    assert _checks(parts.check_parts()) == ["http_parser"]
