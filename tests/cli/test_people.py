"""`pixlsrve user`, `devices` and `revoke`, against a real daemon."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from functools import partial
from typing import Any

import pytest

from tests.daemon import COMMAND, Daemon
from tests.terminal import Terminal

SECRET = "a long secret"


def _user(daemon: Daemon, *arguments: str, password: str | None = None, code: int = 0) -> str:
    """Run `pixlsrve user`; what it prints on both outputs."""
    done = subprocess.run(
        [*COMMAND, "user", "--data-dir", str(daemon.data_dir), *arguments],
        input=password,
        stdin=subprocess.DEVNULL if password is None else None,
        text=True,
        capture_output=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def _users(daemon: Daemon) -> dict[str, dict[str, Any]]:
    return {row["username"]: row for row in json.loads(_user(daemon, "list", "--json"))}


def _post(daemon: Daemon, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(daemon.url + path, json.dumps(body).encode(), headers)  # noqa: S310  # ourselves
    try:
        with urllib.request.urlopen(request, timeout=180) as response:  # noqa: S310  # as above
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def _login(daemon: Daemon, username: str, password: str) -> tuple[int, Any]:
    return _post(daemon, "/api/v1/auth/login", {"username": username, "password": password})


def _join(daemon: Daemon, name: str, *options: str) -> dict[str, Any]:
    """A paired device's answer."""
    code = json.loads(daemon.cli("pair", "--json", "--no-wait", *options))["code"]
    body = {"device_name": name, "device_type": "ios", "pairing_code": code}
    status, answer = _post(daemon, "/api/v1/auth/pair", body)
    assert status == 200, answer
    return dict(answer)


def test_account_from_its_first_day_to_its_last(daemon: Daemon) -> None:
    """T7: added, listed, signed in, given another password which ends what came before, removed with its devices."""
    assert "pixlsrve user add" in _user(daemon, "list")
    assert "as a member" in _user(daemon, "add", "anna", "--password-stdin", password=f"{SECRET}\n")
    row = _users(daemon)["anna"]
    assert (row["role"], row["library"], row["devices"], row["last_login_at"]) == ("member", "all", 0, None)
    status, first = _login(daemon, "anna", SECRET)
    assert status == 200
    device = _join(daemon, "Anna's phone", "--user", "anna")
    assert daemon.get("/api/v1/albums", first["api_token"])[0] == 200
    assert "anna" in _user(daemon, "passwd", "ANNA", "--password-stdin", password="another secret")
    assert daemon.get("/api/v1/albums", first["api_token"])[0] == 401
    assert _login(daemon, "anna", SECRET)[0] == 401
    status, second = _login(daemon, "anna", "another secret")
    assert status == 200
    assert _users(daemon)["anna"]["last_login_at"] is not None
    assert "1 device" in _user(daemon, "remove", "anna")
    for token in (second["api_token"], device["api_token"]):
        status, answer = daemon.get("/api/v1/albums", token)
        assert (status, answer["error"]["code"]) == (401, "DEVICE_REVOKED")
    assert _users(daemon) == {}
    daemon.stop()
    assert SECRET not in daemon.log


def _has_prompts(count: int, text: str) -> bool:
    return text.count("Password:") + text.count("The same again:") == count


def test_password_is_asked_for_and_not_shown(daemon: Daemon) -> None:
    """On a terminal the password is typed twice, unseen; two different ones are asked for again."""
    command = [*COMMAND, "user", "--data-dir", str(daemon.data_dir), "add", "ben", "--admin"]
    with Terminal(command, dict(os.environ)) as terminal:
        for prompts, typed in enumerate((SECRET, "something else", SECRET, SECRET), start=1):
            terminal.wait_until(partial(_has_prompts, prompts))
            terminal.type(f"{typed}\n")
        assert terminal.end() == 0
        assert "as an administrator" in terminal.text
        assert SECRET not in terminal.text
    assert _login(daemon, "ben", SECRET)[0] == 200
    assert _users(daemon)["ben"]["role"] == "admin"


def test_password_needs_a_terminal_or_standard_input(daemon: Daemon) -> None:
    """Without a terminal nothing is asked, and the sentence names the way."""
    assert "--password-stdin" in _user(daemon, "add", "anna", code=2)
    assert _users(daemon) == {}


