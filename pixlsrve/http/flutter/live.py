"""The page `/live`, which shows what both websockets say, and the broadcast's place in the application."""

from __future__ import annotations

from importlib import resources

from aiohttp import hdrs, web

from pixlsrve.config import Config
from pixlsrve.http import application, keys, pages
from pixlsrve.http.flutter.websocket import Broadcast
from pixlsrve.http.hosts import Hosts, name_of
from pixlsrve.http.routing import Access, Rate, Route

BROADCAST = web.AppKey("broadcast", Broadcast)
"""The broadcast websocket; absent in an application that has none."""
_PAGE = resources.files(pages.__name__).joinpath("live.html").read_text("utf-8")
_PORT_MARK = "BROADCAST_PORT"


def make(app: web.Application, config: Config) -> Broadcast:
    """The broadcast of this application, not listening yet."""
    broadcast = Broadcast(
        config.compat,
        callers=app[keys.CALLERS],
        peers=app[keys.PEERS],
        hosts=Hosts(application.known_hosts(config)),
        bus=app[keys.BUS],
    )
    app[BROADCAST] = broadcast
    return broadcast


async def show(request: web.Request) -> web.Response:
    """GET /live: the page. Its script may connect to this host's websockets and to nothing else."""
    broadcast = request.app.get(BROADCAST)
    port = None if broadcast is None else broadcast.port
    name = name_of(request.app[keys.PEERS].host(request)) or "localhost"
    # A policy can't name an IPv6 address (CSP Level 3, host-source).
    broadcast_source = "ws:" if ":" in name else f"ws://{name}:{port}"
    sources = "'self'" if port is None else f"'self' {broadcast_source}"
    headers = {
        hdrs.CONTENT_TYPE: "text/html; charset=utf-8",
        hdrs.CACHE_CONTROL: "no-cache",
        "Content-Security-Policy": pages.POLICY.replace("connect-src 'self'", f"connect-src {sources}"),
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    return web.Response(text=_PAGE.replace(_PORT_MARK, str(port or "")), headers=headers)


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/live",
        handler=show,
        access=Access.PUBLIC,
        rate=Rate.FREE,
        summary="The page that shows what the websockets say.",
        content_type="text/html",
    ),
)
