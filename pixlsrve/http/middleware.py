"""The one gate that every request passes: number, host, credential, rate limit, inputs, and errors as answers.

One function instead of a stack of middlewares, because each layer costs some microseconds of every thumbnail.
"""

from __future__ import annotations

import itertools
import secrets

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from pixlsrve.errors import InvalidInput, NotAuthenticated, NotPermitted, PathTraversal, PixlsrveError, RateLimited
from pixlsrve.http import failures, inputs, keys
from pixlsrve.http.credentials import Authenticator, Tickets, bearer_token
from pixlsrve.http.hosts import Hosts
from pixlsrve.http.limits import RateClass, RateLimiter, address_key
from pixlsrve.http.metrics import Tally
from pixlsrve.http.peers import Peers
from pixlsrve.http.routing import Access, Handler, Rate, Route
from pixlsrve.model import Principal, Role

log = structlog.get_logger(__name__)

_NO_ROUTE = "(none)"


class Checked:
    """A route with everything that can be worked out before its first request."""

    __slots__ = ("body", "has_ids", "is_public", "name", "query", "rate", "route")

    def __init__(self, route: Route) -> None:
        self.route = route
        self.name = f"{route.method} {route.path}"
        self.rate = None if route.rate is Rate.FREE else RateClass(route.rate.value)
        self.query = inputs.QueryCheck(route.query) if route.query is not None else None
        self.body = inputs.BodyCheck(route.body) if route.body is not None else None
        self.has_ids = "{" in route.path and failures.is_api(route.path)
        self.is_public = route.access is Access.PUBLIC


class Gate:
    """Decides about each request before its handler runs, and turns what goes wrong into answers."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        limiter: RateLimiter,
        hosts: Hosts,
        peers: Peers,
        tickets: Tickets,
        tally: Tally,
    ) -> None:
        self._authenticator = authenticator
        self._limiter = limiter
        self._hosts = hosts
        self._peers = peers
        self._tickets = tickets
        self._tally = tally
        self._checked: dict[web.AbstractRoute, Checked] = {}
        # A number that starts anywhere keeps the ids of two runs apart in one log.
        self._numbers = itertools.count(secrets.randbits(40) << 20)

    def register(self, registered: web.AbstractRoute, route: Route) -> None:
        """Guard what aiohttp calls `registered` as `route` declares; without this it can't be called (T13)."""
        self._checked[registered] = Checked(route)

    def middleware(self) -> Middleware:
        """The gate as aiohttp wants it."""

        @web.middleware
        async def pass_gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            checked = self._checked.get(request.match_info.route)
            try:
                response = await self._answer(request, handler, checked)
            except Exception as error:  # noqa: BLE001  # every failure becomes an answer here, and only here
                response = self._failed(request, error, checked)
            self._tally.count(_NO_ROUTE if checked is None else checked.name, response.status)
            return response

        return pass_gate

    async def _answer(self, request: web.Request, handler: Handler, checked: Checked | None) -> web.StreamResponse:
        """The handler's answer, once the request has passed every check."""
        request[keys.REQUEST_ID] = f"{next(self._numbers):x}"
        self._check_host(request)
        if checked is None:
            return self._no_route(request)
        request[keys.ROUTE] = checked.route
        await self._admit(request, checked)
        if checked.has_ids:
            inputs.check_segments(request.match_info.values())
        if checked.query is not None:
            request[keys.QUERY] = checked.query(request)
        if checked.body is not None:
            request[keys.BODY] = await checked.body(request)
        return await handler(request)

    def _check_host(self, request: web.Request) -> None:
        """THREATS T27. `request.host` is the request target's, where that names one (RFC 9112 §3.2.2)."""
        if len(request.headers.getall(hdrs.HOST, ())) != 1:
            raise InvalidInput("A request needs exactly one Host header.", reason="bad_host")
        if not self._hosts.is_ours(request.host):
            raise MisdirectedRequest(request.host)

    def _no_route(self, request: web.Request) -> web.StreamResponse:
        """404 or 405 for what no route answers, counted like everything else."""
        self._count(request, RateClass.OTHER, self._address(request))
        if failures.is_api(request.path) and inputs.has_traversal(request.path):
            raise PathTraversal("The address climbs out of the API.")
        exception = request.match_info.http_exception
        if exception is None:
            raise RuntimeError(f"{request.match_info.route} was added without a declaration")
        raise exception

    async def _admit(self, request: web.Request, checked: Checked) -> None:
        """Find out who asks and whether they may, and count the request, also when they may not."""
        principal: Principal | None = None
        try:
            if not checked.is_public:
                principal = await self._identify(request, checked.route)
        except NotAuthenticated:
            self._count(request, checked.rate, self._address(request))
            raise
        if checked.rate is not None:
            if principal is None or checked.rate is RateClass.AUTH:
                self._count(request, checked.rate, self._address(request))
            else:
                self._count(request, checked.rate, _source(principal))
        if principal is not None:
            request[keys.PRINCIPAL] = principal
            needs_admin = checked.route.access in {Access.ADMIN, Access.HOST}
            if needs_admin and principal.role is not Role.ADMIN:
                raise NotPermitted("This needs an administrator's token.")

    async def _identify(self, request: web.Request, route: Route) -> Principal | None:
        """Who asks; None only where being near is enough. Raises NotAuthenticated."""
        try:
            token = request[keys.TOKEN] = self._token(request, route)
            return await self._authenticator.authenticate(token)
        except NotAuthenticated:
            # Where nearness is enough, an outdated token must not shut the door that no token would open.
            if route.access is Access.LAN and self._peers.is_near(request):
                return None
            if route.access is Access.HOST and self._peers.is_on_host(request):
                return None
            raise

    def _token(self, request: web.Request, route: Route) -> str:
        """The access token, from the header or behind a ticket. Raises NotAuthenticated."""
        token = bearer_token(request)
        if token is None and route.has_ticket and "ticket" in request.query:
            token = self._tickets.redeem(request.query["ticket"])
        if token is None:
            raise NotAuthenticated("This needs a token: send `Authorization: Bearer TOKEN`.")
        return token

    def _address(self, request: web.Request) -> str:
        return address_key(self._peers.address(request))

    def _count(self, request: web.Request, rate: RateClass | None, source: str) -> None:
        """Count the request. Raises RateLimited."""
        verdict = None if rate is None else self._limiter.check(rate, source)
        if verdict is None:
            return
        request[keys.VERDICT] = verdict
        if not verdict.is_allowed:
            raise RateLimited("Too many requests; wait a little.", retry_after_s=verdict.retry_after_s)

    def _failed(self, request: web.Request, error: Exception, checked: Checked | None) -> web.StreamResponse:
        """The answer to a request that failed; raises where there is nobody or no way left to answer."""
        has_begun = request.writer is not None and request.writer.output_size > 0
        if isinstance(error, ConnectionError) and not isinstance(error, web.HTTPException):
            raise error
        failure = _explain(request, error)
        if failure is None:
            raise error
        if failure.status == 500 or (has_begun and not isinstance(error, PixlsrveError)):
            name = _NO_ROUTE if checked is None else checked.name
            log.error("request failed", request_id=request.get(keys.REQUEST_ID), route=name, exc_info=error)
        if has_begun:
            raise ConnectionResetError("the answer had begun, so that only cutting it off tells the client") from error
        return failures.respond(failure, request.path)


