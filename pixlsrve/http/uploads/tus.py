"""The handlers of tus 1.0 at /api/v1/uploads: discovery, creation, pieces, offsets, termination."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from aiohttp import hdrs, web

from pixlsrve.errors import InvalidInput, PixlsrveError
from pixlsrve.http import keys
from pixlsrve.http.conditions import format_http_date
from pixlsrve.http.routing import Access, Handler, Rate, Route
from pixlsrve.http.uploads import protocol
from pixlsrve.http.uploads.keys import UPLOAD_SESSIONS, check_again, owner_of
from pixlsrve.media.uploads.sessions import LIFE_US, Outcome, outcome_of
from pixlsrve.media.uploads.whole import Whole
from pixlsrve.store.uploads import Session

_METHOD = "X-HTTP-Method-Override"


async def options(request: web.Request) -> web.Response:
    """OPTIONS: what is spoken here."""
    del request
    return _answer(
        {
            "Tus-Version": protocol.VERSION,
            "Tus-Extension": protocol.EXTENSIONS,
            "Tus-Checksum-Algorithm": ",".join(protocol.ALGORITHMS),
        }
    )


async def create(request: web.Request) -> web.Response:
    """POST /api/v1/uploads: a new upload, with its first piece or all of it where the body has that."""
    headers = request.headers
    protocol.check_version(headers)
    size_bytes = protocol.length(headers)
    sent, pairs = protocol.metadata(headers)
    checksum = protocol.checksum(headers)
    if request.can_read_body:
        protocol.check_type(request.content_type)
    sessions, owner = request.app[UPLOAD_SESSIONS], owner_of(request[keys.PRINCIPAL])
    if checksum is None and size_bytes == request.content_length:
        whole = await sessions.take_whole(
            owner,
            name=protocol.file_name(pairs),
            metadata=sent,
            size_bytes=size_bytes,
            viewer=request[keys.PRINCIPAL].roots,
        )
        session = await _take_whole(request, whole)
        state = _state(session, session.offset_bytes, outcome_of(session))
        return _answer({"Location": f"{protocol.PATH}/{session.id}", **state}, status=201)
    session = await sessions.create(owner, name=protocol.file_name(pairs), metadata=sent, size_bytes=size_bytes)
    place = {"Location": f"{protocol.PATH}/{session.id}"}
    if not request.can_read_body:
        return _answer({**place, **_expiry(session)}, status=201)
    try:
        offset_bytes, outcome = await _take_piece(request, session.id, owner, 0, checksum)
    except BaseException:
        # Its sender never learns the address of what was begun.
        with contextlib.suppress(PixlsrveError):
            await sessions.end(session.id, owner)
        raise
    return _answer({**place, **_state(session, offset_bytes, outcome)}, status=201)


async def head(request: web.Request) -> web.Response:
    """HEAD: how far an upload has come."""
    protocol.check_version(request.headers)
    principal = request[keys.PRINCIPAL]
    session = await request.app[UPLOAD_SESSIONS].look(
        request.match_info["id"], owner_of(principal), viewer=principal.roots, stop=lambda: _break_off(request)
    )
    headers = {"Upload-Length": str(session.size_bytes), **_state(session, session.offset_bytes, outcome_of(session))}
    if session.metadata:
        headers["Upload-Metadata"] = session.metadata
    return _answer(headers, status=200)


async def patch(request: web.Request) -> web.Response:
    """PATCH: the next piece."""
    headers = request.headers
    protocol.check_version(headers)
    protocol.check_type(request.content_type)
    offset_bytes = protocol.number(headers, "Upload-Offset")
    checksum = protocol.checksum(headers)
    owner, number = owner_of(request[keys.PRINCIPAL]), request.match_info["id"]
    reached_bytes, outcome = await _take_piece(request, number, owner, offset_bytes, checksum)
    session = await request.app[UPLOAD_SESSIONS].find(number, owner)
    return _answer(_state(session, reached_bytes, outcome))


async def delete(request: web.Request) -> web.Response:
    """DELETE: the upload is not wanted any more."""
    protocol.check_version(request.headers)
    await request.app[UPLOAD_SESSIONS].end(request.match_info["id"], owner_of(request[keys.PRINCIPAL]))
    return _answer({})


async def post(request: web.Request) -> web.Response:
    """POST to an upload: another method, for clients that can send no other (tus, X-HTTP-Method-Override)."""
    method = request.headers.get(_METHOD, "").upper()
    handler = {"PATCH": patch, "HEAD": head, "DELETE": delete}.get(method)
    if handler is None:
        raise InvalidInput(f"Send PATCH, or say it by the header {_METHOD}.", reason="invalid_header", header=_METHOD)
    return await handler(request)


async def _take_whole(request: web.Request, whole: Whole) -> Session:
    """Take a body in that is the whole file."""
    try:
        while chunk := await request.content.readany():
            await whole.write(chunk)
        await check_again(request)
        return await whole.finish()
    finally:
        await whole.abandon()


async def _take_piece(
    request: web.Request, number: str, owner: str, offset_bytes: int, checksum: protocol.Checksum | None
) -> tuple[int, Outcome | None]:
    """Take a body in; how far the upload has come, and what became of it where it is complete.

    What arrived is kept, whatever ends the connection.
    """
    sessions, viewer = request.app[UPLOAD_SESSIONS], request[keys.PRINCIPAL].roots
    writing = await sessions.open(
        number, owner, offset_bytes=offset_bytes, viewer=viewer, stop=lambda: _break_off(request)
    )
    try:
        expected = None if checksum is None else writing.check_with(checksum.algorithm)
        while chunk := await request.content.readany():
            await writing.write(chunk)
        if checksum is not None and expected is not None:
            await writing.flush()
            if expected.digest() != checksum.digest:
                await writing.reject()
                raise protocol.ChecksumMismatch("This piece arrived damaged; send it again.")
            writing.accept()
        if not writing.is_whole:  # a whole one is made durable when it is stored
            await writing.save()
        await check_again(request)
        outcome = await writing.finish()
        return writing.offset_bytes, outcome
    finally:
        await writing.close()


def _break_off(request: web.Request) -> None:
    """End the connection: nothing more will come on it that is wanted."""
    if request.transport is not None:
        request.transport.abort()


def _state(session: Session, offset_bytes: int, outcome: Outcome | None) -> dict[str, str]:
    headers = {"Upload-Offset": str(offset_bytes), **_expiry(session)}
    if outcome is not None:
        headers["Pixlsrve-Photo-Id"] = outcome.asset_id
        headers["Pixlsrve-Duplicate"] = "true" if outcome.is_duplicate else "false"
    return headers


def _expiry(session: Session) -> dict[str, str]:
    return {"Upload-Expires": format_http_date((session.last_byte_us + LIFE_US) // 1_000_000)}


def _answer(headers: Mapping[str, str], *, status: int = 204) -> web.Response:
    return web.Response(
        status=status, headers={"Tus-Resumable": protocol.VERSION, hdrs.CACHE_CONTROL: "no-store", **headers}
    )


def _route(
    method: str,
    path: str,
    handler: Handler,
    summary: str,
    *,
    status: int = 204,
    takes: str = "",
    errors: tuple[int, ...],
) -> Route:
    return Route(
        method=method,
        path=path,
        handler=handler,
        access=Access.MEMBER,
        rate=Rate.UPLOADS,
        summary=summary,
        status=status,
        content_type="",
        takes=takes,
        errors=errors,
    )


_ONE = f"{protocol.PATH}/{{id}}"
_TAKING = (400, 403, 404, 409, 412, 413, 415, 423, 460, 500, 503, 507)
ROUTES: tuple[Route, ...] = (
    _route("OPTIONS", protocol.PATH, options, "What of tus 1.0 is spoken here.", errors=()),
    _route(
        "POST",
        protocol.PATH,
        create,
        "Begin an upload that can be resumed.",
        status=201,
        takes=protocol.OFFSET_TYPE,
        errors=_TAKING,
    ),
    _route("OPTIONS", _ONE, options, "What of tus 1.0 is spoken here.", errors=()),
    _route("HEAD", _ONE, head, "How far an upload has come.", status=200, errors=(400, 403, 412, 423, 500, 503, 507)),
    _route("PATCH", _ONE, patch, "Continue an upload.", takes=protocol.OFFSET_TYPE, errors=_TAKING),
    _route("POST", _ONE, post, "PATCH, for clients that can't send it.", takes=protocol.OFFSET_TYPE, errors=_TAKING),
    _route("DELETE", _ONE, delete, "Forget an upload.", errors=(403, 412, 423)),
)
