"""The gallery: the page that is built from `web/`, at every address that it shows a view for, and its files.

The files hold no data and are the same for everybody; what the page shows, it asks of the API.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from aiohttp import hdrs, web

from pixlsrve.errors import NotFound
from pixlsrve.http.library import YEAR
from pixlsrve.http.pages import HOME, origins
from pixlsrve.http.routing import Access, Rate, Route

BUILT = "built"
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


@dataclass(frozen=True)
class File:
    """One built file, and its gzip form."""

    type: str
    body: bytes
    packed: bytes

    @classmethod
    def read(cls, source: Traversable) -> File:
        """The file, read and packed once."""
        body = source.read_bytes()
        suffix = source.name[source.name.rfind(".") :]
        return cls(_TYPES.get(suffix, "application/octet-stream"), body, gzip.compress(body, 9, mtime=0))

    def answer(self, request: web.Request, headers: dict[str, str]) -> web.Response:
        """The file as this client takes it."""
        headers = {hdrs.CONTENT_TYPE: self.type, hdrs.VARY: hdrs.ACCEPT_ENCODING, **headers}
        if "gzip" not in request.headers.get(hdrs.ACCEPT_ENCODING, "") or len(self.packed) >= len(self.body):
            return web.Response(body=self.body, headers=headers)
        return web.Response(body=self.packed, headers={**headers, hdrs.CONTENT_ENCODING: "gzip"})


def _read_all() -> dict[str, File]:
    """The built files by their path; none where nobody has built the page."""
    folder = resources.files(__name__).joinpath(BUILT)
    return dict(_below(folder, "")) if folder.is_dir() else {}


def _below(folder: Traversable, prefix: str) -> list[tuple[str, File]]:
    found: list[tuple[str, File]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _below(entry, f"{prefix}{entry.name}/")
        else:
            found.append((f"{prefix}{entry.name}", File.read(entry)))
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
