"""The agent's listener: the daemon's own, with its deadlines, its caps and nobody else's words (THREATS T29)."""

from __future__ import annotations

from aiohttp import web

from pixlsrve.devices.agent.server import failed
from pixlsrve.http.failures import Failure
from pixlsrve.http.guard import Limits
from pixlsrve.http.server import HttpServer

LIMITS = Limits(total=256, per_address=64)
"""One host calls, a few times at once; whoever else comes takes little of the device."""
DRAIN_S = 2.0


def listen(app: web.Application, port: int, limits: Limits = LIMITS) -> HttpServer:
    """Listens on `port` of all addresses while entered; a transfer ends when the host no longer waits for it."""
    return HttpServer(
        app, port=port, setting="--port", drain_s=DRAIN_S, limits=limits, malformed=_malformed, is_cancelling=True
    )


def _malformed(failure: Failure) -> web.Response:
    return failed(failure.status, failure.message)
