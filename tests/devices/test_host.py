"""The agent's side of the wire, against a host of a few lines."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pixlsrve.devices.agent import state
from pixlsrve.devices.agent.host import Host, HostRefused, fetch_json, open_session
from pixlsrve.devices.agent.state import Pairing


async def test_full_disk_ends_no_agent(tmp_path: Path) -> None:
    """A token that can't be kept is used all the same, and kept as soon as the disk takes it: no pairing is lost."""
    numbers = itertools.count(1)

    async def refresh(_: web.Request) -> web.Response:
        number = next(numbers)
        return web.json_response(
            {"refresh_token": f"refresh {number}", "api_token": f"access {number}", "expires_in": 3_600}
        )

    app = web.Application()
    app.router.add_post("/api/v1/auth/token/refresh", refresh)
    folder = tmp_path / "full"  # which is missing: whatever is written fails
    async with TestServer(app) as server:
        pairing = Pairing(
            server=str(server.make_url("/")),
            host_id="h",
            host_name="h",
            device_id="d",
            refresh_token="refresh 0",
            is_plain=True,
        )
        async with Host(folder, pairing) as host:
            assert await host.authorization() == {"Authorization": "Bearer access 1"}
            folder.mkdir()
            assert await host.authorization() == {"Authorization": "Bearer access 1"}
    kept = state.load(folder)
    assert kept is not None
    assert kept.refresh_token == "refresh 1"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_answer_without_end_is_given_up(method: str) -> None:
    """T24: whoever answers at the server's address can't fill the device's memory, before pairing neither."""

    async def pour(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(1 << 20))

    app = web.Application()
    app.router.add_route("*", "/", pour)
    async with TestServer(app) as server, open_session() as session:
        with pytest.raises(HostRefused, match="too long"):
            await fetch_json(session, method, server.make_url("/"), {}, True)
