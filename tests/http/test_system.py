"""Health, figures, and the API's description with its page."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from pixlsrve.config import Config
from pixlsrve.errors import NotAuthenticated
from pixlsrve.events import EventBus
from pixlsrve.http import application
from pixlsrve.http.routes import ROUTES
from pixlsrve.http.routing import Access
from pixlsrve.model import Principal


async def test_health_names_what_fails(service: Any) -> None:
    """/healthz is open and 200 while all parts work, 503 with their names when not, and keeps the reasons to itself."""
    async with service.get("/healthz", token=None) as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})
        assert "X-RateLimit-Limit" not in response.headers
    service.failing["index"] = "/srv is full"
    async with service.get("/healthz", token=None) as response:
        assert (response.status, await response.json()) == (503, {"status": "failing", "failing": ["index"]})


async def test_metrics_are_for_admins_and_the_host(service: Any) -> None:
    """/metrics answers programs on the host and admins, refuses members of the household from elsewhere."""
    async with service.get("/api/v1/items/a"):
        pass
    async with service.get("/metrics", token=None) as response:
        assert response.status == 200
        text = await response.text()
    assert 'pixlsrve_http_answers_total{method="GET",route="/api/v1/items/{item_id}",status="200"} 1.0' in text
    async with service.get("/metrics") as response:
        assert response.status == 200
    far = {"X-Forwarded-For": "10.0.0.1"}
    async with service.get("/metrics", token="admin-token", headers=far) as response:
        assert response.status == 200
    async with service.get("/metrics", headers=far) as response:
        assert response.status == 403


async def test_description_covers_what_is_checked(service: Any) -> None:
    """The OpenAPI document has every route, with the bounds, defaults and choices that the checks use."""
    async with service.get("/api/v1/openapi.json", token=None) as response:
        assert response.status == 200
        document = await response.json()
    assert document["openapi"].startswith("3.1")
    operation = document["paths"]["/api/v1/things"]["get"]
    parameters = {parameter["name"]: parameter for parameter in operation["parameters"]}
    assert parameters["page"]["schema"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 1000,
        "default": 1,
        "description": "Page number.",
    }
    assert parameters["sort"]["schema"]["enum"] == ["date", "name"]
    assert parameters["order"]["schema"]["enum"] == ["asc", "desc"]
    assert parameters["day"]["schema"] == {"type": "string", "format": "date"}
    assert not any(parameter["required"] for parameter in parameters.values())
    assert operation["security"] == [{"bearer": []}]
    assert {"200", "400", "401"} <= set(operation["responses"])
    assert "429" in document["paths"]["/api/v1/items/{item_id}"]["get"]["responses"]
    note = document["paths"]["/api/v1/notes"]["post"]
    assert note["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Note"}
    assert document["components"]["schemas"]["Note"]["required"] == ["text"]
    assert document["paths"]["/healthz"]["get"]["security"] == []
    references = set(re.findall(r"#/components/schemas/([\w.]+)", str(document)))
    assert references <= set(document["components"]["schemas"])
    ids = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))


class _Assets(HTMLParser):
    """Collects what a page would load, and its fragments."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: set[str] = set()
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.loaded += [values["src"]] if "src" in values else []
        self.loaded += [values["href"]] if tag == "link" else []
        self.links |= {values["href"][1:]} if values.get("href", "").startswith("#") else set()
        self.ids |= {values["id"]} if "id" in values else set()


async def test_page_is_self_contained(service: Any) -> None:
    """/api/docs shows every path, loads nothing, forbids scripts, and its links lead somewhere."""
    async with service.get("/api/docs", token=None) as response:
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        page = await response.text()
    async with service.get("/api/v1/openapi.json", token=None) as response:
        paths = (await response.json())["paths"]
    assert all(f"<code>{path}</code>" in page for path in paths)
    found = _Assets()
    found.feed(page)
    assert found.loaded == []
    assert "<script" not in page
    assert found.links <= found.ids


class _Nobody:
    async def authenticate(self, token: str) -> Principal:
        raise NotAuthenticated("Nobody is known.")


PUBLIC = {
    # the daemon's health, its description, its certificate authority
    *("GET /healthz", "GET /api/v1/openapi.json", "GET /api/docs", "GET /ca", "GET /ca.crt"),
    # pages and their own files
    *("GET /live", "GET /static/live.js", "GET /static/live.css"),
    *("GET /", "GET /login", "GET /pair", "GET /away", "GET /static/away.js", "GET /static/ways.js"),
    *(f"GET /static/{name}" for name in ("common.js", "home.js", "login.js", "pair.js", "pages.css", "icon.svg")),
    # the gallery: one page at many addresses, and its files
    *("GET /albums", "GET /albums/{id}", "GET /search", "GET /map", "GET /photo/{id}", "GET /more", "GET /more/{part}"),
    "GET /gallery/assets/{name}",
    "GET /manifest.webmanifest",
    # the ways in
    *("POST /api/v1/auth/login", "POST /api/v1/auth/pair", "POST /api/v1/auth/token/refresh"),
    *("GET /api/v1/auth/social", "POST /api/v1/auth/social"),
    *("GET /accounts/{provider}/login/", "GET /accounts/{provider}/login/callback/"),
    *("POST /pisync/auth/login", "POST /pisync/auth/register"),
}
ON_THE_LAN = {
    *("GET /api/v1/discovery/info", "GET /api/v1/discovery/mark"),
    # mini-servers without a token, for what the host has just asked them for
    *(f"POST /api/device/{{device_id}}/songs/{{song_id}}/upload{end}" for end in ("", "/")),
    *("POST /api/upload", "POST /api/upload/"),
}
ON_THE_HOST = {"GET /metrics"}


async def test_open_routes_are_a_short_list() -> None:
    """T13: only the routes written here answer without a token, and aiohttp serves nothing that isn't declared."""
    by_access: dict[Access, set[str]] = {access: set() for access in Access}
    for route in ROUTES:
        by_access[route.access].add(f"{route.method} {route.path}")
    assert by_access[Access.PUBLIC] <= PUBLIC
    assert by_access[Access.LAN] <= ON_THE_LAN
    assert by_access[Access.HOST] <= ON_THE_HOST
    app = application.build(ROUTES, Config(data_dir="", storage_dir=""), authenticator=_Nobody(), bus=EventBus())
    served = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource}
    declared = {(route.method, re.sub(r"\{(\w+):[^}]*\}", r"{\1}", route.path)) for route in ROUTES}
    heads = {("HEAD", path) for method, path in declared if method == "GET"}
    assert served == declared | heads | {("*", "/{path}"), ("*", "/")}


def test_routes_are_declared_once() -> None:
    """T13: no method of a path is declared twice, and every summary is a sentence."""
    keys = [(route.method, route.path) for route in ROUTES]
    assert len(keys) == len(set(keys))
    assert all(route.summary.endswith(".") for route in ROUTES)
