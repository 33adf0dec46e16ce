"""The web application: the declared routes behind the gate, and nothing that isn't declared (THREATS T13)."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit

from aiohttp import web

from pixlsrve.config import Config
from pixlsrve.events import EventBus
from pixlsrve.http import docs_page, keys, openapi
from pixlsrve.http.credentials import Authenticator, Callers, Sessions, Tickets
from pixlsrve.http.express import Express
from pixlsrve.http.hosts import Hosts
from pixlsrve.http.later import Later
from pixlsrve.http.limits import RateLimiter, parse_networks
from pixlsrve.http.metrics import Tally, new_registry
from pixlsrve.http.middleware import ALWAYS, Gate, add_headers, proceed
from pixlsrve.http.origins import Origins
from pixlsrve.http.peers import Peers
from pixlsrve.http.push import Hub
from pixlsrve.http.routing import Handler, Route
from pixlsrve.http.running import Running
from pixlsrve.services import running as running_service

BODY_MAX_BYTES = 1024 * 1024
"""Of bodies that are read whole: JSON. Uploads are streamed and have limits of their own."""


def build(
    routes: Sequence[Route],
    config: Config,
    *,
    authenticator: Authenticator,
    bus: EventBus,
    sessions: Sessions | None = None,
    hosts: Hosts | None = None,
) -> web.Application:
    """The application that serves `routes`; the caller adds its services under their keys before it is started.

    Present by then: PEERS, ORIGINS, CALLERS, TICKETS, HUB, RUNNING, BUS, COUNT_MALFORMED, REGISTRY, OPENAPI and
    DOCS. Without `sessions` no cookie is a credential. Raises ConfigError for bad proxies or limits.
    """
    tally, tickets = Tally(), Tickets()
    peers = Peers(parse_networks(config.http.trusted_proxies))
    origins = Origins(peers)
    callers = Callers(authenticator, sessions, origins)
    running = Running(callers)
    limiter, hosts = RateLimiter(config.rate_limits), hosts or Hosts(known_hosts(config))
    gate = Gate(
        callers=callers,
        limiter=limiter,
        hosts=hosts,
        peers=peers,
        origins=origins,
        tickets=tickets,
        running=running,
        tally=tally,
    )
    app = web.Application(client_max_size=BODY_MAX_BYTES)
    app.on_response_prepare.append(add_headers)
    app[keys.BUS], app[keys.PEERS], app[keys.TICKETS] = bus, peers, tickets
    app[keys.ORIGINS], app[keys.CALLERS], app[keys.RUNNING] = origins, callers, running
    app[keys.COUNT_MALFORMED] = gate.count_malformed
    app[keys.REGISTRY] = new_registry(tally)
    app[keys.HUB] = Hub(bus, callers)
    app.cleanup_ctx.append(_running_hub)
    app.on_shutdown.append(_close_websockets)
    document = functools.cache(lambda: openapi.document(routes))  # a fifth of the start, and few look at it
    app[keys.OPENAPI] = Later(lambda: openapi.encode(document()))
    app[keys.DOCS] = Later(lambda: docs_page.render(document()))
    for route in routes:
        _add(app, route, gate.guard(route))
    rest = gate.guard_rest()
    app.router.add_route("*", "/{path:.*}", rest, expect_handler=proceed)
    whole = _WholeServer("/")
    app.router.register_resource(whole)
    whole.add_route("*", rest, expect_handler=proceed)
    app[keys.EXPRESS] = Express(
        app,
        authenticate=authenticator.authenticate,
        limiter=limiter,
        hosts=hosts,
        tally=tally,
        new_id=gate.new_id,
        always="".join(f"{name}: {value}\r\n" for name, value in ALWAYS.items()),
    )
    return app


class _WholeServer(web.PlainResource):
    """The request target `*` (RFC 9112 §3.2.4), which the framework's paths, all beginning with a slash, leave out."""

    def _match(self, path: str) -> dict[str, str] | None:
        return {} if path == "*" else None


def known_hosts(config: Config) -> list[str]:
    """The host names that the settings add to our own: `http.hosts` and that of `http.public_url`."""
    public = urlsplit(config.http.public_url).hostname
    return [*config.http.hosts, *([public] if public else [])]


def _add(app: web.Application, route: Route, handler: Handler) -> None:
    """Serve `route` by `handler`; what answers GET answers HEAD."""
    for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
        app.router.add_route(method, route.path, handler, expect_handler=proceed)


async def _running_hub(app: web.Application) -> AsyncIterator[None]:
    async with running_service("push", app[keys.HUB]):
        yield


async def _close_websockets(app: web.Application) -> None:
    await app[keys.HUB].close()
