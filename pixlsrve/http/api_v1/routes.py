"""The library's routes below /api/v1."""

from __future__ import annotations

from pixlsrve.http.api_v1 import albums, discovery, files, host, photos, search
from pixlsrve.http.routing import Route

ROUTES: tuple[Route, ...] = (
    *discovery.ROUTES,
    *albums.ROUTES,
    *search.ROUTES,
    *photos.ROUTES,
    *files.ROUTES,
    *host.ROUTES,
)
