"""T13: who may call what: every route of the real table x every kind of caller x right and wrong Host and Origin."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from pixlsrve.config import Config, RateLimitsConfig
from pixlsrve.http import application, keys, library, routing
from pixlsrve.http.credentials import Credential
from pixlsrve.http.hosts import Hosts
from pixlsrve.http.routes import ROUTES
from pixlsrve.http.routing import Access, Route
from pixlsrve.http.server import HttpServer
from pixlsrve.model import Role, Subject, SubjectKind
from tests.auth.kit import open_kit

DECLARED: dict[Access, frozenset[str]] = {
    Access.PUBLIC: frozenset(
        {
            "GET /healthz",
            "POST /api/v1/auth/pair",
            "POST /api/v1/auth/token/refresh",
            "POST /api/v1/auth/login",
            "POST /api/v1/auth/social",
            "GET /api/v1/auth/social",
            "GET /api/v1/openapi.json",
            "GET /api/docs",
            "GET /ca.crt",
            "GET /ca",
            "GET /",
            "GET /login",
            "GET /pair",
            "GET /static/home.js",
            "GET /static/login.js",
            "GET /static/pair.js",
            "GET /live",
            "GET /static/live.js",
            "GET /static/live.css",
            "GET /static/common.js",
            "GET /static/ways.js",
            "GET /static/away.js",
            "GET /away",
            "GET /static/pages.css",
            "GET /static/icon.svg",
            "GET /albums",
            "GET /albums/{id}",
            "GET /search",
            "GET /map",
            "GET /photo/{id}",
            "GET /more",
            "GET /more/{part}",
            "GET /gallery/assets/{name}",
            "GET /manifest.webmanifest",
            "POST /pisync/auth/register",
            "POST /pisync/auth/login",
            "GET /accounts/{provider}/login/",
            "GET /accounts/{provider}/login/callback/",
        }
    ),
    Access.LAN: frozenset(
        {
            "GET /api/v1/discovery/info",
            "POST /api/device/{device_id}/songs/{song_id}/upload/",
            "POST /api/device/{device_id}/songs/{song_id}/upload",
            "POST /api/upload/",
            "POST /api/upload",
            "GET /api/v1/discovery/mark",
        }
    ),
    Access.MEMBER: frozenset(
        {
            "GET /api/v1/albums",
            "GET /api/v1/albums/{id}",
            "GET /api/v1/albums/{id}/photos",
            "GET /api/v1/photos/search",
            "GET /api/v1/search/suggest",
            "GET /api/v1/photos",
            "GET /api/v1/photos/map",
            "GET /api/v1/photos/{id}",
            "GET /api/v1/timeline",
            "GET /api/v1/duplicates",
            "GET /api/v1/photos/{id}/thumbnail",
            "GET /api/v1/photos/{id}/full",
            "GET /api/v1/photos/{id}/live",
            "GET /api/v1/host/status",
            "POST /api/v1/host/scan",
            "GET /api/v1/host/quarantine",
            "POST /api/v1/auth/revoke",
            "POST /api/v1/auth/logout",
            "POST /api/v1/auth/password",
            "GET /api/v1/devices",
            "GET /api/v1/auth/me",
            "GET /api/v1/vpn/config",
            "POST /api/v1/vpn/status",
            "GET /api/v1/ws",
            "POST /api/v1/ws/ticket",
            "GET /pisync/devices",
            "GET /pisync/devices/logs",
            "GET /pisync/devices/{id}",
            "POST /pisync/devices/{id}/sync",
            "POST /api/device/{device_id}/register/",
            "POST /api/device/{device_id}/register",
            "POST /api/device/{device_id}/songs/",
            "POST /api/device/{device_id}/songs",
            "GET /api/device/{device_id}/songs/",
            "GET /api/device/{device_id}/songs",
            "GET /api/device/{device_id}/songs/{song_id}/stream/",
            "GET /api/device/{device_id}/songs/{song_id}/stream",
            "GET /media/{kind}/{song_id}/{name}",
            "OPTIONS /api/v1/uploads",
            "POST /api/v1/uploads",
            "OPTIONS /api/v1/uploads/{id}",
            "HEAD /api/v1/uploads/{id}",
            "PATCH /api/v1/uploads/{id}",
            "POST /api/v1/uploads/{id}",
            "DELETE /api/v1/uploads/{id}",
            "PUT /image/{filename}",
            "GET /image/{sha256}",
            "GET /image/sha256/{sha256}",
            "GET /list",
            "GET /thumbnail/{sha256}",
            "POST /media_post/",
            "GET /media_get/",
        }
    ),
    Access.ADMIN: frozenset(
        {
            "POST /api/v1/auth/pairing-windows",
            "POST /api/v1/vpn/revoke",
            "POST /api/v1/vpn/restore",
            "GET /api/v1/users",
            "POST /api/v1/users",
            "POST /api/v1/users/{user_id}/password",
            "POST /api/v1/users/{user_id}/library",
            "DELETE /api/v1/users/{user_id}",
            "GET /api/v1/invitations",
            "POST /api/v1/invitations",
            "DELETE /api/v1/invitations/{number}",
            "GET /api/v1/host/health",
            "GET /api/v1/host/settings",
            "PATCH /api/v1/host/settings",
        }
    ),
    Access.HOST: frozenset(
        {
            "GET /metrics",
        }
    ),
}
"""Who may call each route. A new route fails here until somebody has decided about it."""

NOBODY = ("nothing", "junk", "expired", "revoked", "refresh token", "session as token", "ticket as token")
"""Callers without a credential that counts."""
SOMEBODY = ("member", "other owner", "admin", "browser")
FOREIGN = "https://evil.example"


async def admitted(request: web.Request) -> web.Response:
    """Stands in for every handler: the matrix is about who gets as far as that."""
    return routing.answer({"admitted": True})


def bare(route: Route) -> Route:
    """The route's declaration without what it does."""
    return dataclasses.replace(route, handler=admitted, query=None, body=None)


