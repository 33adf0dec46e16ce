"""The short way for cached thumbnails: one look at the bytes of a request, one write, no framework in between.

A phone asks for hundreds of pictures in one scroll with the same header each time, and the framework takes nine tenths
of the time of such an answer. Only the plainest request goes this way: the whole of it in one piece, a bearer token, no
field that could change the answer, and a thumbnail that is in memory. It passes the same checks of host, credential and
rate as behind the gate and gets the same answer; all else, every refusal included, is left to the framework, before
anything was counted or written.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

from pixlsrve.errors import PixlsrveError
from pixlsrve.http import library
from pixlsrve.http.conditions import format_http_date
from pixlsrve.http.hosts import Hosts
from pixlsrve.http.limits import RateLimiter
from pixlsrve.http.metrics import Tally
from pixlsrve.http.routing import Rate
from pixlsrve.media.thumbnails import SIDES_PX
from pixlsrve.model import Principal

REQUEST_MAX_BYTES = 4_096
ANSWER_MAX_BYTES = 60 * 1024
"""What a transport takes without waiting for the client."""
_HEADERS_KEPT = 256

_START = b"GET /api/v1/photos/"
_LINE = re.compile(
    rb"GET /api/v1/photos/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/thumbnail"
    rb"(?:\?size=(small|medium|large)(?:&v=[0-9A-Za-z_-]{0,64})?"
    rb"|\?v=[0-9A-Za-z_-]{0,64}(?:[&?]size=(small|medium|large))?)? HTTP/1\.1"
)
"""The request lines that clients make of `thumbnail_url`."""
_FIELD = re.compile(rb"([A-Za-z-]+):[ \t]*([!-~](?:[ -~]*[!-~])?)?[ \t]*")
_INDIFFERENT = frozenset(
    (b"user-agent", b"accept", b"accept-encoding", b"accept-language", b"referer", b"dnt", b"priority")
)
"""Fields that change nothing about a thumbnail."""
_TOKEN = re.compile(rb"[Bb]earer +([0-9A-Za-z._~+/=-]+)")
_NAME = "GET /api/v1/photos/{id}/thumbnail"


class _Header(NamedTuple):
    """What the fields of a request say."""

    host: str
    token: str


class Express:
    """Answers cached thumbnails. `always` are the fields of every answer, `new_id` numbers the requests."""

    def __init__(
        self,
        app: web.Application,
        *,
        authenticate: Callable[[str], Awaitable[Principal]],
        limiter: RateLimiter,
        hosts: Hosts,
        tally: Tally,
        new_id: Callable[[], str],
        always: str,
    ) -> None:
        self._app = app
        self._authenticate = authenticate
        self._limiter = limiter
        self._hosts = hosts
        self._tally = tally
        self._new_id = new_id
        self._always = always
        self._headers: dict[bytes, _Header | None] = {}
        self._date = (0, "")

    def answer(self, data: bytes) -> bytes | None:
        """The whole answer to a whole request; None for what must go the long way."""
        if not data.startswith(_START) or len(data) > REQUEST_MAX_BYTES:
            return None
        line, _, fields = data.partition(b"\r\n")
        asked = _LINE.fullmatch(line)
        if asked is None:
            return None
        header = self._header(fields)
        if header is None or not self._hosts.is_ours(header.host):
            return None
        principal = self._caller(header.token)
        if principal is None:
            return None
        side_px = SIDES_PX[(asked[2] or asked[3] or b"medium").decode()]
        thumbnail = self._app[library.THUMBNAILS].held(asked[1].decode(), side_px, viewer=principal.roots)
        if thumbnail is None or len(thumbnail.jpeg) > ANSWER_MAX_BYTES:
            return None
        limits = self._count(principal)
        if limits is None:
            return None
        self._tally.count(_NAME, 200)
        return (
            "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"
            f'ETag: "{thumbnail.etag}"\r\nCache-Control: {self._app[library.THUMBNAIL_CACHING]}, {library.YEAR}\r\n'
            f"Accept-Ranges: bytes\r\nContent-Length: {len(thumbnail.jpeg)}\r\nDate: {self._now()}\r\n"
            f"{self._always}X-Request-Id: {self._new_id()}\r\n{limits}\r\n"
        ).encode() + thumbnail.jpeg

    def _header(self, fields: bytes) -> _Header | None:
        """What the fields say; read once, because a client sends the same ones each time."""
        try:
            return self._headers[fields]
        except KeyError:
            if len(self._headers) >= _HEADERS_KEPT:
                self._headers.clear()
            found = self._headers[fields] = _parse(fields)
            return found

    def _caller(self, token: str) -> Principal | None:
        """Whose token this is now; None where it is nobody's, or where finding out takes time."""
        finding = self._authenticate(token).__await__()
        try:
            next(finding)
        except StopIteration as found:
            principal: Principal = found.value
            return principal
        except PixlsrveError:
            return None
        finding.close()
        return None

    def _count(self, principal: Principal) -> str | None:
        """Count the request; the fields that say so, or None where it is one too many (that is not counted)."""
        source = principal.device_id or principal.account_id or principal.id
        verdict = self._limiter.check(Rate.THUMBNAILS, source)
        if verdict is None:
            return ""
        if not verdict.is_allowed:
            return None
        return (
            f"X-RateLimit-Limit: {verdict.limit}\r\nX-RateLimit-Remaining: {verdict.remaining}\r\n"
            f"X-RateLimit-Reset: {verdict.reset}\r\n"
        )

    def _now(self) -> str:
        """The Date field, made once a second."""
        now_s = int(time.time())
        if self._date[0] != now_s:
            self._date = (now_s, format_http_date(now_s))
        return self._date[1]


def _parse(fields: bytes) -> _Header | None:
    """Host and token of a header's fields up to its empty line; None where anything else is in them.

    No field twice, no folded line, no bare line feed, nothing after the end (RFC 9112 §2.2, §5.2).
    """
    *lines, last, rest = fields.split(b"\r\n")
    if last or rest:
        return None
    found: dict[bytes, bytes] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None or (name := field[1].lower()) in found:
            return None
        found[name] = field[2] or b""
    token = _TOKEN.fullmatch(found.pop(b"authorization", b""))
    host = found.pop(b"host", b"")
    if token is None or not host or found.pop(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    if not found.keys() <= _INDIFFERENT:
        return None
    return _Header(host.decode(), token[1].decode())


def is_complete(data: bytes) -> bool:
    """Whether these bytes, the first of a request, are certainly one whole request without a body."""
    if not data.endswith(b"\r\n\r\n") or data.count(b"\n\r\n") != 1 or not data.startswith((b"GET ", b"HEAD ")):
        return False
    lower = data.lower()
    return not any(name in lower for name in (b"content-length", b"transfer-encoding", b"upgrade", b"expect"))