@pytest.mark.parametrize(
    ("arguments", "password"),
    [
        (["add", "anna", "--password-stdin"], "short"),
        (["add", "an\u202ena", "--password-stdin"], SECRET),
        (["passwd", "nobody", "--password-stdin"], SECRET),
        (["remove", "nobody"], None),
        (["allow", "nobody"], None),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(daemon: Daemon, arguments: list[str], password: str | None) -> None:
    """A bad name, a bad password, an account that isn't there: exit code 1 and one line."""
    assert len(_user(daemon, *arguments, password=password, code=1).splitlines()) == 1


def test_last_admin_stays(daemon: Daemon) -> None:
    """T16: the last administrator can't be removed; with a second one, the first can."""
    _user(daemon, "add", "anna", "--admin", "--password-stdin", password=SECRET)
    assert "last administrator" in _user(daemon, "remove", "anna", code=1)
    assert "taken" in _user(daemon, "add", "Anna", "--password-stdin", password=SECRET, code=1)
    _user(daemon, "add", "ben", "--admin", "--password-stdin", password=SECRET)
    _user(daemon, "remove", "anna")
    assert list(_users(daemon)) == ["ben"]


def test_role_is_changed(daemon: Daemon) -> None:
    """T16: `role` makes administrators and members, ends what they had open, and leaves the last administrator."""
    for name in ("anna", "ben"):
        _user(daemon, "add", name, "--password-stdin", password=SECRET)
    token = _login(daemon, "anna", SECRET)[1]["api_token"]
    assert "anna is an administrator now" in _user(daemon, "role", "anna", "admin")
    assert daemon.get("/api/v1/host/status", token=token)[0] == 401
    assert "last administrator" in _user(daemon, "role", "anna", "member", code=1)
    _user(daemon, "role", "ben", "admin")
    assert "anna is a member now" in _user(daemon, "role", "anna", "member")
    assert {name: user["role"] for name, user in _users(daemon).items()} == {"anna": "member", "ben": "admin"}
    assert "'admin', 'member'" in _user(daemon, "role", "anna", "owner", code=2)
    assert "no account" in _user(daemon, "role", "nobody", "admin", code=1)


def test_library_is_opened_and_closed(daemon: Daemon) -> None:
    """`allow` opens everything, or some folders by name or path, or nothing; an unknown folder is refused."""
    _user(daemon, "add", "anna", "--password-stdin", password=SECRET)
    assert "photos" in _user(daemon, "allow", "anna", "--root", "photos")
    assert (_users(daemon)["anna"]["library"], _users(daemon)["anna"]["roots"]) == ("some", ["photos"])
    photos = str(daemon.data_dir.parent / "photos")
    _user(daemon, "allow", "anna", "--root", photos, "--root", "Uploads")
    assert _users(daemon)["anna"]["roots"] == ["Uploads", "photos"]
    assert "photos" in _user(daemon, "allow", "anna", "--root", "nowhere", code=1)
    _user(daemon, "allow", "anna", "--none")
    assert _users(daemon)["anna"]["library"] == "none"
    _user(daemon, "allow", "anna", "--none", "--root", "photos", code=2)
    assert "whole library" in _user(daemon, "allow", "anna")
    assert _users(daemon)["anna"]["library"] == "all"


def test_devices_are_listed_and_revoked(daemon: Daemon) -> None:
    """T7: a device is named by number, id or name, and is shut out from the next request on."""
    assert "pixlsrve pair" in daemon.cli("devices")
    joined = [_join(daemon, name) for name in ("Phone", "Tablet", "Old one", "Twin", "Twin")]
    rows = json.loads(daemon.cli("devices", "--json"))
    assert [row["device_id"] for row in rows] == [device["device_id"] for device in joined]
    assert [row["id"] for row in rows] == [1, 2, 3, 4, 5]
    assert (rows[0]["username"], rows[0]["role"]) == (None, "member")
    assert "(household)" in daemon.cli("devices")
    for named, device in zip(("1", joined[1]["device_id"], "old ONE"), joined, strict=False):
        assert daemon.get("/api/v1/albums", device["api_token"])[0] == 200
        assert device["device_id"] in {row["device_id"] for row in json.loads(daemon.cli("devices", "--json"))}
        assert "is shut out" in daemon.cli("revoke", named)
        status, answer = daemon.get("/api/v1/albums", device["api_token"])
        assert (status, answer["error"]["code"]) == (401, "DEVICE_REVOKED")
    daemon.cli("revoke", "1", code=1)
    daemon.cli("revoke", "Twin", code=1)
    assert [row["id"] for row in json.loads(daemon.cli("devices", "--json"))] == [4, 5]
