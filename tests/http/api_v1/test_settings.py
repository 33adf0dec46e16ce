"""Settings seen and changed by an admin, against a real daemon."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from pixlsrve.config import Config
from tests.daemon import Daemon, StartDaemon, daemons
from tests.http.api_v1 import test_administration as administration
from tests.test_heartbeat import Listener, listener

__all__ = ["daemons", "listener"]
PATH = "/api/v1/host/settings"
ENVIRONMENT = {"PIXLSRVE_RATE_LIMITS__OTHER": "off", "PIXLSRVE_ACCOUNTS__REGISTRATION": "invite"}


@pytest.fixture
def daemon(daemons: StartDaemon, listener: Listener, tmp_path: Path) -> Daemon:
    """A daemon with a settings file of its own, which tells the listener how it does."""
    file = tmp_path / "pixlsrve.toml"
    file.write_text('[wireguard]\nendpoint = "home.example"\n')
    env = {**ENVIRONMENT, "NOTIFY_SOCKET": str(listener.path)}
    return daemons("--config", str(file), "--host", "127.0.0.1", "--no-tls", env=env).start()


def ask(daemon: Daemon, method: str, token: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Status and JSON answer."""
    return administration.ask(daemon, method, PATH, body, token, **headers)


def change(daemon: Daemon, token: str, **changes: Any) -> tuple[int, Any]:
    """Ask for changes; `__` stands for the dot."""
    return ask(daemon, "PATCH", token, {"changes": {key.replace("__", "."): value for key, value in changes.items()}})


def rows(daemon: Daemon, token: str) -> dict[str, dict[str, Any]]:
    """The settings in force by their keys."""
    status, answer = ask(daemon, "GET", token)
    assert (status, answer["trouble"]) == (200, "")
    return {row["key"]: row for row in answer["settings"]}


def wait_for_life(listener: Listener) -> None:
    """Wait until the daemon has begun anew."""
    listener.wait("RELOADING=1", "stopping")
    listener.wait("READY=1")


def test_settings_are_all_there_without_secrets(daemon: Daemon) -> None:
    """T13: an admin reads each setting with who says it and what edits it; nothing of login providers."""
    admin = daemon.token(admin=True)
    found = rows(daemon, admin)
    assert found["accounts.registration"] == {
        "key": "accounts.registration",
        "value": "invite",
        "default": "closed",
        "source": "environment",
        "control": {"kind": "choice", "choices": ["closed", "invite", "open"]},
    }
    assert found["photos"] == {"key": "photos", "value": [], "default": [], "source": "default", "control": None}
    assert (found["http.tls"]["source"], found["wireguard.endpoint"]["source"]) == ("options", "file")
    assert found["rescan_interval_s"]["control"] == {"kind": "number", "minimum": 0, "maximum": 31_536_000}
    assert not any("social" in key or "secret" in key for key in found)
    assert {key.partition(".")[0] for key in found} == set(Config.__struct_fields__) - {"social"}


def test_only_admins_change_settings(daemon: Daemon) -> None:
    """T13, T16: a member and somebody without a token change nothing."""
    assert change(daemon, daemon.token(), mdns__name="x")[0] == 403
    assert change(daemon, "", mdns__name="x")[0] == 401
    assert not (daemon.data_dir / "settings.toml").exists()


