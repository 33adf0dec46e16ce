"""The web application: the declared routes behind the gate, and nothing that isn't declared (THREATS T13)."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from pixlsrve.config import Config
from pixlsrve.events import EventBus
from pixlsrve.http import docs_page, keys, openapi
from pixlsrve.http.credentials import Authenticator, Tickets
from pixlsrve.http.hosts import Hosts
from pixlsrve.http.limits import RateLimiter, parse_networks
from pixlsrve.http.metrics import Tally, new_registry
from pixlsrve.http.middleware import Gate, add_headers
from pixlsrve.http.peers import Peers
from pixlsrve.http.push import Hub
from pixlsrve.http.routing import Handler, Route

BODY_MAX_BYTES = 1024 * 1024
"""Of bodies that are read whole: JSON. Uploads are streamed and have limits of their own."""


def build(
    routes: Sequence[Route], config: Config, *, authenticator: Authenticator, bus: EventBus, hosts: Hosts | None = None
) -> web.Application:
    """The application that serves `routes`; the caller adds its services under their keys before it is started.

    Present by then: PEERS, TICKETS, HUB, BUS, REGISTRY, OPENAPI and DOCS. Raises ConfigError for bad proxies or limits.
    """
    tally, tickets = Tally(), Tickets()
    peers = Peers(parse_networks(config.http.trusted_proxies))
    gate = Gate(
        authenticator=authenticator,
        limiter=RateLimiter(config.rate_limits),
        hosts=hosts or Hosts(config.http.hosts),
        peers=peers,
        tickets=tickets,
        tally=tally,
    )
    app = web.Application(client_max_size=BODY_MAX_BYTES)
    app.on_response_prepare.append(add_headers)
    app[keys.BUS], app[keys.PEERS], app[keys.TICKETS] = bus, peers, tickets
    app[keys.REGISTRY] = new_registry(tally)
    app[keys.HUB] = Hub(bus, authenticator)
    app.on_shutdown.append(_close_websockets)
    document = openapi.document(routes)
    app[keys.OPENAPI] = openapi.encode(document)
    app[keys.DOCS] = docs_page.render(document)
    for route in routes:
        _add(app, route, gate.guard(route))
    app.router.add_route("*", "/{path:.*}", gate.guard_rest())
    return app


def _add(app: web.Application, route: Route, handler: Handler) -> None:
    """Serve `route` by `handler`; what answers GET answers HEAD."""
    for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
        app.router.add_route(method, route.path, handler)


async def _close_websockets(app: web.Application) -> None:
    await app[keys.HUB].close()
