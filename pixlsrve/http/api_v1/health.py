"""The host's health, for admins: what `pixlsrve doctor` says, in the gallery."""

from __future__ import annotations

import msgspec
from aiohttp import web

from pixlsrve.doctor.finding import Finding
from pixlsrve.doctor.reachability import Verdict
from pixlsrve.http import routing
from pixlsrve.http.health_desk import HEALTH_DESK, Failure, Growth
from pixlsrve.http.routing import Access, Rate, Route


class HealthAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong, whether devices get home from outside, what failed lately, and how fast uploads grow."""

    findings: list[Finding]
    reachability: Verdict | None
    failures: list[Failure]
    growth: Growth


async def get_health(request: web.Request) -> web.Response:
    """GET /api/v1/host/health."""
    desk = request.app[HEALTH_DESK]
    return routing.answer(
        HealthAnswer(
            findings=await desk.findings(),
            reachability=None if desk.verdict is None else await desk.verdict(),
            failures=await desk.failures(),
            growth=await desk.growth(),
        )
    )


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/host/health",
        handler=get_health,
        access=Access.ADMIN,
        rate=Rate.OTHER,
        summary="What is wrong and what to do about it, and whether home can be reached from outside.",
        answer=HealthAnswer,
    ),
)
