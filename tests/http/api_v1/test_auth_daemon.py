"""Identity in a real daemon that is killed at the worst moments."""

from __future__ import annotations

import json
import signal
import sqlite3
import stat
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.auth.kit import new_key
from tests.daemon import Daemon
from tests.daemon import daemons as daemons  # the fixture


@pytest.fixture
def daemon(daemons: Callable[..., Daemon], tmp_path: Path) -> Daemon:
    """A daemon without photos."""
    photos = tmp_path / "photos"
    photos.mkdir()
    options = ("--photos", str(photos), "--storage-dir", str(tmp_path / "storage"), "--host", "127.0.0.1", "--no-vpn")
    return daemons(*options, env={"PIXLSRVE_RATE_LIMITS__AUTH": "off"}).start()


def post(daemon: Daemon, path: str, body: dict[str, Any], token: str = "") -> tuple[int, Any]:
    """Status and JSON answer of a POST below /api/v1/auth."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(  # noqa: S310  # http to ourselves
        f"{daemon.url}/api/v1/auth{path}", json.dumps(body).encode(), headers
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310  # http to ourselves
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def pair(daemon: Daemon, admin: str, **more: Any) -> Any:
    """A new device, through a window that an admin opens."""
    _, window = post(daemon, "/pairing-windows", {}, admin)
    body = {"device_name": "Anna's phone", "device_type": "ios", "pairing_code": window["code"], **more}
    status, answer = post(daemon, "/pair", body)
    assert status == 200, answer
    return answer


def kill(daemon: Daemon) -> None:
    """SIGKILL, and a new start."""
    daemon.stop(signal.SIGKILL)
    daemon.start()


def test_what_was_answered_survives_a_kill(daemon: Daemon) -> None:
    """T6, T8: pairing, refreshing and revoking are durable when they are answered, and windows are closed."""
    admin = daemon.token(admin=True)
    key = new_key()
    device = pair(daemon, admin, public_key=key)
    _, window = post(daemon, "/pairing-windows", {}, admin)
    kill(daemon)
    again = {"device_name": "x", "device_type": "ios", "pairing_code": window["code"]}
    assert post(daemon, "/pair", again)[0] == 403
    status, config = daemon.get("/api/v1/vpn/config", device["api_token"])
    assert (status, config["device_ip"]) == (200, device["wireguard_config"]["device_ip"])
    assert config["server_public_key"] == device["wireguard_config"]["server_public_key"]

    old = {"device_id": device["device_id"], "refresh_token": device["refresh_token"]}
    status, tokens = post(daemon, "/token/refresh", old)
    assert status == 200
    kill(daemon)
    status, same = post(daemon, "/token/refresh", old)
    assert (status, same["refresh_token"]) == (200, tokens["refresh_token"])

    assert post(daemon, "/revoke", {"device_id": device["device_id"]}, admin)[0] == 200
    kill(daemon)
    status, answer = daemon.get("/api/v1/devices", same["api_token"])
    assert (status, answer["error"]["code"]) == (401, "DEVICE_REVOKED")
    status, answer = post(daemon, "/token/refresh", {**old, "refresh_token": tokens["refresh_token"]})
    assert (status, answer["error"]["code"]) == (401, "DEVICE_REVOKED")
    assert pair(daemon, admin, public_key=key)["wireguard_config"]["device_ip"] == config["device_ip"]


def test_nothing_secret_lies_about(daemon: Daemon) -> None:
    """T36, T37: keys are private files; neither the log nor the database has a token, a code, a password or a key."""
    admin = daemon.token(admin=True)
    device = pair(daemon, admin)
    _, window = post(daemon, "/pairing-windows", {}, admin)
    password = "canary-password-5417"
    post(daemon, "/login", {"username": "canary", "password": password})
    _, tokens = post(
        daemon, "/token/refresh", {"device_id": device["device_id"], "refresh_token": device["refresh_token"]}
    )
    daemon.stop()
    for file in (daemon.data_dir / "keys").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with sqlite3.connect(daemon.data_dir / "state.db") as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    secrets = [
        admin,
        device["api_token"],
        device["refresh_token"],
        tokens["refresh_token"],
        window["code"],
        window["url"].partition("c=")[2].partition("&")[0],
        device["wireguard_config"]["private_key"],
        password,
    ]
    for secret in secrets:
        assert secret not in dump
        assert secret not in daemon.log
