"""The restore drill with a real daemon: what was saved comes back, here and on another machine."""

from __future__ import annotations

import json
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon, StartDaemon, daemons
from tests.index.library import make_photos
from tests.patience import PATIENCE
from tests.uploading import UNLIMITED, picture

__all__ = ["daemons"]
ENV = {**UNLIMITED, "PIXLSRVE_RATE_LIMITS__AUTH": "off"}


def _call(daemon: Daemon, method: str, path: str, token: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    kind = "image/jpeg" if isinstance(body, bytes) else "application/json"
    headers = {"Content-Type": kind, **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(daemon.url + path, content, headers, method=method)  # noqa: S310  # to ourselves
    try:
        with urllib.request.urlopen(request, timeout=180) as response:  # noqa: S310  # to ourselves
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def _pair(daemon: Daemon, name: str) -> dict[str, Any]:
    """A newly paired phone: the answer to its pairing."""
    code = json.loads(daemon.cli("pair", "--json", "--no-wait"))["code"]
    body = {"device_name": name, "device_type": "ios", "pairing_code": code}
    status, answer = _call(daemon, "POST", "/api/v1/auth/pair", "", body)
    assert status == 200, answer
    return dict(answer)


def _refresh(daemon: Daemon, phone: dict[str, Any]) -> tuple[int, Any]:
    body = {"refresh_token": phone["refresh_token"], "device_id": phone["device_id"]}
    return _call(daemon, "POST", "/api/v1/auth/token/refresh", "", body)


def _photos(daemon: Daemon) -> dict[str, tuple[str, str]]:
    """Id and content of each photo by its name."""
    status, answer = daemon.get("/api/v1/photos?limit=500", daemon.token())
    assert status == 200
    return {photo["filename"]: (photo["id"], photo["sha256"]) for photo in answer["photos"]}


def _identity(daemon: Daemon, phone: dict[str, Any]) -> tuple[Any, ...]:
    """What phones know the host by."""
    status = json.loads(daemon.cli("status", "--json"))
    config = _call(daemon, "GET", "/api/v1/vpn/config", phone["api_token"])[1]
    return status["host_id"], status["tls"]["ca_fingerprint"], config


@pytest.fixture
def host(daemons: StartDaemon, tmp_path: Path) -> Daemon:
    """A running host with four photos and an upload."""
    make_photos(tmp_path / "photos", 4)
    daemon = daemons("--photos", str(tmp_path / "photos"), env=ENV).start()
    assert _call(daemon, "PUT", "/image/sent.jpg", daemon.token(), picture(7))[0] in (200, 201)
    daemon.wait_indexed()
    return daemon


def test_restored_on_another_machine_phones_go_on(host: Daemon, daemons: StartDaemon, tmp_path: Path) -> None:
    """A restored host is the same host: tokens, tunnel, certificate, photo ids and uploads are as they were."""
    phone = _pair(host, "Anna's phone")
    script = host.token(admin=True)
    photos, identity = _photos(host), _identity(host, phone)
    assert len(photos) == 5
    backup = tmp_path / "stick" / "host.backup"
    backup.parent.mkdir()
    answer = json.loads(host.cli("backup", str(backup), "--with-uploads", "--json"))
    assert answer["uploads"] == 1
    assert backup.stat().st_mode & 0o777 == 0o600
    later = _refresh(host, phone)[1]  # the backup does not know this token
    assert host.stop() == 0

    other = daemons("--photos", str(tmp_path / "photos"), data_dir=tmp_path / "other", env=ENV)
    shutil.rmtree(host.data_dir)
    told = json.loads(other.cli("restore", "--json", str(backup)))
    assert (told["restored"], told["host_id"], told["knows_revocations"]) == (True, identity[0], False)
    for path in (other.data_dir, *(path for path in other.data_dir.glob("*.db")), *other.data_dir.glob("keys/*")):
        assert path.stat().st_mode & 0o077 == 0, path
    other.start()
    other.wait_indexed()
    assert _photos(other) == photos
    assert _identity(other, phone) == identity
    assert _call(other, "GET", "/api/v1/host/status", script)[0] == 200
    assert _refresh(other, {**phone, "refresh_token": later["refresh_token"]})[0] == 200
    sent = photos["sent.jpg"][0]
    assert other.get(f"/api/v1/photos/{sent}/full", script)[1] == picture(7)
    notices = json.loads(other.cli("status", "--json"))["notices"]
    assert any("restored from a backup" in notice["message"] for notice in notices)


def test_restored_in_place_revoked_devices_stay_revoked(host: Daemon, tmp_path: Path) -> None:
    """T8: going back to an older backup on the same host does not let in who was shut out since."""
    kept, lost = _pair(host, "kept"), _pair(host, "lost")
    host.cli("backup", str(tmp_path / "one"))
    host.cli("revoke", lost["device_id"])
    newer = _pair(host, "newer")
    assert host.cli("restore", str(tmp_path / "one"), code=1) == ""
    host.stop()
    before = (host.data_dir / "state.db").read_bytes()
    dry = json.loads(host.cli("restore", "--dry-run", "--json", str(tmp_path / "one")))
    assert (dry["restored"], dry["kept_aside"]) == (False, None)
    assert (host.data_dir / "state.db").read_bytes() == before
    told = json.loads(host.cli("restore", "--json", str(tmp_path / "one")))
    assert told["still_revoked"] == ["lost"]
    aside = Path(told["kept_aside"])
    assert (aside / "state.db").read_bytes() == before
    assert (aside / "keys" / "token.key").exists()
    host.start()
    assert _call(host, "GET", "/api/v1/albums", kept["api_token"])[0] == 200
    assert _call(host, "GET", "/api/v1/albums", lost["api_token"])[0] == 401
    assert _refresh(host, lost)[0] == 401
    assert _call(host, "GET", "/api/v1/albums", newer["api_token"])[0] == 401
    assert host.wait_indexed()["indexing_status"]["photos_indexed"] == 5
    assert json.loads(host.cli("status", "--json"))["notices"] == []


def test_backup_leaves_nothing_half_written(host: Daemon, tmp_path: Path) -> None:
    """A backup overwrites nothing, keeps out of the library's own folders, and leaves no traces."""
    target = tmp_path / "one"
    target.write_text("precious")
    host.cli("backup", str(target), code=1)
    assert target.read_text() == "precious"
    host.cli("backup", str(tmp_path / "nowhere" / "one"), code=1)
    for folder in (host.data_dir, host.data_dir / "storage", tmp_path / "photos"):
        before = sorted(folder.iterdir())
        host.cli("backup", str(folder / "one"), code=1)
        assert sorted(folder.iterdir()) == before
    host.stop()
    host.cli("backup", str(tmp_path / "two"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "one", "photos", "two"]
    assert list(host.data_dir.glob(".backup-*")) == []


def test_daemon_makes_its_backup_by_itself(host: Daemon) -> None:
    """The first backup is there soon after the first start; status tells its age and verify reads it."""
    shelf = host.data_dir / "backups"
    until_s = time.monotonic() + 60 * PATIENCE
    while not list(shelf.glob("pixlsrve-*.tar.gz")):
        assert time.monotonic() < until_s
    status = json.loads(host.cli("status", "--json"))["backup"]
    assert (status["enabled"], status["kept"], status["directory"]) == (True, 1, None)
    assert 0 <= status["age_seconds"] < 3_600
    told = json.loads(host.cli("verify", "--json"))
    assert told["ok"] is True
    assert [entry["ok"] for entry in told["backups"]] == [True]