class MisdirectedRequest(PixlsrveError):
    """A Host that isn't ours: HTTP 421."""

    reason = "unknown_host"

    def __init__(self, host: str) -> None:
        super().__init__(
            f"This host is not known as {host[:100]!r}; where it should be, add the name to the setting http.hosts."
        )


def _explain(request: web.Request, error: Exception) -> failures.Failure | None:
    """What to tell the client; None for the framework's answers that are no errors."""
    if isinstance(error, MisdirectedRequest):
        return failures.from_status(421, error.message)
    if isinstance(error, PixlsrveError):
        return failures.from_error(error)
    if isinstance(error, web.HTTPException):
        return failures.from_http(error) if error.status >= 400 else None
    if isinstance(error, web.RequestPayloadError):
        return failures.from_status(400, "The body is damaged.")
    return failures.internal(request.get(keys.REQUEST_ID, ""))


def _source(principal: Principal) -> str:
    """What a known caller's requests are counted under: the device, else the account, else the token."""
    return principal.device_id or principal.account_id or principal.id


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """What every answer carries; runs as each answer is prepared, so that streams and websockets have it too."""
    headers = response.headers
    headers["Server"] = "pixlsrve"
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    request_id = request.get(keys.REQUEST_ID)
    if request_id is not None:
        headers["X-Request-Id"] = request_id
    verdict = request.get(keys.VERDICT)
    if verdict is not None:
        headers["X-RateLimit-Limit"] = str(verdict.limit)
        headers["X-RateLimit-Remaining"] = str(verdict.remaining)
        headers["X-RateLimit-Reset"] = str(verdict.reset)
