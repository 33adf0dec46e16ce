"""The routes below /api/v1."""

from __future__ import annotations

from pixlsrve.http.api_v1 import (
    albums,
    auth,
    devices,
    discovery,
    files,
    health,
    host,
    me,
    people,
    photos,
    search,
    settings,
    social,
    vpn,
)
from pixlsrve.http.routing import Route

ROUTES: tuple[Route, ...] = (
    *discovery.ROUTES,
    *albums.ROUTES,
    *search.ROUTES,
    *photos.ROUTES,
    *files.ROUTES,
    *host.ROUTES,
    *health.ROUTES,
    *settings.ROUTES,
    *auth.ROUTES,
    *me.ROUTES,
    *people.ROUTES,
    *social.ROUTES,
    *devices.ROUTES,
    *vpn.ROUTES,
)
