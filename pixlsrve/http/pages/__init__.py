"""The pages for people with a browser: `/`, `/login` and `/pair`, and the files that belong to them.

They are plain HTML with one small script each, and hold no data: what they show, they ask of the API.
"""

from __future__ import annotations

from importlib import resources

from aiohttp import web

from pixlsrve.http.reach import REACH
from pixlsrve.http.routing import Access, Handler, Rate, Route

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; img-src 'self'"
)
"""Scripts send the forms; without them nothing is sent, least of all a password in an address. Pictures are last: the
host's own other origins follow them."""
_HTML, _CSS, _JS, _SVG = "text/html", "text/css", "text/javascript", "image/svg+xml"
_FILES = (
    ("/login", "login.html", _HTML, "The page to sign in with a name and a password."),
    ("/pair", "pair.html", _HTML, "The page that a pairing code leads to."),
    ("/away", "away.html", _HTML, "The page with this device's tunnel and every way to the host."),
    ("/static/away.js", "away.js", _JS, "The script of the page about being away."),
    ("/static/ways.js", "ways.js", _JS, "What finds another way to the host where one stops answering."),
    ("/static/home.js", "home.js", _JS, "The start page's script."),
    ("/static/login.js", "login.js", _JS, "The sign-in page's script."),
    ("/static/pair.js", "pair.js", _JS, "The pairing page's script."),
    ("/static/live.js", "live.js", _JS, "The live page's script."),
    ("/static/live.css", "live.css", _CSS, "How the live page looks."),
    ("/static/common.js", "common.js", _JS, "What the pages' scripts share."),
    ("/static/pages.css", "pages.css", _CSS, "How the pages look."),
    ("/static/icon.svg", "icon.svg", _SVG, "The pages' icon."),
)


def origins(request: web.Request) -> list[str]:
    """The origins of the ways to this host that a page asks for the host's mark when its own stops answering.

    Those by an address of IPv6 are not among them: no policy can name one (CSP3, section 2.3.1: host-part).
    """
    reach = request.app.get(REACH)
    ways = [] if reach is None else reach.ways()
    return [url for way in ways for url in (way.url, way.tls_url) if url is not None and "[" not in url]


def _serve(name: str, type_: str) -> Handler:
    """The handler that answers with a file of this package, read once."""
    body = resources.files(__name__).joinpath(name).read_bytes()
    content_type = type_ if type_ == _SVG else f"{type_}; charset=utf-8"
    headers = {"Content-Type": content_type, "Cache-Control": "no-cache"}
    if type_ == _HTML:
        headers["Cross-Origin-Opener-Policy"] = "same-origin"

    async def serve(request: web.Request) -> web.Response:
        if type_ != _HTML:
            return web.Response(body=body, headers=headers)
        policy = " ".join([POLICY, *origins(request)])
        return web.Response(body=body, headers={**headers, "Content-Security-Policy": policy})

    return serve


HOME = _serve("home.html", _HTML)
"""The start page where the gallery has not been built."""

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
