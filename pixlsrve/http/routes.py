"""The whole route table: what the daemon answers, door by door."""

from __future__ import annotations

from pixlsrve.http import authority_page, docs_page, openapi, pages, pisync, push, social, system
from pixlsrve.http.api_v1 import routes as api_v1
from pixlsrve.http.routing import Route

ROUTES: tuple[Route, ...] = (
    *system.ROUTES,
    *api_v1.ROUTES,
    *push.ROUTES,
    *openapi.ROUTES,
    *docs_page.ROUTES,
    *authority_page.ROUTES,
    *pages.ROUTES,
    *pisync.ROUTES,
    *social.ROUTES,
)
