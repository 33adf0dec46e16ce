"""The library's routes on a real server over a library made by hand."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pixlsrve import errors
from pixlsrve.config import Config, RateLimitsConfig
from pixlsrve.events import EventBus
from pixlsrve.http import application, library
from pixlsrve.http.api_v1.routes import ROUTES
from pixlsrve.http.hosts import Hosts
from pixlsrve.http.library import HostInfo, WireguardStatus
from pixlsrve.http.server import HttpServer
from pixlsrve.index.progress import IndexStatus, Progress
from pixlsrve.media.conversions import Conversions
from pixlsrve.media.thumbnails import ThumbnailCache
from pixlsrve.model import Principal, Refusal, Role
from tests.library import Shelf, jpeg, open_shelf

PRINCIPALS = {
    "member": Principal(id="device:1", role=Role.MEMBER, device_id="d1"),
    "admin": Principal(id="script:2", role=Role.ADMIN),
    "uploads": Principal(id="account:3", role=Role.MEMBER, account_id="a3", roots=frozenset({2})),
    "nothing": Principal(id="account:4", role=Role.MEMBER, account_id="a4", roots=frozenset()),
}


class KnownTokens:
    """An authenticator whose tokens are written down."""

    async def authenticate(self, token: str) -> Principal:
        if token not in PRINCIPALS:
            raise errors.NotAuthenticated("The token is not valid.")
        return PRINCIPALS[token]


class Ticket:
    """A scan."""

    scan_id = "0a7c2a3e-9d44-4b0f-8f57-0f6ad6a2ac11"
    estimated_duration_s = 3


class Scans:
    """Stands for the indexer: notes what is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[bool, bool]] = []

    def status(self) -> IndexStatus:
        return Progress().status()

    async def request_scan(self, *, full: bool, accept_removals: bool) -> Ticket:
        self.asked.append((full, accept_removals))
        return Ticket()


class Renderer:
    """Stands for the worker pool: one red JPEG for everything."""

    def __init__(self) -> None:
        self.calls = 0

    async def render(self, fd: int, name: str) -> bytes | Refusal:
        self.calls += 1
        if name.startswith("broken"):
            return Refusal(reason="damaged", message="The file is damaged.")
        return jpeg((255, 0, 0))


class Api:
    """The server, the library behind it, and a client. `made` are the assets whose thumbnails were asked for."""

    def __init__(self, shelf: Shelf, client: aiohttp.ClientSession) -> None:
        self.shelf, self.client = shelf, client
        self.scans, self.renderer = Scans(), Renderer()
        self.made: list[int] = []
        self.base = ""

    async def make(self, pk: int) -> None:
        """Stands for the indexer: reads the content, unless the file is one that can't be read."""
        self.made.append(pk)

    def request(self, method: str, path: str, *, token: str | None = "member", **more: Any) -> Any:  # noqa: S107  # no secret
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.client.request(method, self.base + path, headers=headers, **more)

    async def json(self, path: str, *, status: int = 200, token: str | None = "member", **query: Any) -> Any:  # noqa: S107  # no secret
        """The JSON answer to GET, which must have this status."""
        async with self.request("GET", path, token=token, params=query) as answer:
            body = await answer.json()
            assert answer.status == status, body
            return body

    async def refusal(self, path: str, *, status: int = 400, **query: Any) -> Any:
        """The details of an error answer."""
        return (await self.json(path, status=status, **query))["error"]["details"]


@contextlib.asynccontextmanager
async def serving(shelf: Shelf, *, is_discreet: bool = False) -> AsyncIterator[Api]:
    """The library's routes on a free port."""
    config = Config(data_dir="", storage_dir="", rate_limits=RateLimitsConfig(photos="off", search="off", other="off"))
    app = application.build(ROUTES, config, authenticator=KnownTokens(), bus=EventBus(), hosts=Hosts([], names=["box"]))
    async with aiohttp.ClientSession() as client:
        api = Api(shelf, client)
        app[library.LIBRARY] = shelf.library
        app[library.THUMBNAILS] = ThumbnailCache(
            shelf.index, shelf.thumbnails, shelf.version, lambda pk: api.make(pk), making_limit_s=0.2
        )
        app[library.THUMBNAIL_CACHING] = "public"
        app[library.ROOTS] = shelf.roots
        app[library.CONVERSIONS] = Conversions(shelf.roots, api.renderer)
        app[library.SCANS] = api.scans
        app[library.HOST] = HostInfo(
            host_id="h", name="box", version="1.0.0", started_s=time.monotonic(), is_discreet=is_discreet
        )
        app[library.WIREGUARD] = _no_tunnel
        async with HttpServer(app, host="127.0.0.1") as server:
            api.base = f"http://127.0.0.1:{server.bound_port}"
            yield api


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """An empty library behind a real server."""
    async with open_shelf(tmp_path) as shelf, serving(shelf) as made:
        yield made


async def _no_tunnel() -> WireguardStatus:
    return WireguardStatus(reason="not_started")
