"""The control socket's server: what the commands ask of the running daemon (THREATS T38)."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Annotated, Any, Protocol, Self

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from msgspec import Meta

from pixlsrve.errors import NotPermitted, PixlsrveError
from pixlsrve.http import failures, routing
from pixlsrve.http.inputs import BodyCheck
from pixlsrve.http.routing import Handler
from pixlsrve.model import Role

log = structlog.get_logger(__name__)

DRAIN_S = 2.0
_API = "/api/v1"
_MACOS_SOL_LOCAL = 0
_MACOS_LOCAL_PEERCRED = 1
_XCRED = struct.Struct("=II")
_UCRED = struct.Struct("=iII")
ControlRoute = tuple[str, str, Handler]
"""Method, path and handler."""


class Controls(Protocol):
    """What the daemon lets its own user do. Answers are JSON objects; refusals are PixlsrveErrors."""

    async def status(self) -> dict[str, Any]:
        """What `pixlsrve status --json` prints."""

    async def start_scan(self, *, full_scan: bool, accept_removals: bool) -> dict[str, Any]:
        """Start a scan, or join the one that runs; `scan_id` and more."""

    async def scan_state(self, scan_id: str) -> dict[str, Any]:
        """How far a scan is: `in_progress`, `stage`, `done`, `total`. Raises NotFound."""

    async def mint_token(self, *, role: Role, expires_in: int) -> dict[str, Any]:
        """A new bearer token that lives `expires_in` seconds: `token`, `id`, `expires_at`. Raises InvalidInput."""

    async def list_tokens(self) -> list[dict[str, Any]]:
        """The tokens that work: `id`, `role`, `created_at`, `expires_at`."""

    async def revoke_token(self, token_id: str) -> None:
        """Withdraw a token. Raises NotFound."""


class ScanBody(msgspec.Struct, frozen=True):
    """Body of POST /scan."""

    full_scan: bool = False
    accept_removals: bool = False


class TokenBody(msgspec.Struct, frozen=True):
    """Body of POST /tokens; `expires_in` is in seconds."""

    role: Role = Role.MEMBER
    expires_in: Annotated[int, Meta(ge=1)] = 3_600


class ControlServer:
    """Serves `controls`, and the further routes given, on a bound Unix socket while entered, and closes it."""

    def __init__(self, bound: socket.socket, controls: Controls, further: Iterable[ControlRoute] = ()) -> None:
        self._socket = bound
        self._runner = web.AppRunner(_application(controls, further), access_log=None, shutdown_timeout=DRAIN_S)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()


def peer_uid(connection: socket.socket) -> int | None:
    """The user at the other end of a Unix socket, or None where the system doesn't say."""
    if sys.platform == "linux":
        _, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        return int(uid)
    if sys.platform == "darwin":
        # struct xucred: a version, then the effective uid.
        credentials = connection.getsockopt(_MACOS_SOL_LOCAL, _MACOS_LOCAL_PEERCRED, 76)
        return int(_XCRED.unpack_from(credentials)[1])
    return None


def _check_peer(request: web.Request) -> None:
    """Only the daemon's own user and root may ask. Raises NotPermitted."""
    connection = request.get_extra_info("socket")
    uid = None if connection is None else peer_uid(connection)
    if uid is None or uid not in {0, os.geteuid()}:
        raise NotPermitted("The daemon belongs to another user; run this as that user or with sudo.")


def _guard() -> Middleware:
    """Check who asks, and turn errors into answers."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            _check_peer(request)
            return await handler(request)
        except PixlsrveError as error:
            return failures.respond(failures.from_error(error), _API)
        except web.HTTPException as error:
            return failures.respond(failures.from_http(error), _API)
        except ConnectionError:
            raise
        except Exception:
            log.exception("control request failed", path=request.path)
            return failures.respond(failures.internal(""), _API)

    return guard


def _application(controls: Controls, further: Iterable[ControlRoute]) -> web.Application:
    """The routes of the control socket."""
    read_scan, read_token = BodyCheck(ScanBody), BodyCheck(TokenBody)

    async def status(_: web.Request) -> web.Response:
        return routing.answer(await controls.status())

    async def start_scan(request: web.Request) -> web.Response:
        body = await read_scan(request)
        return routing.answer(await controls.start_scan(**msgspec.structs.asdict(body)))

    async def scan_state(request: web.Request) -> web.Response:
        return routing.answer(await controls.scan_state(request.match_info["scan_id"]))

    async def mint_token(request: web.Request) -> web.Response:
        body = await read_token(request)
        return routing.answer(await controls.mint_token(**msgspec.structs.asdict(body)))

    async def list_tokens(_: web.Request) -> web.Response:
        return routing.answer({"tokens": await controls.list_tokens()})

    async def revoke_token(request: web.Request) -> web.Response:
        await controls.revoke_token(request.match_info["token_id"])
        return routing.answer({"success": True})

    handlers: list[ControlRoute] = [
        ("GET", "/status", status),
        ("POST", "/scan", start_scan),
        ("GET", "/scan/{scan_id}", scan_state),
        ("POST", "/tokens", mint_token),
        ("GET", "/tokens", list_tokens),
        ("DELETE", "/tokens/{token_id}", revoke_token),
        *further,
    ]
    app = web.Application(middlewares=[_guard()])
    for method, path, handler in handlers:
        app.router.add_route(method, path, handler)
    return app
