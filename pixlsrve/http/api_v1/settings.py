"""The host's settings, for admins: seen, and changed where a page may change them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from pixlsrve.http import routing
from pixlsrve.http.keys import PRINCIPAL
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.http.settings_desk import SETTINGS_DESK, SettingsAnswer

_PATH = "/api/v1/host/settings"


class SettingsBody(msgspec.Struct, frozen=True):
    """Body of PATCH /api/v1/host/settings."""

    changes: Annotated[
        dict[str, Any],
        Meta(min_length=1, max_length=100, description="Keys with their new values; null takes a change back."),
    ]


async def get_settings(request: web.Request) -> web.Response:
    """GET /api/v1/host/settings."""
    return routing.answer(await request.app[SETTINGS_DESK].show())


async def change_settings(request: web.Request) -> web.Response:
    """PATCH /api/v1/host/settings: all of the changes, or none."""
    body = routing.body(request, SettingsBody)
    desk = request.app[SETTINGS_DESK]
    return routing.answer(await desk.change(body.changes, request[PRINCIPAL], request.host))


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path=_PATH,
        handler=get_settings,
        access=Access.ADMIN,
        rate=Rate.OTHER,
        summary="The settings in force.",
        answer=SettingsAnswer,
    ),
    Route(
        method="PATCH",
        path=_PATH,
        handler=change_settings,
        access=Access.ADMIN,
        rate=Rate.OTHER,
        summary="Change settings: those that a page may change.",
        body=SettingsBody,
        answer=SettingsAnswer,
        errors=(409, 507),
    ),
)
