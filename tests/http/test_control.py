"""The control socket: what it answers, and to whom."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pixlsrve.errors import NotFound
from pixlsrve.http import control
from pixlsrve.http.control import ControlServer, peer_uid
from pixlsrve.model import Role


class Daemon:
    """Writes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    async def status(self) -> dict[str, Any]:
        return {"pid": 1}

    async def start_scan(self, *, full_scan: bool, accept_removals: bool) -> dict[str, Any]:
        self.asked.append((full_scan, accept_removals))
        return {"scan_id": "s1"}

    async def scan_state(self, scan_id: str) -> dict[str, Any]:
        if scan_id != "s1":
            raise NotFound("There is no such scan.")
        return {"in_progress": False}

    async def mint_token(self, *, role: Role, expires_in: int) -> dict[str, Any]:
        self.asked.append((role, expires_in))
        return {"token": "t"}

    async def list_tokens(self) -> list[dict[str, Any]]:
        return [{"id": "a"}]

    async def revoke_token(self, token_id: str) -> None:
        raise RuntimeError(f"/secret/path {token_id}")


@pytest.fixture
def daemon() -> Daemon:
    """What stands behind the socket."""
    return Daemon()


@pytest.fixture
async def client(daemon: Daemon) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a served control socket."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c"
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(str(path))
        connector = aiohttp.UnixConnector(str(path))
        async with (
            ControlServer(bound, daemon),
            aiohttp.ClientSession("http://localhost", connector=connector) as made,
        ):
            yield made


async def test_calls_reach_the_daemon(client: aiohttp.ClientSession, daemon: Daemon) -> None:
    """Each route makes one call with what the body says, or its defaults, and answers JSON."""
    async with client.get("/status") as response:
        assert await response.json() == {"pid": 1}
    async with client.post("/scan", json={"full_scan": True}) as response:
        assert await response.json() == {"scan_id": "s1"}
    async with client.get("/scan/s1") as response:
        assert await response.json() == {"in_progress": False}
    async with client.post("/tokens", json={"role": "admin", "expires_in": 60}) as response:
        assert await response.json() == {"token": "t"}
    async with client.get("/tokens") as response:
        assert await response.json() == {"tokens": [{"id": "a"}]}
    assert daemon.asked == [(True, False), (Role.ADMIN, 60)]


async def test_refusals_are_sentences(client: aiohttp.ClientSession) -> None:
    """Errors are the main API's envelope; nothing of the inside is shown (T15)."""
    async with client.get("/scan/s2") as response:
        assert (response.status, (await response.json())["error"]["message"]) == (404, "There is no such scan.")
    async with client.post("/tokens", json={"role": "root"}) as response:
        assert response.status == 400
    async with client.get("/nothing") as response:
        assert (response.status, (await response.json())["error"]["code"]) == (404, "NOT_FOUND")
    async with client.delete("/tokens/x") as response:
        assert response.status == 500
        assert "secret" not in await response.text()


async def test_other_users_are_refused(client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """T38: a peer with another user's id is refused, whatever the file's mode says."""
    monkeypatch.setattr(control, "peer_uid", lambda _: os.geteuid() + 12_345)
    async with client.get("/status") as response:
        assert response.status == 403


def test_peer_uid_is_the_kernels_word() -> None:
    """T38: the peer's user id comes from the socket itself."""
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert peer_uid(one) == os.geteuid()
