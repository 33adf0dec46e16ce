"""The typed keys under which the HTTP layer keeps what belongs to a request or to the application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry

from pixlsrve.events import EventBus
from pixlsrve.http.limits import Verdict
from pixlsrve.model import Principal

if TYPE_CHECKING:
    from pixlsrve.http.credentials import Tickets
    from pixlsrve.http.peers import Peers
    from pixlsrve.http.push import Hub

PRINCIPAL = web.RequestKey("principal", Principal)
"""Who asks. Absent on a public route, and on a LAN route when no token was sent."""

TOKEN = web.RequestKey("token", str)
"""The access token behind a websocket, to look at again while it is open; never logged."""

REQUEST_ID = web.RequestKey("request_id", str)
"""The number of the request, in the log and in `X-Request-Id`."""

QUERY = web.RequestKey("query", msgspec.Struct)
"""The checked query parameters; read them with `routing.query`."""

BODY = web.RequestKey("body", msgspec.Struct)
"""The checked JSON body; read it with `routing.body`."""

VERDICT = web.RequestKey("verdict", Verdict)
"""What the rate limiter decided; absent where the route or its limit is not counted."""

BUS = web.AppKey("bus", EventBus)
"""The events that the websocket hands out."""

HEALTH: web.AppKey[Callable[[], Mapping[str, str]]] = web.AppKey("health", object)  # type: ignore[arg-type]  # a callable
"""The parts that fail just now, each with a sentence for the log; empty when all is well."""

PEERS: web.AppKey[Peers] = web.AppKey("peers", object)  # type: ignore[arg-type]  # Peers; it would import us
"""Says where a request comes from."""

TICKETS: web.AppKey[Tickets] = web.AppKey("tickets", object)  # type: ignore[arg-type]  # Tickets; it would import us
"""One-time tickets for the websocket."""

HUB: web.AppKey[Hub] = web.AppKey("hub", object)  # type: ignore[arg-type]  # the Hub; it imports us
"""The open websockets."""

REGISTRY = web.AppKey("registry", CollectorRegistry)
"""What `/metrics` shows; parts of the program register their figures here."""

OPENAPI = web.AppKey("openapi", bytes)
"""The API's description as JSON."""

DOCS = web.AppKey("docs", bytes)
"""The API's description as a page."""
