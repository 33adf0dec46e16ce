"""The mini-server: `/transfer/{path}` and `/manifest`, for the host alone (specs/device-mini-server.md, T23)."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Iterator
from urllib.parse import unquote_to_bytes

import msgspec
import structlog
from aiohttp import web

from pixlsrve.devices.agent.folder import Entry, Folder, name_of
from pixlsrve.devices.agent.sending import Sender, status_of
from pixlsrve.devices.manifest import write_line
from pixlsrve.errors import PathTraversal, PixlsrveError

log = structlog.get_logger(__name__)

HASHED_AT_ONCE_BYTES = 4 * 1024 * 1024
"""Smaller files are hashed while the manifest is written; others are listed without a hash until they have one."""
_BATCH = 200
_TRANSFER = "/transfer/"
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "pixlsrve"}
_NOTHING = "There is nothing at this address."
_encode = msgspec.json.Encoder().encode


class MiniServer:
    """Answers the host. `credential` says what it must show; `on_stranger` is called when something else is shown."""

    def __init__(
        self,
        folder: Folder,
        sender: Sender,
        *,
        credential: Callable[[], str | None],
        on_stranger: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._sender = sender
        self._credential = credential
        self._on_stranger = on_stranger

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=64 * 1024, middlewares=[self._guard])
        app.on_response_prepare.append(_add_headers)
        for path, handler in (("/manifest", self._manifest), (_TRANSFER + r"{path:[\s\S]*}", self._transfer)):
            resource = app.router.add_resource(path)
            resource.add_route("GET", handler, expect_handler=_answer_expectation)
            resource.add_route("*", _refuse_method, expect_handler=_answer_expectation)
        app.router.add_route("*", r"/{path:[\s\S]*}", _find_nothing, expect_handler=_answer_expectation)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Callable[[web.Request], object]) -> web.StreamResponse:
        """Let the host in, and nobody else; no answer says more than it must (T15)."""
        if not self._is_host(request):
            self._on_stranger()
            return failed(401, "This needs the credential of the host that this device is paired with.")
        try:
            response = await handler(request)  # type: ignore[misc]  # aiohttp's handlers are coroutines
        except web.HTTPException as error:
            return failed(error.status, _NOTHING)
        assert isinstance(response, web.StreamResponse)  # noqa: S101  # as above
        return response

    def _is_host(self, request: web.Request) -> bool:
        expected = self._credential()
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        if expected is None or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(shown.strip().encode("utf-8", "replace"), expected.encode())

    async def _transfer(self, request: web.Request) -> web.Response:
        """GET /transfer/{path}: send the file to the host; its answer, or why it failed."""
        try:
            path = self._folder.find(_path_of(request))
            song_id = request.query.get("song_id")
            return _json(await self._sender.send(path, song_id if song_id and _is_id(song_id) else None), 200)
        except PathTraversal:
            return failed(403, "The path leads out of the shared folder.")
        except PixlsrveError as error:
            log.info("a file was not sent", reason=error.reason)
            return failed(status_of(error), error.message)

    async def _manifest(self, request: web.Request) -> web.StreamResponse:
        """GET /manifest: every file there is right now, one JSON object a line."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        walk, loop = self._folder.walk(), asyncio.get_running_loop()
        while lines := await loop.run_in_executor(None, self._lines, walk):
            await response.write(lines)
        await response.write_eof()
        return response

    def _lines(self, walk: Iterator[Entry]) -> bytes:
        """The next lines; for a thread."""
        lines, hashed_bytes = [], 0
        for entry in walk:
            if entry.sha256 is None and entry.size_bytes <= HASHED_AT_ONCE_BYTES:
                self._folder.hash_file(entry)
                hashed_bytes += entry.size_bytes
            line = write_line(
                path=name_of(entry.path),
                size_bytes=entry.size_bytes,
                mtime_ns=entry.mtime_ns,
                sha256=entry.sha256,
                song_id=entry.song_id,
            )
            lines.append(line)
            if len(lines) == _BATCH or hashed_bytes > HASHED_AT_ONCE_BYTES:
                break
        return b"".join(lines)


async def _refuse_method(_: web.Request) -> web.Response:
    response = failed(405, "This address takes GET only.")
    response.headers["Allow"] = "GET"
    return response


async def _find_nothing(_: web.Request) -> web.Response:
    return failed(404, _NOTHING)


async def _answer_expectation(request: web.Request) -> web.Response | None:
    """Nobody's body is waited for, so that there is nothing to continue with; other expectations are refused."""
    is_usual = request.headers["Expect"].lower() == "100-continue"
    return None if is_usual else failed(417, "Only `100-continue` is expected here.")


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Before the framework adds its name."""
    response.headers.update(_HEADERS)


def _path_of(request: web.Request) -> str:
    """The path that the URL names, percent-decoded exactly once; bytes that are no UTF-8 as surrogates."""
    raw = request.rel_url.raw_path.removeprefix(_TRANSFER)
    return unquote_to_bytes(raw).decode("utf-8", "surrogateescape")


def _is_id(text: str) -> bool:
    return len(text) == 36 and all(letter in "0123456789abcdef-" for letter in text)


def failed(status: int, details: str) -> web.Response:
    """The specification's answer to what failed; also to what is no HTTP request."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    response = _json({"error": "Upload failed", "details": details}, status)
    response.headers.update(headers)
    return response


def _json(value: object, status: int) -> web.Response:
    return web.Response(body=_encode(value), status=status, headers={"Content-Type": "application/json", **_HEADERS})
