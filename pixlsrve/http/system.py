"""What machines ask of the daemon itself: `/healthz` for supervisors, `/metrics` for Prometheus."""

from __future__ import annotations

from typing import Literal

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pixlsrve.http import keys, routing
from pixlsrve.http.routing import Access, Rate, Route


class Health(msgspec.Struct, frozen=True):
    """Whether all parts work; those that don't by name (the reasons are for `pixlsrve status`)."""

    status: Literal["ok", "failing"]
    failing: list[str] = []


async def get_health(request: web.Request) -> web.Response:
    """GET /healthz: 200 when all parts work, else 503."""
    failing = sorted(request.app[keys.HEALTH]())
    if failing:
        return routing.answer(Health("failing", failing), status=503, headers=routing.NO_STORE)
    return routing.answer({"status": "ok"}, headers=routing.NO_STORE)


async def get_metrics(request: web.Request) -> web.Response:
    """GET /metrics: figures in Prometheus's text format."""
    headers = {"Content-Type": CONTENT_TYPE_LATEST, **routing.NO_STORE}
    return web.Response(body=generate_latest(request.app[keys.REGISTRY]), headers=headers)


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/healthz",
        handler=get_health,
        access=Access.PUBLIC,
        rate=Rate.FREE,
        summary="Whether the daemon works; 503 names the parts that fail.",
        answer=Health,
        errors=(503,),
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=get_metrics,
        access=Access.HOST,
        rate=Rate.FREE,
        summary="Figures for Prometheus.",
        content_type="text/plain",
    ),
)
