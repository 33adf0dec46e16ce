"""T27, T28: browsers that are signed in by a cookie, and what foreign pages can't do with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from pixlsrve.config import Config, HttpConfig, RateLimitsConfig
from pixlsrve.errors import NotAuthenticated
from pixlsrve.events import EventBus
from pixlsrve.http import application, cookies, keys, routing
from pixlsrve.http.hosts import Hosts
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.http.server import HttpServer
from pixlsrve.model import Principal, Role

PLAIN, SECURE = "pixlsrve_session", "__Host-pixlsrve_session"
ANNA = Principal(id="account:1", role=Role.MEMBER, account_id="a-1")


class Sessions:
    """One browser that is signed in, until it isn't."""

    def __init__(self) -> None:
        self.live = {"value": ANNA}

    def find(self, value: str) -> Principal:
        if value not in self.live:
            raise NotAuthenticated("You are not signed in.")
        return self.live[value]

    async def authenticate(self, token: str) -> Principal:
        if token != "token":
            raise NotAuthenticated("The token is not valid.")
        return ANNA


async def who(request: web.Request) -> web.Response:
    principal = request.get(keys.PRINCIPAL)
    return routing.answer({"who": principal.id if principal else None})


async def sign_in(request: web.Request) -> web.Response:
    response = routing.answer({"browser": cookies.is_browser(request)})
    if cookies.is_browser(request):
        cookies.set_session(request, response, "value")
    return response


async def pour(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(65_536))


def _route(
    method: str, path: str, handler: routing.Handler, access: Access = Access.MEMBER, rate: Rate = Rate.FREE
) -> Route:
    return Route(method=method, path=path, handler=handler, access=access, rate=rate, summary="For tests.")


ROUTES = (
    _route("GET", "/api/v1/who", who),
    _route("POST", "/api/v1/who", who),
    _route("GET", "/api/v1/pour", pour),
    _route("POST", "/api/v1/near", who, Access.LAN),
    _route("POST", "/api/v1/login", sign_in, Access.PUBLIC),
    *(_route("POST", f"/api/v1/counted/{access.value}", who, access, Rate.OTHER) for access in Access),
)


class Site:
    """A running server, what it believes, and a client."""

    def __init__(self, server: HttpServer, app: web.Application, client: aiohttp.ClientSession, sessions: Sessions):
        self.app, self.client, self.sessions = app, client, sessions
        self.origin = f"http://127.0.0.1:{server.bound_port}"

    async def ask(self, method: str, path: str, **headers: str) -> tuple[int, Any, list[str]]:
        """Status, JSON answer, cookies that are set."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.request(method, self.origin + path, headers=named) as response:
            return response.status, await response.json(), response.headers.getall("Set-Cookie", [])


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """The routes above, with loopback as a trusted proxy."""
    http = HttpConfig(trusted_proxies=["127.0.0.1"], public_url="https://photos.example.org")
    config = Config(data_dir="", storage_dir="", http=http, rate_limits=RateLimitsConfig())
    sessions = Sessions()
    hosts = Hosts(application.known_hosts(config), names=["box"])
    app = application.build(ROUTES, config, authenticator=sessions, bus=EventBus(), sessions=sessions, hosts=hosts)
    async with HttpServer(app, host="127.0.0.1") as server, aiohttp.ClientSession() as client:
        yield Site(server, app, client, sessions)


async def test_cookie_is_a_credential(site: Site) -> None:
    """A signed-in browser reads with its cookie, and with nothing else of the name or value."""
    assert await site.ask("GET", "/api/v1/who", Cookie=f"a=b; {PLAIN}=value") == (200, {"who": "account:1"}, [])
    for cookie in (f"{PLAIN}=other", f"{PLAIN}=", "value", f"{SECURE}=value", f"{PLAIN}=value; {PLAIN}=other"):
        assert (await site.ask("GET", "/api/v1/who", Cookie=cookie))[0] == 401
    site.sessions.live.clear()
    assert (await site.ask("GET", "/api/v1/who", Cookie=f"{PLAIN}=value"))[0] == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "OWN"}, 200),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "OWN/"}, 403),
        ({"Origin": "OWN.evil.example"}, 403),
        ({"Origin": "https://evil.example", "Sec_Fetch_Site": "same-origin"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "none"}, 403),
    ],
)
async def test_change_by_cookie_needs_our_page(site: Site, headers: dict[str, str], status: int) -> None:
    """T28: a cookie changes something only for a page of exactly our origin."""
    sent = {name: value.replace("OWN", site.origin) for name, value in headers.items()}
    assert (await site.ask("POST", "/api/v1/who", Cookie=f"{PLAIN}=value", **sent))[0] == status


async def test_token_needs_no_origin(site: Site) -> None:
    """A bearer token is no ambient authority: programs need no Origin, and a cookie beside it means nothing."""
    token = {"Authorization": "Bearer token"}
    assert (await site.ask("POST", "/api/v1/who", **token))[0] == 200
    assert (await site.ask("POST", "/api/v1/who", **token, Cookie=f"{PLAIN}=other"))[0] == 200
    assert (await site.ask("POST", "/api/v1/who", Authorization="Bearer bad", Cookie=f"{PLAIN}=value"))[0] == 401


async def test_foreign_page_cannot_use_open_doors(site: Site) -> None:
    """T28: what needs no credential near the host is closed to foreign pages all the same."""
    for path in ("/api/v1/near", "/api/v1/login"):
        status, answer, _ = await site.ask("POST", path, Origin="https://evil.example")
        assert (status, answer["error"]["details"]["reason"]) == (403, "foreign_origin")
        assert (await site.ask("POST", path))[0] == 200


@pytest.mark.parametrize("access", [Access.PUBLIC, Access.LAN, Access.MEMBER])
async def test_foreign_pages_are_counted(site: Site, access: Access) -> None:
    """T31, DESIGN 4: what is refused for its origin counts for the address, and carries the limit's headers."""
    left = []
    for _ in range(2):
        headers = {"Origin": "https://evil.example", "Cookie": f"{PLAIN}=value"}
        async with site.client.post(f"{site.origin}/api/v1/counted/{access.value}", headers=headers) as answer:
            assert answer.status == 403
            assert {"X-RateLimit-Limit", "X-RateLimit-Reset"} <= answer.headers.keys()
            left.append(int(answer.headers["X-RateLimit-Remaining"]))
    assert left[1] == left[0] - 1


