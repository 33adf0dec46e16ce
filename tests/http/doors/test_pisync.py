"""PiSync's registration and login through the real daemon, letter for letter (specs/pisync-api.md)."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.daemon import Daemon, StartDaemon

PASSWORD = "securePassword123"
MISSING = (400, {"message": "Username and password are required"})


def post(daemon: Daemon, path: str, body: object, **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and answer of a POST; the rate limit's headers must be there."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310  # http to ourselves
        daemon.url + path, data=content, headers={"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310  # http to ourselves
            status, answered, text = response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            status, answered, text = error.code, error.headers, error.read()
    assert {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= set(answered)
    assert answered["Cache-Control"] == "no-store"
    answer: dict[str, Any] = json.loads(text)
    return status, answer


@pytest.fixture
def start(daemons: StartDaemon, tmp_path: Path) -> Any:
    """Starts a daemon with a mode of registration."""
    (tmp_path / "photos").mkdir()

    def begin(mode: str) -> Daemon:
        env = {"PIXLSRVE_ACCOUNTS__REGISTRATION": mode, "PIXLSRVE_RATE_LIMITS__AUTH": "1000/minute"}
        return daemons("--photos", str(tmp_path / "photos"), "--no-tls", env=env).start()

    return begin


def test_register_and_login(start: Any) -> None:
    """A new person registers, signs in, and has a token that works everywhere and shows nothing (T5)."""
    daemon = start("open")
    person = {"username": "john_doe", "password": PASSWORD, "role": "admin", "admin": True}
    status, answer = post(daemon, "/pisync/auth/register", person)
    assert (status, answer["message"], set(answer)) == (201, "User registered successfully.", {"message", "token"})
    claims = jwt.decode(answer["token"], options={"verify_signature": False})
    assert (claims["userId"], claims["username"]) == (1, "john_doe")
    assert claims["exp"] - claims["iat"] == 3_600

    status, answer = post(daemon, "/pisync/auth/login", person)
    assert (status, answer["message"], set(answer)) == (200, "Login successful.", {"message", "token"})
    token = answer["token"]
    assert daemon.get("/api/v1/albums", token)[1]["albums"] == []
    assert daemon.get("/api/v1/photos", token)[1]["photos"] == []
    assert daemon.get("/api/v1/devices", token)[1]["devices"] == []
    (user,) = json.loads(daemon.cli("user", "list", "--json"))
    assert (user["role"], user["library"]) == ("member", "none")

    assert post(daemon, "/pisync/auth/register", person) == (400, {"message": "Username already exists"})
    again = {"username": "JOHN_DOE", "password": PASSWORD}
    assert post(daemon, "/pisync/auth/register", again) == (400, {"message": "Username already exists"})
    for wrong in ({"username": "john_doe", "password": "wrong"}, {"username": "nobody", "password": PASSWORD}):
        assert post(daemon, "/pisync/auth/login", wrong) == (401, {"message": "Invalid username or password."})


@pytest.mark.parametrize("path", ["/pisync/auth/register", "/pisync/auth/login"])
def test_bad_bodies(start: Any, path: str) -> None:
    """What is missing is named as specified, wrong types are 400, nothing is a 5xx (T3, T18)."""
    daemon = start("open")
    for fields in ({}, {"username": "a"}, {"password": PASSWORD}, {"username": "", "password": ""}):
        assert post(daemon, path, fields) == MISSING
    assert post(daemon, path, {"username": None, "password": None}) == MISSING
    strange: list[object] = [
        {"username": 5, "password": PASSWORD},
        {"username": "a", "password": [PASSWORD]},
        [],
        "text",
        7,
        None,
    ]
    for body in strange:
        status, answer = post(daemon, path, body)
        assert (status, set(answer)) == (400, {"message"}), body
    assert post(daemon, path, b"{")[0] == 400
    assert post(daemon, path, b"{}", **{"Content-Type": "text/plain"})[0] == 415
    for name, password in (("\u0000", PASSWORD), ("n" * 10_000, PASSWORD), ("anna", "p" * 2_000), ("anna", "\u0000")):
        assert post(daemon, path, {"username": name, "password": password})[0] in {400, 401}


def test_closed_by_default(daemons: StartDaemon, tmp_path: Path) -> None:
    """Without a setting nobody registers (T5)."""
    (tmp_path / "photos").mkdir()
    daemon = daemons("--photos", str(tmp_path / "photos"), "--no-tls").start()
    person = {"username": "john_doe", "password": PASSWORD, "invite": "x"}
    assert post(daemon, "/pisync/auth/register", person) == (403, {"message": "Registration is closed"})
    assert post(daemon, "/pisync/auth/register", {"username": "john_doe"}) == MISSING
    assert "closed" not in daemon.cli("user", "list")
    daemon.cli("user", "invite", code=1)


def test_by_invitation(start: Any) -> None:
    """`user invite` prints a code that registers one person."""
    daemon = start("invite")
    made = json.loads(daemon.cli("user", "invite", "--json"))
    person = {"username": "john_doe", "password": PASSWORD, "invite": made["code"]}
    assert post(daemon, "/pisync/auth/register", {**person, "invite": "wrong"})[0] == 403
    assert post(daemon, "/pisync/auth/register", {**person, "invite": None})[0] == 403
    assert len(json.loads(daemon.cli("user", "invite", "--list", "--json"))) == 1
    assert post(daemon, "/pisync/auth/register", person)[0] == 201
    assert post(daemon, "/pisync/auth/register", {**person, "username": "jane"})[0] == 403
    assert json.loads(daemon.cli("user", "invite", "--list", "--json")) == []

    text = daemon.cli("user", "invite", "--expires", "1h")
    assert "good once, until" in text
    assert daemon.cli("user", "invite", "--list").splitlines()[1].startswith("2 ")
    daemon.cli("user", "invite", "--withdraw", "2")
    daemon.cli("user", "invite", "--withdraw", "2", code=1)
    daemon.cli("user", "invite", "--email", "anna@example.org", code=1)
    assert made["code"] not in daemon.log
