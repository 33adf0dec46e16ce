"""The cookie of a signed-in browser: its name, its attributes, and how it is read (DESIGN section 9, TLS)."""

from __future__ import annotations

from aiohttp import hdrs, web

from pixlsrve.http import keys

PLAIN_NAME = "pixlsrve_session"
SECURE_NAME = "__Host-pixlsrve_session"
"""The prefix makes browsers refuse it from anywhere but this very host over TLS (RFC 6265bis §4.1.3.2)."""
LIFETIME_S = 30 * 86_400
_VALUE_MAX = 200


def is_browser(request: web.Request) -> bool:
    """Whether one of our own pages asks, so that it gets a cookie instead of tokens that scripts could read."""
    return hdrs.ORIGIN in request.headers and request.app[keys.ORIGINS].is_ours(request) is True


def set_session(request: web.Request, response: web.StreamResponse, value: str) -> None:
    """Give the browser the session with this value."""
    is_secure = request.app[keys.ORIGINS].is_secure(request)
    response.set_cookie(
        SECURE_NAME if is_secure else PLAIN_NAME,
        value,
        max_age=LIFETIME_S,
        path="/",
        secure=is_secure,
        httponly=True,
        samesite="Strict",
    )
    response.headers[hdrs.CACHE_CONTROL] = "no-store"


def clear_session(request: web.Request, response: web.StreamResponse) -> None:
    """Have the browser forget its session."""
    is_secure = request.app[keys.ORIGINS].is_secure(request)
    name = SECURE_NAME if is_secure else PLAIN_NAME
    response.del_cookie(name, path="/", secure=is_secure, httponly=True, samesite="Strict")


def session_value(request: web.Request, *, is_secure: bool) -> str | None:
    """The value of the session's cookie, None without one; two of the name are none, since nobody knows who set which.

    Over TLS only the cookie made over TLS counts: the other one could have been set by anybody on the network.
    """
    headers = request.headers.getall(hdrs.COOKIE, None)
    if headers is None:
        return None
    wanted = SECURE_NAME if is_secure else PLAIN_NAME
    pairs = (part.strip(" \t").partition("=") for header in headers for part in header.split(";"))
    values = [value for name, _, value in pairs if name == wanted]
    return values[0] if len(values) == 1 and 0 < len(values[0]) <= _VALUE_MAX else None
