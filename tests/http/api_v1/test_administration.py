"""What the gallery asks for so that an admin runs the host from it, against a real daemon."""

from __future__ import annotations

import base64
import io
import json
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.daemon import Daemon
from tests.daemon import daemons as daemons  # the fixture

SECRET = "a long secret"
UNLIMITED = {"PIXLSRVE_RATE_LIMITS__AUTH": "off", "PIXLSRVE_RATE_LIMITS__OTHER": "off"}


@pytest.fixture
def daemon(daemons: Callable[..., Daemon], tmp_path: Path) -> Daemon:
    """A daemon with two empty folders, which invites."""
    options = []
    for name in ("Family", "Private"):
        (tmp_path / name).mkdir()
        options += ["--photos", str(tmp_path / name)]
    env = {**UNLIMITED, "PIXLSRVE_ACCOUNTS__REGISTRATION": "invite"}
    return daemons(*options, "--storage-dir", str(tmp_path / "storage"), "--host", "127.0.0.1", env=env).start()


def ask(daemon: Daemon, method: str, path: str, body: Any = None, token: str = "", **more: str) -> tuple[int, Any]:
    """Status and JSON answer; `more` are further headers."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {}), **more}
    request = urllib.request.Request(daemon.url + path, data, headers, method=method)  # noqa: S310  # http to ourselves
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310  # http to ourselves
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def good(daemon: Daemon, method: str, path: str, body: Any = None, token: str = "") -> Any:
    """The answer, which must be good."""
    status, answer = ask(daemon, method, path, body, token)
    assert status == 200, answer
    return answer


def test_me_tells_who_asks(daemon: Daemon) -> None:
    """A script, a household's device, and somebody with a name and a password are each told who they are."""
    admin = daemon.token(admin=True)
    me = good(daemon, "GET", "/api/v1/auth/me", token=admin)
    assert (me["kind"], me["role"], me["name"], me["library"]) == ("script", "admin", None, "all")
    assert me["host_name"]
    window = good(daemon, "POST", "/api/v1/auth/pairing-windows", {}, admin)
    phone = {"device_name": "Anna's phone", "device_type": "ios", "pairing_code": window["code"]}
    paired = good(daemon, "POST", "/api/v1/auth/pair", phone)
    me = good(daemon, "GET", "/api/v1/auth/me", token=paired["api_token"])
    assert (me["kind"], me["role"], me["name"], me["username"]) == ("device", "member", "Anna's phone", None)
    assert (me["device_id"], me["host_id"]) == (paired["device_id"], paired["host_id"])
    body = {"username": "berta", "password": SECRET, "library": "none"}
    good(daemon, "POST", "/api/v1/users", body, admin)
    token = good(daemon, "POST", "/api/v1/auth/login", {"username": "berta", "password": SECRET})["api_token"]
    me = good(daemon, "GET", "/api/v1/auth/me", token=token)
    assert (me["kind"], me["name"], me["username"], me["library"]) == ("account", "berta", "berta", "none")


def test_no_way_leads_to_an_admin(daemon: Daemon) -> None:
    """T5: whatever is sent along, an account made over HTTP is a member, and admins are out of reach there."""
    admin = daemon.token(admin=True)
    body = {"username": "eva", "password": SECRET, "role": "admin", "admin": True}
    assert good(daemon, "POST", "/api/v1/users", body, admin)["role"] == "member"
    daemon.control("POST", "/users", {"username": "root", "password": SECRET, "admin": True})
    users = {user["username"]: user for user in good(daemon, "GET", "/api/v1/users", token=admin)["users"]}
    number = users["root"]["user_id"]
    for method, path, more in (
        ("POST", f"/api/v1/users/{number}/password", {"password": "another long one"}),
        ("POST", f"/api/v1/users/{number}/library", {"library": "none"}),
        ("DELETE", f"/api/v1/users/{number}", None),
    ):
        assert ask(daemon, method, path, more, admin)[0] == 403, path
    assert good(daemon, "POST", "/api/v1/auth/login", {"username": "root", "password": SECRET})


