"""The typed keys under which the HTTP layer keeps what belongs to a request or to the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from pixlsrve.events import EventBus
from pixlsrve.model import Principal

if TYPE_CHECKING:
    from pixlsrve.http.routing import Route

PRINCIPAL = web.RequestKey("principal", Principal)
"""Who asks. Absent on a public route, and on a LAN route when no token was sent."""

REQUEST_ID = web.RequestKey("request_id", str)
"""The number of the request, in the log and in `X-Request-Id`."""

ROUTE: web.RequestKey[Route] = web.RequestKey("route", object)  # type: ignore[arg-type]  # a Route; it imports us
"""The declaration of the route that was matched; absent where none was."""

QUERY = web.RequestKey("query", msgspec.Struct)
"""The checked query parameters; read them with `routing.query`."""

BODY = web.RequestKey("body", msgspec.Struct)
"""The checked JSON body; read it with `routing.body`."""

IS_DIRECT = web.RequestKey("is_direct", bool)
"""Whether the request came without any proxy's headers (THREATS T26)."""

BUS = web.AppKey("bus", EventBus)
"""The events that the websocket hands out."""
