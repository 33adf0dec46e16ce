"""The typed keys under which the HTTP layer keeps what belongs to a request or to the application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry

from pixlsrve.events import EventBus
from pixlsrve.http.later import Later
from pixlsrve.http.limits import Verdict
from pixlsrve.model import Principal

if TYPE_CHECKING:
    from pixlsrve.http.credentials import Callers, Credential, Tickets
    from pixlsrve.http.express import Express
    from pixlsrve.http.https import Https
    from pixlsrve.http.origins import Origins
    from pixlsrve.http.peers import Peers
    from pixlsrve.http.push import Hub
    from pixlsrve.http.running import Running

PRINCIPAL = web.RequestKey("principal", Principal)
"""Who asks. Absent on a public route, and on a LAN route when no token was sent."""

CREDENTIAL: web.RequestKey[Credential] = web.RequestKey("credential", object)  # type: ignore[arg-type]  # as below
"""What proves who asks, where a ticket stood in for it; never logged."""

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

CALLERS: web.AppKey[Callers] = web.AppKey("callers", object)  # type: ignore[arg-type]  # Callers; it would import us
"""Finds out who asks."""

ORIGINS: web.AppKey[Origins] = web.AppKey("origins", object)  # type: ignore[arg-type]  # Origins; it would import us
"""Says whose page asks."""

HTTPS: web.AppKey[Https] = web.AppKey("https", object)  # type: ignore[arg-type]  # Https; it would import us
"""The HTTPS listener; absent where nobody set one up."""

EXPRESS: web.AppKey[Express] = web.AppKey("express", object)  # type: ignore[arg-type]  # Express; it would import us
"""The short way for cached thumbnails."""

HUB: web.AppKey[Hub] = web.AppKey("hub", object)  # type: ignore[arg-type]  # the Hub; it imports us
"""The open websockets."""

RUNNING: web.AppKey[Running] = web.AppKey("running", object)  # type: ignore[arg-type]  # Running; it imports us
"""The requests that are being answered."""

COUNT_MALFORMED: web.AppKey[Callable[[str], Mapping[str, str]]] = web.AppKey("count_malformed", object)  # type: ignore[arg-type]  # as above
"""Counts what an address sent and was no HTTP request; the rate-limit headers of the answer."""

REGISTRY = web.AppKey("registry", CollectorRegistry)
"""What `/metrics` shows; parts of the program register their figures here."""

OPENAPI = web.AppKey("openapi", Later)
"""The API's description as JSON."""

DOCS = web.AppKey("docs", Later)
"""The API's description as a page."""