def test_accounts_are_made_changed_and_removed(daemon: Daemon) -> None:
    """T7: what an admin changes in an account holds from the next request on."""
    admin = daemon.token(admin=True)
    body = {"username": "anna", "password": SECRET, "library": "some", "roots": ["Family"]}
    anna = good(daemon, "POST", "/api/v1/users", body, admin)
    assert (anna["library"], anna["roots"], anna["devices"]) == ("some", ["Family"], 0)
    status, answer = ask(daemon, "POST", "/api/v1/users", body, admin)
    assert (status, answer["error"]["details"]["reason"]) == (409, "name_taken")
    path = f"/api/v1/users/{anna['user_id']}"
    assert ask(daemon, "POST", f"{path}/library", {"library": "some"}, admin)[0] == 400
    status, answer = ask(daemon, "POST", f"{path}/library", {"library": "some", "roots": ["Nowhere"]}, admin)
    assert (status, answer["error"]["details"]["reason"]) == (400, "unknown_root")
    token = good(daemon, "POST", "/api/v1/auth/login", {"username": "anna", "password": SECRET})["api_token"]
    assert good(daemon, "POST", f"{path}/library", {"library": "all"}, admin)["library"] == "all"
    assert good(daemon, "GET", "/api/v1/auth/me", token=token)["library"] == "all"
    good(daemon, "POST", f"{path}/password", {"password": "a very new secret"}, admin)
    assert ask(daemon, "GET", "/api/v1/auth/me", token=token)[0] == 401
    token = good(daemon, "POST", "/api/v1/auth/login", {"username": "anna", "password": "a very new secret"})[
        "api_token"
    ]
    good(daemon, "DELETE", path, token=admin)
    assert ask(daemon, "GET", "/api/v1/auth/me", token=token)[0] == 401
    assert ask(daemon, "DELETE", path, token=admin)[0] == 404
    assert SECRET not in daemon.log


def test_an_account_is_made_with_folders_only_where_some_are_seen(daemon: Daemon) -> None:
    """T5: an account that is to see some folders names them, and no other names any; nothing is made otherwise."""
    admin = daemon.token(admin=True)
    for more in ({"library": "some"}, {"library": "none", "roots": ["Family"]}):
        body = {"username": "carl", "password": SECRET, **more}
        assert ask(daemon, "POST", "/api/v1/users", body, admin)[0] == 400
    assert good(daemon, "GET", "/api/v1/users", token=admin)["users"] == []


def test_invitations_are_made_used_and_withdrawn(daemon: Daemon) -> None:
    """T5: an invitation's code is told once, lets one person in as a member, and is over when it is withdrawn."""
    admin = daemon.token(admin=True)
    assert good(daemon, "GET", "/api/v1/users", token=admin)["can_invite"] is True
    first = good(daemon, "POST", "/api/v1/invitations", {}, admin)
    second = good(daemon, "POST", "/api/v1/invitations", {"expires_in": 3600}, admin)
    listed = good(daemon, "GET", "/api/v1/invitations", token=admin)["invitations"]
    assert [row["id"] for row in listed] == [first["id"], second["id"]]
    assert not any("code" in row for row in listed)
    good(daemon, "DELETE", f"/api/v1/invitations/{second['id']}", token=admin)
    assert ask(daemon, "DELETE", f"/api/v1/invitations/{second['id']}", token=admin)[0] == 404
    join = {"username": "dora", "password": SECRET, "invite": second["code"]}
    assert ask(daemon, "POST", "/pisync/auth/register", join)[0] == 403
    assert ask(daemon, "POST", "/pisync/auth/register", {**join, "invite": first["code"]})[0] in {200, 201}
    (dora,) = good(daemon, "GET", "/api/v1/users", token=admin)["users"]
    assert (dora["username"], dora["role"], dora["library"]) == ("dora", "member", "none")
    status, answer = ask(daemon, "POST", "/api/v1/invitations", {"email": "a@example.org"}, admin)
    assert (status, answer["error"]["details"]["reason"]) == (400, "no_provider")


