"""What a route declares: who may call it, how often, with what, and what it answers. The checks live in `inputs`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from pixlsrve.http import keys

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
StructT = TypeVar("StructT", bound=msgspec.Struct)
JSON = "application/json"
NO_STORE = {"Cache-Control": "no-store"}
_encode = msgspec.json.Encoder().encode


class Access(StrEnum):
    """Who may call a route (THREATS T13)."""

    PUBLIC = "public"
    """Anybody; a token is not even looked at."""
    LAN = "lan"
    """Loopback, LAN and VPN peers without a token; anybody with one."""
    MEMBER = "member"
    """Whoever has a valid token."""
    ADMIN = "admin"
    """Whose stored role is admin."""
    HOST = "host"
    """Programs on the host itself without a token; admins from anywhere."""


class Rate(StrEnum):
    """Which of the settings' limits counts the calls; the values are the keys of `[rate_limits]`."""

    AUTH = "auth"
    PHOTOS = "photos"
    BROWSE = "browse"
    THUMBNAILS = "thumbnails"
    SEARCH = "search"
    UPLOADS = "uploads"
    OTHER = "other"
    FREE = "free"
    """Not counted."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """One route, declared next to its handler. `path` is in aiohttp's syntax."""

    method: str
    path: str
    handler: Handler
    access: Access
    rate: Rate
    summary: str
    """One sentence for the API's description."""
    query: type[msgspec.Struct] | None = None
    """The query parameters, checked before the handler runs; unknown ones are ignored."""
    body: type[msgspec.Struct] | None = None
    """The JSON body, checked before the handler runs; may be missing when every field has a default."""
    answer: Any = None
    """The msgspec type of the 200 answer; None where it is not JSON."""
    content_type: str = JSON
    """Of the good answer; empty where it has no body."""
    status: int = 200
    """Of the good answer."""
    takes: str = ""
    """Media type of a body that the handler itself reads as a stream; empty for none."""
    has_ticket: bool = False
    """Whether a one-time `?ticket=` stands in for the token, for browsers that can't send headers (THREATS T30)."""
    is_asked_for: Callable[[web.Request], bool] | None = None
    """Says whether the host itself has asked for a request, which is then not counted (DESIGN section 4)."""
    errors: tuple[int, ...] = ()
    """Statuses that it answers beside those which its access, limit and inputs imply."""


def with_slash(route: Route) -> tuple[Route, Route]:
    """The same route with and without a slash at its end: clients of the specification send either."""
    return replace(route, path=f"{route.path}/"), route


def query(request: web.Request, type_: type[StructT]) -> StructT:
    """The request's checked query parameters; `type_` is the one that the route declares."""
    value = request[keys.QUERY]
    if not isinstance(value, type_):
        raise TypeError(f"{request.path} declares another type of query parameters than {type_.__name__}")
    return value


def body(request: web.Request, type_: type[StructT]) -> StructT:
    """The request's checked JSON body; `type_` is the one that the route declares."""
    value = request[keys.BODY]
    if not isinstance(value, type_):
        raise TypeError(f"{request.path} declares another type of body than {type_.__name__}")
    return value


def answer(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """`value` (a Struct, or dictionaries and lists) as a JSON answer; no cache keeps it unless `headers` say so."""
    all_headers = {"Content-Type": JSON, "Cache-Control": "private, no-cache"}
    if headers:
        all_headers.update(headers)
    return web.Response(body=_encode(value), status=status, headers=all_headers)
