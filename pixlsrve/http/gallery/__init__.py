"""The gallery: the page that is built from `web/`, at every address that it shows a view for, and its files.

The files hold no data and are the same for everybody; what the page shows, it asks of the API.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable

from aiohttp import hdrs, web

from pixlsrve.errors import NotFound
from pixlsrve.http.library import YEAR
from pixlsrve.http.pages import HOME, origins
from pixlsrve.http.routing import Access, Rate, Route

BUILT, PACKED = "built", ".gz"
_RULES = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "media-src 'self' blob:",
    "connect-src 'self'",
    "manifest-src 'self'",
    "worker-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
_PICTURES = "img-src 'self' data: blob:"
"""Followed by the host's own other origins, which are asked for its mark when this one stops answering."""
EARLY = ("/api/v1/timeline", "/api/v1/photos?sort=date&limit=120")
"""What the first view asks for (`web/src/api/early.ts`), sent while the browser still reads the page's scripts."""
_PRELOAD = ", ".join(f"<{path}>; rel=preload; as=fetch; crossorigin" for path in EARLY)
VIEWS = ("/", "/albums", "/albums/{id}", "/search", "/map", "/photo/{id}", "/more", "/more/{part}")
"""The addresses that the page shows a view for (`web/src/app.tsx`)."""
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}


@dataclass
class File:
    """One built file; most have a gzip form beside them, which `web/build.py` makes."""

    source: Traversable
    packed: bytes | None

    @cached_property
    def body(self) -> bytes:
        """The file as it is, read when the first client wants it so."""
        return self.source.read_bytes()

    def answer(self, request: web.Request, headers: dict[str, str]) -> web.Response:
        """The file as this client takes it."""
        suffix = self.source.name[self.source.name.rfind(".") :]
        media_type = _TYPES.get(suffix, "application/octet-stream")
        headers = {hdrs.CONTENT_TYPE: media_type, hdrs.VARY: hdrs.ACCEPT_ENCODING, **headers}
        if self.packed is None or "gzip" not in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            return web.Response(body=self.body, headers=headers)
        return web.Response(body=self.packed, headers={**headers, hdrs.CONTENT_ENCODING: "gzip"})


def _read_all() -> dict[str, File]:
    """The built files by their path; none where nobody has built the page."""
    folder = resources.files(__name__).joinpath(BUILT)
    return dict(_below(folder, "")) if folder.is_dir() else {}


def _below(folder: Traversable, prefix: str) -> list[tuple[str, File]]:
    found: list[tuple[str, File]] = []
    entries = {entry.name: entry for entry in folder.iterdir()}
    for name, entry in entries.items():
        if entry.is_dir():
            found += _below(entry, f"{prefix}{name}/")
        elif not name.endswith(PACKED):
            packed = entries.get(f"{name}{PACKED}")
            found.append((f"{prefix}{name}", File(entry, None if packed is None else packed.read_bytes())))
    return found


_FILES = _read_all()


async def show(request: web.Request) -> web.StreamResponse:
    """GET /, /albums and so on: the page, which finds out by its address what to show."""
    index = _FILES.get("index.html")
    if index is None:
        return await HOME(request)
    headers = {
        hdrs.CACHE_CONTROL: "no-cache",
        "Content-Security-Policy": "; ".join([*_RULES, " ".join([_PICTURES, *origins(request)])]),
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    if request.path == "/" and request.cookies:
        headers[hdrs.LINK] = _PRELOAD
    return index.answer(request, headers)


async def get_file(request: web.Request) -> web.Response:
    """GET /gallery/assets/{name}: a built file; its name changes with what is in it."""
    file = _FILES.get(f"assets/{request.match_info['name']}")
    if file is None:
        raise NotFound("There is no such file; load the page again.")
    return file.answer(request, {hdrs.CACHE_CONTROL: f"public, {YEAR}, immutable"})


async def get_manifest(request: web.Request) -> web.Response:
    """GET /manifest.webmanifest: how the gallery is installed as an app (W3C Web Application Manifest)."""
    file = _FILES.get("manifest.webmanifest")
    if file is None:
        raise NotFound("The gallery has not been built.")
    return file.answer(request, {hdrs.CACHE_CONTROL: "no-cache"})


def _route(path: str) -> Route:
    return Route(
        method="GET",
        path=path,
        handler=show,
        access=Access.PUBLIC,
        rate=Rate.FREE,
        summary="The gallery.",
        content_type="text/html",
    )


ROUTES: tuple[Route, ...] = (
    *(_route(path) for path in VIEWS),
    Route(
        method="GET",
        path="/manifest.webmanifest",
        handler=get_manifest,
        access=Access.PUBLIC,
        rate=Rate.FREE,
        summary="How the gallery is installed as an app.",
        content_type="application/manifest+json",
    ),
    Route(
        method="GET",
        path="/gallery/assets/{name}",
        handler=get_file,
        access=Access.PUBLIC,
        rate=Rate.FREE,
        summary="A file of the gallery.",
        content_type="*/*",
    ),
)
