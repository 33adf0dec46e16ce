"""Which origin a request was sent to and from which page, so that foreign pages can't use a browser's cookie (T28)."""

from __future__ import annotations

from aiohttp import hdrs, web

from pixlsrve.errors import NotPermitted
from pixlsrve.http.peers import Peers

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""They change nothing on any route (RFC 9110 §9.2.1)."""
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class Origins:
    """Compares origins exactly: scheme, host and port (RFC 6454 §5)."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    def is_secure(self, request: web.Request) -> bool:
        """Whether the client speaks TLS, with us or with a trusted proxy."""
        return self._peers.scheme(request) == "https"

    def own(self, request: web.Request) -> str:
        """The origin that the request was sent to, as a browser writes it."""
        scheme = self._peers.scheme(request)
        host = self._peers.host(request).lower()
        return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}"

    def is_ours(self, request: web.Request) -> bool | None:
        """Whether the page that sent the request is one of ours; None where it doesn't say: a program, or a link."""
        origins = request.headers.getall(hdrs.ORIGIN, None)
        if origins is not None:
            return len(origins) == 1 and origins[0] == self.own(request)
        site = request.headers.get("Sec-Fetch-Site")
        return None if site is None or site == "none" else site == "same-origin"

    def check_page(self, request: web.Request) -> None:
        """Refuse what a foreign page sends without a token of its own. Raises NotPermitted."""
        if request.method not in SAFE_METHODS and self.is_ours(request) is False:
            raise _foreign()

    def check_cookie_use(self, request: web.Request) -> None:
        """A cookie counts for a change only where the page is known to be ours. Raises NotPermitted."""
        if request.method not in SAFE_METHODS and not self.is_ours(request):
            raise _foreign()

    def check_socket(self, request: web.Request) -> None:
        """Only our pages, and programs, which send no Origin, may open a websocket. Raises NotPermitted."""
        if hdrs.ORIGIN in request.headers and not self.is_ours(request):
            raise _foreign()


def _foreign() -> NotPermitted:
    return NotPermitted(
        "This was sent by a page of another origin; behind a proxy that ends TLS, name it in http.trusted_proxies.",
        reason="foreign_origin",
    )
