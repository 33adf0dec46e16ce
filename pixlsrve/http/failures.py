"""Errors as answers: which status and code an error has, and the shape that the door knocked at gives it."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from pixlsrve import errors
from pixlsrve.http.inputs import UnsupportedBody
from pixlsrve.http.uploads import protocol as tus

_STATUSES: tuple[tuple[type[errors.PixlsrveError], int], ...] = (
    (UnsupportedBody, 415),
    (tus.UnsupportedVersion, 412),
    (tus.ChecksumMismatch, 460),
    (errors.InvalidInput, 400),
    (errors.NotAuthenticated, 401),
    (errors.NotPermitted, 403),
    (errors.NotFound, 404),
    (errors.Locked, 423),
    (errors.Conflict, 409),
    (errors.TooLarge, 413),
    (errors.RateLimited, 429),
    (errors.Unavailable, 503),
    (errors.StorageFull, 507),
)
_CODES = {401: "INVALID_TOKEN", 403: "UNAUTHORIZED", 404: "NOT_FOUND", 429: "RATE_LIMITED"}
_KEPT_HEADERS = frozenset({"Allow", "Content-Range", "ETag", "Retry-After", "WWW-Authenticate"})
_SENTENCES = {
    404: "There is nothing at this address.",
    405: "This address does not answer to that method.",
    413: "The request is larger than is accepted.",
    417: "Only `100-continue` is expected here.",
    501: "That method is not known here.",
}


class Failure(msgspec.Struct, frozen=True):
    """An error on its way to a client: `details` are for programs, `message` is for people."""

    status: int
    code: str
    message: str
    details: dict[str, Any]
    headers: dict[str, str]


def code_of(status: int) -> str:
    """The code that /api/v1 gives a status (DESIGN sections 4 and 9)."""
    return _CODES.get(status) or ("INVALID_REQUEST" if status < 500 else "INTERNAL_ERROR")


def from_error(error: errors.PixlsrveError) -> Failure:
    """What the program raised on purpose, with its reason among the details."""
    status = next((status for family, status in _STATUSES if isinstance(error, family)), 500)
    details: dict[str, Any] = {**error.details, "reason": error.reason}
    headers: dict[str, str] = {}
    code = code_of(status)
    if isinstance(error, errors.PathTraversal):
        code = "PATH_TRAVERSAL"
    elif isinstance(error, errors.NotAuthenticated):
        headers["WWW-Authenticate"] = "Bearer"
        code = "DEVICE_REVOKED" if isinstance(error, errors.DeviceRevoked) else code
    elif isinstance(error, errors.RateLimited | errors.Unavailable) and error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    return Failure(status, code, error.message, details, headers)


def from_status(status: int, message: str = "") -> Failure:
    """What HTTP itself finds wrong."""
    phrase = HTTPStatus(status).phrase
    text = message or _SENTENCES.get(status) or f"{phrase}."
    reason = phrase.lower().replace(" ", "_").replace("-", "_")
    return Failure(status, code_of(status), text, {"reason": reason}, {})


def from_http(error: web.HTTPException) -> Failure:
    """An error of the framework's kind; what its headers tell a client (Allow, Content-Range) is kept."""
    failure = from_status(error.status)
    kept = {name: value for name, value in error.headers.items() if name in _KEPT_HEADERS}
    return msgspec.structs.replace(failure, headers=kept)


def internal(request_id: str) -> Failure:
    """What nobody foresaw; the log has the rest under the request's number (THREATS T15)."""
    message = "Something went wrong on the host; its log has more under the request's number."
    return Failure(500, "INTERNAL_ERROR", message, {"reason": "internal", "request_id": request_id}, {})


def _envelope(failure: Failure) -> object:
    """`/api/v1` (specs/pixlsrve-api-v1.md, Error Responses)."""
    return {"error": {"code": failure.code, "message": failure.message, "details": failure.details}}


def _plain(failure: Failure) -> object:
    """The mini-server, Flutter and content-addressed doors."""
    return {"error": failure.message}


def _flutter(failure: Failure) -> object:
    """The Flutter door, whose clients know these words (DESIGN section 9, Flutter)."""
    return {"error": "Authentication required" if failure.status == 401 else failure.message}


def _pisync(failure: Failure) -> object:
    """PiSync's door."""
    return {"message": failure.message}


def _pisync_devices(what: str) -> Callable[[Failure], object]:
    """PiSync's devices: their specification words what is wrong with a token, and what only the host's log explains."""

    def shape(failure: Failure) -> object:
        if failure.status == 401:
            is_missing = failure.details.get("reason") == "no_token"
            return {"message": "No auth token provided" if is_missing else "Invalid auth token"}
        return {"message": f"Server error while {what}" if failure.status == 500 else failure.message}

    return shape


_SHAPES: tuple[tuple[str, Callable[[Failure], object]], ...] = (
    ("/api/v1", _envelope),
    ("/pisync/devices/logs", _pisync_devices("fetching devices")),
    ("/pisync/devices/", _pisync_devices("syncing device")),
    ("/pisync/devices", _pisync_devices("fetching devices")),
    ("/pisync", _pisync),
    ("/media_post", _flutter),
    ("/media_get", _flutter),
)


def shape_for(path: str) -> Callable[[Failure], object]:
    """The shape of errors at the door that `path` belongs to."""
    for prefix, shape in _SHAPES:
        if path.startswith(prefix) and (prefix.endswith("/") or path[len(prefix) : len(prefix) + 1] in {"", "/"}):
            return shape
    return _plain


def is_api(path: str) -> bool:
    """Whether `path` is at the main API's door."""
    return shape_for(path) is _envelope


def respond(failure: Failure, path: str) -> web.Response:
    """The answer to a request for `path`; no cache keeps it."""
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store", **failure.headers}
    if path.startswith(tus.PATH):
        headers |= {"Tus-Resumable": tus.VERSION, **({"Tus-Version": tus.VERSION} if failure.status == 412 else {})}
    body = msgspec.json.encode(shape_for(path)(failure), enc_hook=str)
    return web.Response(status=failure.status, body=body, headers=headers)


def respond_malformed(failure: Failure) -> web.Response:
    """The answer to what is no HTTP request, so that no door is known; the main API's shape."""
    response = respond(failure, "/api/v1")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Server"] = "pixlsrve"
    return response
