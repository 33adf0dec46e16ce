"""Serving representations, bytes in memory and open files, as RFC 9110 says (THREATS T22, T26).

The framework's own file response isn't used: it gets If-Range, HEAD with Range, unknown units, several ranges and
`bytes=-0` wrong. Files are read in an executor and not by sendfile, because sendfile reads the disk in the event loop.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import Executor

import structlog
from aiohttp import web

from pixlsrve.errors import Unavailable
from pixlsrve.http.conditions import (
    CONDITIONAL_FIELDS,
    Outcome,
    Validators,
    applicable_range,
    evaluate,
    format_http_date,
)
from pixlsrve.http.disposition import content_disposition
from pixlsrve.http.openfile import FileChanged, FileVersion, OpenFile
from pixlsrve.http.ranges import Span, select_spans

log = structlog.get_logger(__name__)

CHUNK_BYTES = 256 * 1024
STALL_LIMIT_S = 60.0
"""A client that takes longer for one chunk is cut off: at least 4 KiB a second (THREATS T29)."""
SANDBOX = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
"""Content-Security-Policy of what users put here: shown, played, never run."""


def send_bytes(
    request: web.Request,
    body: bytes,
    *,
    etag: str,
    mime: str,
    cache_control: str,
    last_modified_us: int | None = None,
    filename: str | None = None,
    attachment: bool = False,
) -> web.Response:
    """The answer that carries `body`, a part of it, or the news that the client has it already.

    `etag` is a strong opaque tag without quotes. Raises HTTPPreconditionFailed and HTTPRequestRangeNotSatisfiable (with
    Content-Range).
    """
    headers = _headers(etag, mime, cache_control, filename, attachment)
    asked = request.headers
    if last_modified_us is None:
        # The hot path of thumbnails: nothing to decide, nothing to compute.
        for field in CONDITIONAL_FIELDS:
            if field in asked:
                break
        else:
            return web.Response(body=body, headers=headers)
    spans = _decide(request, headers, Validators.of(etag, last_modified_us, time.time()), len(body))
    if isinstance(spans, web.Response):
        return spans
    if spans is None:
        return web.Response(body=body, headers=headers)
    parts = _partial(headers, spans, len(body))
    data = b"".join(body[part.start : part.end] if isinstance(part, Span) else part for part in parts)
    return web.Response(status=206, body=data, headers=headers)


async def send_file(
    request: web.Request,
    fd: int,
    *,
    mime: str,
    cache_control: str,
    etag: str | None = None,
    version: FileVersion | None = None,
    window: Span | None = None,
    filename: str | None = None,
    attachment: bool = False,
    executor: Executor | None = None,
    stall_limit_s: float = STALL_LIMIT_S,
) -> web.StreamResponse:
    """Send the regular file behind `fd`, or the parts asked for; the answer is complete when this returns.

    Takes `fd` over: it is closed whatever happens, cancellation included. `etag` is the strong opaque tag that the
    caller knows for `version`; where the file is another version by now, or no tag is given, the tag comes from the
    file's own facts, so that no resumed download mixes versions (T26). A file that changes or shrinks while it is sent
    breaks the connection; nothing is ever padded. `window` is the part of the file that is to be served as a whole.

    Raises HTTPPreconditionFailed, HTTPRequestRangeNotSatisfiable, and Unavailable where the first bytes can't be read.
    """
    file = OpenFile(fd, executor)
    try:
        current = await file.version()
        if etag is None or (version is not None and version != current):
            etag = current.etag()
        whole = Span(0, current.size_bytes) if window is None else window
        if whole.end > current.size_bytes:
            raise FileChanged
        size_bytes = _length(whole)
        headers = _headers(etag, mime, cache_control, filename, attachment)
        headers["Content-Security-Policy"] = SANDBOX
        validators = Validators.of(etag, current.mtime_ns // 1000, time.time())
        spans = _decide(request, headers, validators, size_bytes)
        if isinstance(spans, web.Response):
            return spans
        if request.method == "HEAD":
            headers["Content-Length"] = str(size_bytes)
            return web.Response(headers=headers)
        if spans is None:
            parts: list[bytes | Span] = [Span(0, size_bytes)] if size_bytes else []
        else:
            parts = _partial(headers, spans, size_bytes)
        headers["Content-Length"] = str(sum(_length(part) for part in parts))
        response = web.StreamResponse(status=200 if spans is None else 206, headers=headers)
        await _stream(request, response, _Body(file, current, parts, whole.start), stall_limit_s)
        return response
    except FileChanged as error:
        raise Unavailable("The file is being written just now.", reason="changing", retry_after_s=1) from error
    except OSError as error:
        raise Unavailable("The file can't be read just now.", reason="unreadable") from error
    finally:
        file.close()


def _headers(etag: str, mime: str, cache_control: str, filename: str | None, attachment: bool) -> dict[str, str]:
    headers = {
        "Content-Type": mime,
        "ETag": f'"{etag}"',
        "Cache-Control": cache_control,
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
    }
    if filename is not None or attachment:
        headers["Content-Disposition"] = content_disposition(filename, attachment=attachment)
    return headers


def _decide(
    request: web.Request, headers: dict[str, str], current: Validators, size_bytes: int
) -> list[Span] | web.Response | None:
    """The parts to send, None for the whole, or the finished 304; adds Last-Modified to `headers`."""
    if current.last_modified_s is not None:
        headers["Last-Modified"] = format_http_date(current.last_modified_s)
    outcome = evaluate(request.method, request.headers, current)
    if outcome is Outcome.FAILED:
        raise web.HTTPPreconditionFailed()
    if outcome is Outcome.NOT_MODIFIED:
        kept = ("ETag", "Cache-Control", "Last-Modified")  # RFC 9110 §15.4.5
        return web.Response(status=304, headers={name: headers[name] for name in kept if name in headers})
    wanted = applicable_range(request.method, request.headers, current)
    spans = None if wanted is None else select_spans(wanted, size_bytes)
    if spans is not None and not spans:
        raise web.HTTPRequestRangeNotSatisfiable(
            headers={"Content-Range": f"bytes */{size_bytes}", "Accept-Ranges": "bytes"}
        )
    return spans


def _partial(headers: dict[str, str], spans: list[Span], size_bytes: int) -> list[bytes | Span]:
    """The body of a 206 as framing and spans in order; sets Content-Range or the multipart type (§15.3.7)."""
    if len(spans) == 1:
        headers["Content-Range"] = spans[0].content_range(size_bytes)
        return [spans[0]]
    boundary = secrets.token_hex(16)
    mime = headers["Content-Type"]
    parts: list[bytes | Span] = []
    for span in spans:
        start = "\r\n" if parts else ""
        head = f"Content-Type: {mime}\r\nContent-Range: {span.content_range(size_bytes)}"
        parts += [f"{start}--{boundary}\r\n{head}\r\n\r\n".encode(), span]
    parts.append(f"\r\n--{boundary}--\r\n".encode())
    headers["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    return parts


def _length(part: bytes | Span) -> int:
    return part.end - part.start if isinstance(part, Span) else len(part)


class _Body:
    """The body of an answer in pieces of at most CHUNK_BYTES, read as they are asked for."""

    def __init__(self, file: OpenFile, version: FileVersion, parts: list[bytes | Span], offset: int) -> None:
        self._file = file
        self._version = version
        self._pieces = _pieces(parts)
        self._offset = offset

    async def next(self) -> bytes:
        """The next piece, empty at the end. Raises FileChanged, OSError."""
        piece = next(self._pieces, b"")
        if isinstance(piece, Span):
            return await self._file.read(self._offset + piece.start, self._offset + piece.end, self._version)
        return piece


def _pieces(parts: list[bytes | Span]) -> Iterator[bytes | Span]:
    for part in parts:
        if isinstance(part, Span):
            for start in range(part.start, part.end, CHUNK_BYTES):
                yield Span(start, min(start + CHUNK_BYTES, part.end))
        else:
            yield part


async def _stream(request: web.Request, response: web.StreamResponse, body: _Body, stall_limit_s: float) -> None:
    """Send head and body. Raises FileChanged and OSError only while nothing has been sent yet.

    Later the status line can't be taken back: the connection is broken, so that the client knows, and nobody's answer
    follows on it in the place of the missing bytes.
    """
    piece = await body.next()
    try:
        await response.prepare(request)
        while piece:
            async with asyncio.timeout(stall_limit_s):
                await response.write(piece)
            piece = await body.next()
        async with asyncio.timeout(stall_limit_s):
            await response.write_eof()
    except (FileChanged, OSError) as error:
        _break_connection(request)
        if not isinstance(error, ConnectionError):
            log.warning("sending a file was broken off", path=request.path, why=str(error) or "the client stalled")
    except BaseException:
        _break_connection(request)
        raise


def _break_connection(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
