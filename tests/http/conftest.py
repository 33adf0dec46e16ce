"""A real server with a few routes of every kind, and clients for it."""

# Annotations are real here: msgspec looks strings up by the module's name, which every conftest shares.
import asyncio
import enum
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date
from typing import Annotated, Any, Literal

import aiohttp
import msgspec
import pytest
from aiohttp import web
from msgspec import Meta

from pixlsrve import errors
from pixlsrve.config import Config, HttpConfig, RateLimitsConfig
from pixlsrve.events import EventBus
from pixlsrve.http import application, keys, routing
from pixlsrve.http.hosts import Hosts
from pixlsrve.http.routes import ROUTES
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.http.server import HttpServer
from pixlsrve.model import Principal, Role

MEMBER, ADMIN, ONE_ROOT = "member-token", "admin-token", "one-root-token"
PRINCIPALS = {
    MEMBER: Principal(id="device:1", role=Role.MEMBER, device_id="device-1"),
    ADMIN: Principal(id="script:2", role=Role.ADMIN),
    ONE_ROOT: Principal(id="account:3", role=Role.MEMBER, account_id="account-3", roots=frozenset({1})),
}


class KnownTokens:
    """An authenticator whose tokens are written down; `revoked` ones were valid once."""

    def __init__(self) -> None:
        self.revoked: set[str] = set()

    async def authenticate(self, token: str) -> Principal:
        if token in self.revoked:
            raise errors.DeviceRevoked("This device's access was withdrawn.")
        if token not in PRINCIPALS:
            raise errors.NotAuthenticated("The token is not valid.")
        return PRINCIPALS[token]


class Order(enum.StrEnum):
    ASC = "asc"
    DESC = "desc"


class ListQuery(msgspec.Struct, frozen=True):
    """What a list takes."""

    page: Annotated[int, Meta(ge=1, le=1_000, description="Page number.")] = 1
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    sort: Literal["name", "date"] = "name"
    order: Order | None = None
    day: date | None = None
    near: float | None = None
    q: Annotated[str, Meta(max_length=10)] | None = None


class Note(msgspec.Struct, frozen=True):
    """A body, and an answer."""

    text: str
    number: int = 0


class Flags(msgspec.Struct, frozen=True):
    """A body that may be missing."""

    full: bool = False


async def listing(request: web.Request) -> web.Response:
    return routing.answer(routing.query(request, ListQuery))


async def item(request: web.Request) -> web.Response:
    return routing.answer({"id": request.match_info["item_id"], "who": request[keys.PRINCIPAL].id})


async def note(request: web.Request) -> web.Response:
    return routing.answer(routing.body(request, Note))


async def flags(request: web.Request) -> web.Response:
    return routing.answer(routing.body(request, Flags))


async def open_info(request: web.Request) -> web.Response:
    principal = request.get(keys.PRINCIPAL)
    return routing.answer({"who": principal.id if principal else None})


async def fail(request: web.Request) -> web.Response:
    raise {
        "input": errors.InvalidInput("No.", parameter="x"),
        "path": errors.PathTraversal("No."),
        "permission": errors.NotPermitted("No."),
        "missing": errors.NotFound("No."),
        "conflict": errors.Conflict("No."),
        "large": errors.TooLarge("No."),
        "later": errors.Unavailable("No.", reason="offline", retry_after_s=7),
        "full": errors.StorageFull("No."),
        "storage": errors.StorageError("No."),
        "bug": ValueError("SELECT secret FROM /srv/photos"),
        "range": web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": "bytes */5"}),
        "timeout": TimeoutError(),
    }[request.match_info["how"]]


async def broken_stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "10"})
    await response.prepare(request)
    await response.write(b"half")
    raise ValueError("the disk went away")


def _route(method: str, path: str, handler: routing.Handler, access: Access = Access.MEMBER, **more: Any) -> Route:
    given = {"rate": Rate.FREE, "summary": "For tests.", **more}
    return Route(method=method, path=path, handler=handler, access=access, **given)


TEST_ROUTES = (
    _route("GET", "/api/v1/things", listing, query=ListQuery, answer=ListQuery),
    _route("GET", "/api/v1/items/{item_id}", item, rate=Rate.PHOTOS, answer=dict[str, str]),
    _route("POST", "/api/v1/notes", note, body=Note, answer=Note, rate=Rate.OTHER),
    _route("POST", "/api/v1/flags", flags, body=Flags, answer=Flags),
    _route("GET", "/api/v1/fail/{how}", fail),
    _route("GET", "/api/v1/open", open_info, Access.LAN),
    _route("GET", "/api/v1/admin", open_info, Access.ADMIN),
    _route("GET", "/api/v1/public", open_info, Access.PUBLIC, rate=Rate.AUTH),
    _route("GET", "/api/v1/stream", broken_stream, rate=Rate.OTHER),
    _route("GET", "/pisync/fail/{how}", fail),
    _route("GET", "/media_get/fail/{how}", fail),
)


class Service:
    """A running server and a client that talks to it."""

    def __init__(self, server: HttpServer, app: web.Application, client: aiohttp.ClientSession) -> None:
        self.server = server
        self.app = app
        self.client = client
        self.tokens: KnownTokens
        self.bus = app[keys.BUS]
        self.failing: dict[str, str] = {}
        self.base = f"http://127.0.0.1:{server.bound_port}"

    def request(self, method: str, path: str, *, token: str | None = MEMBER, **more: Any) -> Any:
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers.setdefault("Authorization", f"Bearer {token}")
        return self.client.request(method, self.base + path, headers=headers, **more)

    def get(self, path: str, **more: Any) -> Any:
        return self.request("GET", path, **more)

    async def raw(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send bytes as they are; status, headers (lower-case names) and body of the answer, after which it closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.bound_port)
        try:
            writer.write(request)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:-2])}
            body = await asyncio.wait_for(reader.readexactly(int(headers.get("content-length", 0))), 10)
        finally:
            writer.close()
        return int(lines[0].split()[1]), headers, body


@asynccontextmanager
async def running(
    *,
    routes: Sequence[Route] = (*ROUTES, *TEST_ROUTES),
    http: HttpConfig | None = None,
    limits: RateLimitsConfig | None = None,
) -> AsyncIterator[Service]:
    """The test routes on a free port of the loopback interface."""
    config = Config(data_dir="", storage_dir="", http=http or HttpConfig(), rate_limits=limits or RateLimitsConfig())
    tokens = KnownTokens()
    hosts = Hosts(config.http.hosts, names=["box"])
    app = application.build(routes, config, authenticator=tokens, bus=EventBus(), hosts=hosts)
    failing: dict[str, str] = {}
    app[keys.HEALTH] = lambda: failing
    async with HttpServer(app, host="127.0.0.1") as server, aiohttp.ClientSession() as client:
        service = Service(server, app, client)
        service.tokens, service.failing = tokens, failing
        yield service


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """The test routes with the default settings."""
    async with running() as made:
        yield made


@pytest.fixture
def serve() -> Callable[..., AbstractAsyncContextManager[Service]]:
    """Starts the test routes with other settings."""
    return running