class NothingHeld:
    """A cache of thumbnails that holds none."""

    def held(self, *_: object, **__: object) -> None:
        return None


class Callers:
    """A server with the whole table, and a header for each kind of caller."""

    def __init__(self, base: str, client: aiohttp.ClientSession, headers: dict[str, dict[str, str]]) -> None:
        self.base, self.client, self.headers = base, client, headers

    async def status(self, route: Route, caller: str, further: dict[str, str]) -> int:
        """What the caller is answered."""
        url = self.base + re.sub(r"\{[^}]*\}", "7b1d2c9e-0000-4000-8000-000000000000", route.path)
        headers = {**self.headers[caller], **further}
        async with self.client.request(route.method, url, headers=headers, allow_redirects=False) as response:
            await response.read()
            return response.status


@pytest.fixture
async def callers(tmp_path: Path) -> AsyncIterator[Callers]:
    """Real identities behind the real gate."""
    off = RateLimitsConfig(**dict.fromkeys(RateLimitsConfig.__struct_fields__, "off"))
    config = Config(data_dir="", storage_dir="", rate_limits=off)
    async with open_kit(tmp_path, durability="OFF") as kit:
        identity = kit.identity
        app = application.build(
            [bare(route) for route in ROUTES],
            config,
            authenticator=identity.authenticator,
            sessions=identity.sessions,
            bus=kit.bus,
            hosts=Hosts([], names=["box"]),
        )
        app[library.THUMBNAILS] = NothingHeld()  # type: ignore[misc]  # a stand-in, so that every request takes the long way
        await kit.add("anna")
        _, expired = await kit.pair("Old phone")
        kit.time.pass_s(3_601)
        _, phone = await kit.pair("Phone")
        _, other = await kit.pair("Another's phone")
        _, admin = await kit.pair("Admin's phone", role=Role.ADMIN)
        lost, gone = await kit.pair("Lost phone")
        await identity.revocation.revoke_device(lost.id)
        account = identity.accounts.named("anna")
        session = await identity.sessions.create(Subject(SubjectKind.ACCOUNT, account.id))
        ticket = app[keys.TICKETS].issue(Credential(phone.access_token))
        tokens = {
            "junk": "junk",
            "expired": expired.access_token,
            "revoked": gone.access_token,
            "refresh token": phone.refresh_token,
            "session as token": session,
            "ticket as token": ticket,
            "member": phone.access_token,
            "other owner": other.access_token,
            "admin": admin.access_token,
        }
        headers = {name: {"Authorization": f"Bearer {token}"} for name, token in tokens.items()}
        headers |= {"nothing": {}, "browser": {"Cookie": f"pixlsrve_session={session}"}}
        async with HttpServer(app, host="127.0.0.1") as server, aiohttp.ClientSession() as client:
            yield Callers(f"http://127.0.0.1:{server.bound_port}", client, headers)


def expected(route: Route, caller: str, origin: str, is_near: bool) -> int:
    """What DESIGN sections 3 and 9 and THREATS T13, T14, T16, T28 say."""
    is_change = route.method not in {"GET", "HEAD", "OPTIONS"}
    access = route.access
    needs_nobody = access is Access.PUBLIC or (is_near and access in {Access.LAN, Access.HOST})
    if caller == "browser" and access is not Access.PUBLIC and is_change and origin != "own":
        return 403
    if caller in NOBODY or access is Access.PUBLIC:
        if not needs_nobody:
            return 401
        return 403 if is_change and origin == "foreign" else 200
    if access in {Access.ADMIN, Access.HOST} and caller != "admin":
        return 200 if is_near and access is Access.HOST else 403
    return 200


def test_every_route_is_declared() -> None:
    """T13: the table is what somebody has decided, route by route."""
    found: dict[Access, set[str]] = {access: set() for access in Access}
    for route in ROUTES:
        found[route.access].add(f"{route.method} {route.path}")
    assert {access: frozenset(paths) for access, paths in found.items()} == DECLARED


async def test_every_cell(callers: Callers) -> None:
    """T13, T14, T16, T28: each kind of caller gets into exactly the routes that are for it."""
    origins = {"none": {}, "own": {"Origin": callers.base}, "foreign": {"Origin": FOREIGN}}
    wrong = []
    cells = itertools.product(ROUTES, (*NOBODY, *SOMEBODY), origins, (True, False))
    for route, caller, origin, is_near in cells:
        further = origins[origin] | ({} if is_near else {"Via": "1.1 somewhere"})
        status = await callers.status(route, caller, further)
        if status != expected(route, caller, origin, is_near):
            wrong.append((f"{route.method} {route.path}", caller, origin, is_near, status))
    assert not wrong


async def test_wrong_host_gets_nothing_anywhere(callers: Callers) -> None:
    """T27: under a name that isn't ours nobody gets anything, whatever he holds."""
    for route, caller in itertools.product(ROUTES, ("nothing", "member", "admin", "browser")):
        further = {"Host": "evil.example", "Origin": "http://evil.example"}
        assert await callers.status(route, caller, further) == 421, (route.path, caller)


async def test_no_get_changes_state() -> None:
    """T28: what browsers send without being asked changes nothing, so that no GET needs protection."""
    assert {route.method for route in ROUTES} <= {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"}
    changing = re.compile(r"/(revoke|refresh|restore|logout|scan|pair|ticket)$")
    assert [route.path for route in ROUTES if route.method == "GET" and changing.search(route.path)] == ["/pair"]
