"""The pages for people with a browser: `/`, `/login` and `/pair`, and the files that belong to them.

They are plain HTML with one small script each, and hold no data: what they show, they ask of the API.
"""

from __future__ import annotations

from importlib import resources

from aiohttp import web

from pixlsrve.http.routing import Access, Handler, Rate, Route

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""Scripts send the forms; without them nothing is sent, least of all a password in an address."""
_HTML, _CSS, _JS, _SVG = "text/html", "text/css", "text/javascript", "image/svg+xml"
_FILES = (
    ("/", "home.html", _HTML, "The start page."),
    ("/login", "login.html", _HTML, "The page to sign in with a name and a password."),
    ("/pair", "pair.html", _HTML, "The page that a pairing code leads to."),
    ("/static/home.js", "home.js", _JS, "The start page's script."),
    ("/static/login.js", "login.js", _JS, "The sign-in page's script."),
    ("/static/pair.js", "pair.js", _JS, "The pairing page's script."),
    ("/static/common.js", "common.js", _JS, "What the pages' scripts share."),
    ("/static/pages.css", "pages.css", _CSS, "How the pages look."),
    ("/static/icon.svg", "icon.svg", _SVG, "The pages' icon."),
)


def _serve(name: str, type_: str) -> Handler:
    """The handler that answers with a file of this package, read once."""
    body = resources.files(__name__).joinpath(name).read_bytes()
    content_type = type_ if type_ == _SVG else f"{type_}; charset=utf-8"
    headers = {"Content-Type": content_type, "Cache-Control": "no-cache"}
    if type_ == _HTML:
        headers |= {"Content-Security-Policy": POLICY, "Cross-Origin-Opener-Policy": "same-origin"}

    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=body, headers=headers)

    return serve


ROUTES: tuple[Route, ...] = tuple(
    Route(
        method="GET",
        path=path,
        handler=_serve(name, type_),
        access=Access.PUBLIC,
        rate=Rate.FREE,
        summary=summary,
        content_type=type_,
    )
    for path, name, type_, summary in _FILES
)