async def test_browser_gets_a_cookie_that_scripts_never_see(site: Site) -> None:
    """T28: a page of ours that signs in gets an HttpOnly, SameSite=Strict cookie; a program gets none."""
    assert (await site.ask("POST", "/api/v1/login"))[1:] == ({"browser": False}, [])
    _, _, (cookie,) = await site.ask("POST", "/api/v1/login", Origin=site.origin)
    name, *attributes = cookie.split("; ")
    assert name == f"{PLAIN}=value"
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=2592000"} == set(attributes)


async def test_proxy_that_ends_tls_is_believed(site: Site) -> None:
    """Behind a trusted proxy the public origin counts, and the cookie is the secure one."""
    proxied = {
        "X_Forwarded_Proto": "https",
        "X_Forwarded_Host": "photos.example.org",
        "X_Forwarded_For": "203.0.113.9",
    }
    public = "https://photos.example.org"
    _, _, (cookie,) = await site.ask("POST", "/api/v1/login", Origin=public, **proxied)
    assert cookie.startswith(f"{SECURE}=value; ")
    assert "Secure" in cookie.split("; ")
    assert (await site.ask("POST", "/api/v1/who", Cookie=f"{SECURE}=value", Origin=public, **proxied))[0] == 200
    assert (await site.ask("GET", "/api/v1/who", Cookie=f"{PLAIN}=value", **proxied))[0] == 401
    proxied["X_Forwarded_Host"] = "evil.example"
    assert (await site.ask("GET", "/api/v1/who", Cookie=f"{SECURE}=value", **proxied))[0] == 421


async def test_withdrawn_session_cuts_what_is_running(site: Site) -> None:
    """T7: an answer that is being sent ends when its credential does; that of another credential goes on."""
    mine = {"Cookie": f"{PLAIN}=value"}
    other = {"Authorization": "Bearer token"}
    async with (
        site.client.get(site.origin + "/api/v1/pour", headers=mine) as cut,
        site.client.get(site.origin + "/api/v1/pour", headers=other) as kept,
    ):
        await cut.content.readexactly(100_000)
        await kept.content.readexactly(100_000)
        site.sessions.live.clear()
        await site.app[keys.RUNNING].recheck()
        with pytest.raises(aiohttp.ClientError):
            await _drain(cut)
        await kept.content.readexactly(10_000_000)


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read to the end. Raises ClientError where it is broken off."""
    async with asyncio.timeout(10):
        while await response.content.readany():
            pass
