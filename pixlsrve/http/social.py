"""Social login in a browser: /accounts/{provider}/login/ leads away, /accounts/{provider}/login/callback/ comes back.

Callbacks are GETs that change state, as the specifications of login providers want it; the one-time `state`, bound to
the browser by a cookie, stands in for the Origin check (THREATS T12, T28).
"""

from __future__ import annotations

import functools
import html
from typing import Annotated
from urllib.parse import urlencode, urlsplit

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from pixlsrve.auth.social.logins import LIFETIME_S
from pixlsrve.auth.social.service import Arrival
from pixlsrve.errors import NotPermitted, PixlsrveError
from pixlsrve.http import cookies, doors, failures, identity, keys, routing
from pixlsrve.http.hosts import name_of
from pixlsrve.http.routing import Access, Handler, Rate, Route
from pixlsrve.model import Subject, SubjectKind

HTML = "text/html"
COOKIE = "pixlsrve_login"
_FOLDER = "/accounts/"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_COOKIE_MAX = 200
_Text = Annotated[str, Meta(max_length=4_096)]


class LoginQuery(msgspec.Struct, frozen=True):
    """Query of GET /accounts/{provider}/login/."""

    invite: Annotated[str, Meta(max_length=100, description="The code of `pixlsrve user invite`.")] | None = None
    moved: Annotated[bool, Meta(description="Set by the host itself when it sends a browser to http.public_url.")] = (
        False
    )

    def __repr__(self) -> str:
        return "LoginQuery(...)"


class CallbackQuery(msgspec.Struct, frozen=True):
    """Query of GET /accounts/{provider}/login/callback/, which the provider has the browser send."""

    state: _Text
    code: _Text | None = None
    error: _Text | None = None
    iss: _Text | None = None

    def __repr__(self) -> str:
        return "CallbackQuery(...)"


def _as_page(handler: Handler) -> Handler:
    """The handler with its refusals as pages, since a person looks at them."""

    @functools.wraps(handler)
    async def shown(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except PixlsrveError as error:
            return _page(failures.from_error(error))

    return shown


@_as_page
async def begin(request: web.Request) -> web.StreamResponse:
    """GET /accounts/{provider}/login/: to the provider's own sign-in page."""
    query, provider = routing.query(request, LoginQuery), request.match_info["provider"]
    base = request.app[doors.PUBLIC_URL].rstrip("/")
    if base and not query.moved and urlsplit(base).netloc.lower() != request.app[keys.PEERS].host(request).lower():
        return _to_public(base, provider, query)
    redirect_uri = f"{base or _loopback(request)}{_FOLDER}{provider}/login/callback/"
    departure = await request.app[doors.DOORS].social.begin(provider, redirect_uri, query.invite)
    response = _see_other(departure.url)
    response.set_cookie(
        COOKIE,
        departure.cookie,
        max_age=LIFETIME_S,
        path=_FOLDER,
        secure=redirect_uri.startswith("https:"),
        httponly=True,
        samesite="Lax",
    )
    return response


@_as_page
async def come_back(request: web.Request) -> web.StreamResponse:
    """GET /accounts/{provider}/login/callback/: sign the browser in, and show the start page."""
    query, app = routing.query(request, CallbackQuery), request.app
    arrival = Arrival(state=query.state, code=query.code, error=query.error, issuer=query.iss)
    cookie = request.cookies.get(COOKIE, "")[:_COOKIE_MAX]
    account = await app[doors.DOORS].social.finish(request.match_info["provider"], arrival, cookie)
    value = await app[identity.IDENTITY].sessions.create(
        Subject(SubjectKind.ACCOUNT, account.id), generation=account.generation
    )
    response = _see_other("/")
    cookies.set_session(request, response, value)
    response.del_cookie(COOKIE, path=_FOLDER, httponly=True, samesite="Lax")
    return response


def _loopback(request: web.Request) -> str:
    """Our address as a browser on this very computer sees it. Raises NotPermitted for any other browser."""
    host = request.app[keys.PEERS].host(request)
    if name_of(host) not in _LOOPBACK or not request.app[keys.PEERS].is_on_host(request):
        raise NotPermitted(
            "Signing in this way needs the setting http.public_url; the host's owner can set it.",
            reason="no_public_url",
        )
    return request.app[keys.ORIGINS].own(request)


def _to_public(base: str, provider: str, query: LoginQuery) -> web.Response:
    """To the same page under the public address, because the cookie must be set where the provider leads back to."""
    parameters = {"moved": "true", **({"invite": query.invite} if query.invite else {})}
    return _see_other(f"{base}{_FOLDER}{provider}/login/?{urlencode(parameters)}")


def _see_other(url: str) -> web.Response:
    return web.Response(status=303, headers={hdrs.LOCATION: url, hdrs.CACHE_CONTROL: "no-store"})


def _page(failure: failures.Failure) -> web.Response:
    """What went wrong, for a person."""
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Not signed in</title><h1>Not signed in</h1><p>{html.escape(failure.message)}</p>"
        '<p><a href="/">Back</a></p></html>'
    )
    headers = {hdrs.CACHE_CONTROL: "no-store", **failure.headers}
    return web.Response(status=failure.status, text=text, content_type=HTML, headers=headers)


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/accounts/{provider}/login/",
        handler=begin,
        access=Access.PUBLIC,
        rate=Rate.AUTH,
        summary="Send a browser to a login provider.",
        query=LoginQuery,
        content_type=HTML,
        errors=(403, 404, 503),
    ),
    Route(
        method="GET",
        path="/accounts/{provider}/login/callback/",
        handler=come_back,
        access=Access.PUBLIC,
        rate=Rate.AUTH,
        summary="Take back a browser from a login provider, and sign it in.",
        query=CallbackQuery,
        content_type=HTML,
        errors=(401, 403, 404, 503),
    ),
)