def test_pairing_window_has_its_picture(daemon: Daemon) -> None:
    """The answer of a pairing window has its QR code as a square picture that is large enough to be scanned."""
    window = good(daemon, "POST", "/api/v1/auth/pairing-windows", {}, daemon.token(admin=True))
    with Image.open(io.BytesIO(base64.b64decode(window["qr_png"]))) as picture:
        assert (picture.format, picture.width) == ("PNG", picture.height)
        assert picture.width > 200


def test_status_shows_the_disks_to_admins_alone(daemon: Daemon) -> None:
    """T13: how full the disks are is an admin's to know; folders on one disk are one entry."""
    status = good(daemon, "GET", "/api/v1/host/status", token=daemon.token(admin=True))
    (disk,) = status["disks"]
    assert set(disk["holds"]) == {"photos", "uploads", "state"}
    assert 0 < disk["free_bytes"] < disk["total_bytes"]
    assert len(disk["folders"]) == 4
    assert good(daemon, "GET", "/api/v1/host/status", token=daemon.token())["disks"] is None


def test_health_says_what_is_wrong(daemon: Daemon, tmp_path: Path) -> None:
    """A folder that has gone is a finding with a remedy; the way from outside and the growth are told."""
    admin = daemon.token(admin=True)
    health = good(daemon, "GET", "/api/v1/host/health", token=admin)
    assert health["reachability"]["answer"] == "off"
    assert health["growth"] == {"days": 30, "bytes": 0}
    assert health["failures"] == []
    assert not any("offline" in finding["message"] for finding in health["findings"])
    (tmp_path / "Family").rmdir()
    daemon.wait_indexed()
    health = good(daemon, "GET", "/api/v1/host/health", token=admin)
    (finding,) = [finding for finding in health["findings"] if "Family is offline" in finding["message"]]
    assert "accept-removals" in finding["remedy"]
    assert ask(daemon, "GET", "/api/v1/host/health", token=daemon.token())[0] == 403


def test_health_names_syncs_that_failed(daemon: Daemon) -> None:
    """A sync that failed stands in the health answer and beside its device, until the device is gone."""
    admin = daemon.token(admin=True)
    added = daemon.control(
        "POST", "/devices/mini-servers", {"name": "Pi in the attic", "address": "127.0.0.1", "port": 1, "songs": []}
    )
    assert ask(daemon, "POST", f"/pisync/devices/{added['id']}/sync", {}, admin)[0] >= 400
    (failure,) = good(daemon, "GET", "/api/v1/host/health", token=admin)["failures"]
    assert (failure["kind"], failure["device_name"]) == ("sync", "Pi in the attic")
    (device,) = good(daemon, "GET", "/api/v1/devices", token=admin)["devices"]
    assert device["last_sync"]["synced_at"] is None
    assert device["last_sync"]["message"] == failure["message"]
    daemon.cli("revoke", str(added["id"]))
    assert good(daemon, "GET", "/api/v1/host/health", token=admin)["failures"] == []


def test_health_counts_what_uploads_added(daemon: Daemon) -> None:
    """Growth counts what was stored in the last thirty days, and nothing older."""
    daemon.stop()
    now_us, day_us = 1_000_000 * int(Path(daemon.data_dir / "state.db").stat().st_mtime), 86_400 * 1_000_000
    with sqlite3.connect(daemon.data_dir / "state.db") as state:
        (root_id,) = state.execute("SELECT id FROM library_root LIMIT 1").fetchone()
        columns = "root_id, path, sha256, size_bytes, owner, name, stored_us"
        sql = f"INSERT INTO upload ({columns}) VALUES (?, ?, ?, ?, 'x', 'x', ?)"  # noqa: S608  # our own words
        for name, size, at_us in ((b"new", 7, now_us), (b"old", 9, now_us - 40 * day_us)):
            state.execute(sql, (root_id, name, name.ljust(32), size, at_us))
    state.close()
    daemon.start()
    health = good(daemon, "GET", "/api/v1/host/health", token=daemon.token(admin=True))
    assert health["growth"] == {"days": 30, "bytes": 7}