def test_change_is_in_force_at_once_and_after_a_restart(daemon: Daemon, listener: Listener) -> None:
    """A change is written for the daemon alone, is taken without a restart, outlives one, and can be taken back."""
    admin = daemon.token(admin=True)
    pid = daemon.pid
    status, answer = change(daemon, admin, rescan_interval_s=120, wireguard__endpoint="198.51.100.7:1234")
    assert (status, answer["reloading"], answer["needs_restart"]) == (200, True, [])
    coming = {row["key"]: row for row in answer["settings"]}
    assert (coming["rescan_interval_s"]["value"], coming["rescan_interval_s"]["source"]) == (120, "page")
    file = daemon.data_dir / "settings.toml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert tomllib.loads(file.read_text()) == {
        "rescan_interval_s": 120,
        "wireguard": {"endpoint": "198.51.100.7:1234"},
    }
    wait_for_life(listener)
    assert rows(daemon, admin)["rescan_interval_s"]["value"] == 120
    assert daemon.pid == pid
    daemon.wait_logged("settings were changed")
    daemon.stop()
    daemon.start()
    admin = daemon.token(admin=True)
    assert rows(daemon, admin)["wireguard.endpoint"]["value"] == "198.51.100.7:1234"
    assert change(daemon, admin, wireguard__endpoint=None)[0] == 200
    wait_for_life(listener)
    found = rows(daemon, admin)
    assert found["wireguard.endpoint"]["value"] == "home.example"
    assert (found["wireguard.endpoint"]["source"], found["rescan_interval_s"]["source"]) == ("file", "page")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("wireguard__endpoint", "not a name"),
        ("dns__upstream", ["one.example"]),
        ("http__hosts", ["späm.example"]),
        ("http__hosts", ["https://photos.example"]),
        ("http__hosts", [""]),
        ("http__public_url", "photos.example"),
        ("http__public_url", "https://user@photos.example"),
        ("http__public_url", "https://photos.example:port"),
        ("rate_limits__search", "often"),
        ("rescan_interval_s", -1),
    ],
)
def test_value_that_would_not_start_is_refused(daemon: Daemon, key: str, value: Any) -> None:
    """T18: what the next start could not use is refused with key, value and what is allowed; nothing is written."""
    status, answer = change(daemon, daemon.token(admin=True), mdns__name="good", **{key: value})
    assert status == 400
    error = answer["error"]
    assert (error["code"], error["details"]["reason"]) == ("INVALID_REQUEST", "invalid_setting")
    assert error["details"]["key"] == key.replace("__", ".")
    assert error["details"]["allowed"]
    assert "value" in error["details"]
    assert not (daemon.data_dir / "settings.toml").exists()


@pytest.mark.parametrize(
    ("key", "status", "reason"),
    [
        ("accounts__registration", 409, "overridden"),
        ("photos", 403, "not_changeable"),
        ("wireguard__lan_access", 403, "not_changeable"),
        ("http__tls_key", 403, "not_changeable"),
        ("colour", 400, "invalid_setting"),
    ],
)
def test_change_that_is_not_for_the_page_is_refused(daemon: Daemon, key: str, status: int, reason: str) -> None:
    """T16: no way leads from a browser to the host's folders, files and listeners; the environment wins."""
    got, answer = change(daemon, daemon.token(admin=True), **{key: "open"})
    assert (got, answer["error"]["details"]["reason"]) == (status, reason)


@pytest.mark.parametrize("body", [{}, {"changes": {}}, {"changes": []}, {"changes": {str(n): 1 for n in range(101)}}])
def test_bodies_of_another_shape_are_refused(daemon: Daemon, body: Any) -> None:
    """T18: the body holds changes, some and not too many."""
    assert ask(daemon, "PATCH", daemon.token(admin=True), body)[0] == 400


def test_nobody_shuts_himself_out(daemon: Daemon, listener: Listener) -> None:
    """T27: the name under which the page is open stays one of ours; at an address it can be taken away."""
    admin = daemon.token(admin=True)
    assert change(daemon, admin, http__hosts=["photos.example", "192.0.2.1", "[2001:db8::1]:80"])[0] == 200
    wait_for_life(listener)
    assert ask(daemon, "GET", admin, Host="photos.example")[0] == 200
    body = {"changes": {"http.hosts": None}}
    status, answer = ask(daemon, "PATCH", admin, body, Host="photos.example")
    assert (status, answer["error"]["details"]["reason"]) == (409, "would_lock_out")
    assert ask(daemon, "PATCH", admin, body)[0] == 200
    wait_for_life(listener)
    assert ask(daemon, "GET", admin, Host="photos.example")[0] == 421


def test_file_that_is_damaged_meanwhile_is_told(daemon: Daemon) -> None:
    """A settings.toml that can't be read keeps the values in force, is named, and is not written over."""
    admin = daemon.token(admin=True)
    file = daemon.data_dir / "settings.toml"
    file.write_text("colour =\n")
    status, answer = ask(daemon, "GET", admin)
    assert status == 200
    assert "not valid TOML" in answer["trouble"]
    assert all(row["control"] is None for row in answer["settings"])
    status, answer = change(daemon, admin, mdns__name="x")
    assert (status, answer["error"]["details"]["reason"]) == (409, "bad_settings")
    assert file.read_text() == "colour =\n"


def test_what_waits_for_a_restart_is_named(daemon: Daemon) -> None:
    """What was changed by hand and not taken yet is named, beside the value that is in force."""
    admin = daemon.token(admin=True)
    (daemon.data_dir / "settings.toml").write_text("rescan_interval_s = 77\n")
    status, answer = ask(daemon, "GET", admin)
    assert (status, answer["needs_restart"]) == (200, ["rescan_interval_s"])
    assert next(row["value"] for row in answer["settings"] if row["key"] == "rescan_interval_s") == 3600
