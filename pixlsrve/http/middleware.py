"""The one gate that every request passes: number, host, credential, rate limit, inputs, and errors as answers.

One function instead of a stack of middlewares, because each layer costs some microseconds of every thumbnail.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping

import msgspec
import structlog
from aiohttp import HttpVersion11, hdrs, web
from multidict import CIMultiDict

from pixlsrve.errors import InvalidInput, NotAuthenticated, NotPermitted, PathTraversal, PixlsrveError, RateLimited
from pixlsrve.http import failures, inputs, keys
from pixlsrve.http.credentials import Callers, Credential, Tickets
from pixlsrve.http.hosts import Hosts
from pixlsrve.http.limits import RateLimiter, address_key
from pixlsrve.http.metrics import Tally
from pixlsrve.http.origins import Origins
from pixlsrve.http.peers import Peers
from pixlsrve.http.routing import Access, Handler, Rate, Route
from pixlsrve.http.running import Running
from pixlsrve.model import Principal, Role

log = structlog.get_logger(__name__)

_NO_ROUTE = "(none)"
_AT_ONCE_BYTES = 64 * 1024
_PAGE_POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
"""Of pages that bring no stricter one."""
ALWAYS = CIMultiDict(
    {
        "Server": "pixlsrve",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)
"""The fields of every answer."""


class _Checks:
    """What can be worked out of a route before its first request."""

    __slots__ = (
        "body",
        "has_ids",
        "is_asked_for",
        "is_by_address",
        "is_plain",
        "name",
        "needs_admin",
        "query",
        "rate",
        "route",
    )

    def __init__(self, route: Route) -> None:
        self.route = route
        self.name = f"{route.method} {route.path}"
        self.rate = route.rate
        self.query = inputs.QueryCheck(route.query) if route.query is not None else None
        self.body = inputs.BodyCheck(route.body) if route.body is not None else None
        self.has_ids = "{" in route.path and failures.is_api(route.path)
        self.is_asked_for = route.is_asked_for
        self.is_by_address = route.rate is Rate.AUTH
        self.is_plain = route.access in {Access.MEMBER, Access.ADMIN} and not route.has_ticket
        self.needs_admin = route.access in {Access.ADMIN, Access.HOST}


class Gate:
    """Decides about each request before its handler runs, and turns what goes wrong into answers.

    It wraps the handlers and is no middleware of the framework's, whose machinery costs as much as all checks together.
    """

    def __init__(
        self,
        *,
        callers: Callers,
        limiter: RateLimiter,
        hosts: Hosts,
        peers: Peers,
        origins: Origins,
        tickets: Tickets,
        running: Running,
        tally: Tally,
    ) -> None:
        self._identify_caller = callers.identify
        self._callers = callers
        self._limiter = limiter
        self._hosts = hosts
        self._peers = peers
        self._origins = origins
        self._tickets = tickets
        self._running = running
        self._tally = tally
        # A number that starts anywhere keeps the ids of two runs apart in one log.
        self._numbers = itertools.count(secrets.randbits(40) << 20)

    def guard(self, route: Route) -> Handler:
        """The handler of `route` behind all checks that it declares."""
        checks = _Checks(route)
        handler, count, name = route.handler, self._tally.count, checks.name
        begin, end = self._running.begin, self._running.end

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                await self._admit(request, checks)
                begin(request)
                try:
                    response = await handler(request)
                    if isinstance(response, web.Response) and _is_large(response):
                        # Sent from here, so that it counts as being answered until the client has it.
                        await response.prepare(request)
                        await response.write_eof()
                finally:
                    end(request)
            except Exception as error:  # noqa: BLE001  # every failure becomes an answer here, and only here
                response = self._failed(request, error, name)
            count(name, response.status)
            return response

        return guarded

    def new_id(self) -> str:
        """The number of one more request."""
        return f"{next(self._numbers):x}"

    def guard_rest(self) -> Handler:
        """The handler of every request that no route answers."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                response = await self._refuse(request)
            except Exception as error:  # noqa: BLE001  # as above
                response = self._failed(request, error, _NO_ROUTE)
            self._tally.count(_NO_ROUTE, response.status)
            return response

        return guarded

    def count_malformed(self, address: str) -> Mapping[str, str]:
        """Count what was no HTTP request; the headers of its answer."""
        verdict = self._limiter.check(Rate.OTHER, address_key(address))
        return {} if verdict is None else verdict.headers()

    async def _admit(self, request: web.Request, checks: _Checks) -> None:
        """Check what the route declares, in the order in which a stranger may learn of it. Raises PixlsrveError."""
        self._begin(request, checks.rate)
        if checks.is_plain:
            principal: Principal | None
            try:
                principal = await self._identify_caller(request)
            except (NotAuthenticated, NotPermitted):
                self._count(request, checks.rate, self._address(request))
                raise
            request[keys.PRINCIPAL] = principal
        else:
            try:
                await self._identify(request, checks)
            except NotPermitted:
                self._count(request, checks.rate, self._address(request))
                raise
            principal = request.get(keys.PRINCIPAL)
        if checks.rate is not Rate.FREE and not (checks.is_asked_for is not None and checks.is_asked_for(request)):
            if principal is None or checks.is_by_address:
                self._count(request, checks.rate, self._address(request))
            else:
                self._count(request, checks.rate, principal.device_id or principal.account_id or principal.id)
        if checks.needs_admin and principal is not None and principal.role is not Role.ADMIN:
            if checks.route.access is not Access.HOST or not self._peers.is_on_host(request):
                raise NotPermitted("This needs an administrator's token.")
            self._origins.check_page(request)
        if checks.has_ids:
            inputs.check_segments(request.match_info.values())
        if checks.query is not None:
            request[keys.QUERY] = checks.query(request)
        if checks.body is not None:
            request[keys.BODY] = await checks.body(request)
            if principal is not None:
                await self._check_again(request, principal)

    def _begin(self, request: web.Request, rate: Rate) -> None:
        """Number the request and check its Host (THREATS T27) and Expect. One that is refused counts for its address.

        `request.host` is the request target's where that names one (RFC 9112 §3.2.2).
        """
        request[keys.REQUEST_ID] = self.new_id()
        if len(request.headers.getall(hdrs.HOST, ())) != 1:
            self._count(request, rate, self._address(request))
            raise InvalidInput("A request needs exactly one Host header.", reason="bad_host")
        host = self._peers.host(request)
        if not self._hosts.is_ours(host):
            self._count(request, rate, self._address(request))
            raise MisdirectedRequest(host)
        if hdrs.EXPECT in request.headers and request.version >= HttpVersion11 and not _waits(request):
            self._count(request, rate, self._address(request))
            raise web.HTTPExpectationFailed

    async def _refuse(self, request: web.Request) -> web.StreamResponse:
        """404 or 405, counted like everything else. Raises always."""
        self._begin(request, Rate.OTHER)
        self._count(request, Rate.OTHER, self._address(request))
        if failures.is_api(request.path) and inputs.has_traversal(request.path):
            raise PathTraversal("The address climbs out of the API.")
        allowed: set[str] = set()
        for resource in request.app.router.resources():
            if resource is not request.match_info.route.resource:
                allowed |= (await resource.resolve(request))[1]
        if allowed:
            raise web.HTTPMethodNotAllowed(request.method, allowed)
        raise web.HTTPNotFound

    async def _identify(self, request: web.Request, checks: _Checks) -> None:
        """Find out who asks, where a token is not the only way in. Raises NotAuthenticated, NotPermitted."""
        access = checks.route.access
        if access is Access.PUBLIC:
            self._origins.check_page(request)
            return
        try:
            if checks.route.has_ticket:
                credential = self._ticket_or_credential(request)
                request[keys.PRINCIPAL] = await self._callers.resolve(credential)
                request[keys.CREDENTIAL] = credential
            else:
                request[keys.PRINCIPAL] = await self._identify_caller(request)
        except NotAuthenticated:
            # Where nearness is enough, an outdated token must not shut the door that no token would open.
            is_near_enough = (access is Access.LAN and self._peers.is_near(request)) or (
                access is Access.HOST and self._peers.is_on_host(request)
            )
            if is_near_enough:
                self._origins.check_page(request)
                return
            self._count(request, checks.rate, self._address(request))
            raise

    def _ticket_or_credential(self, request: web.Request) -> Credential:
        """The credential behind a ticket, else the request's own. Raises NotAuthenticated."""
        if "ticket" in request.query and hdrs.AUTHORIZATION not in request.headers:
            return self._tickets.redeem(request.query["ticket"])
        return self._callers.credential(request)

    async def _check_again(self, request: web.Request, principal: Principal) -> None:
        """Refuse a body whose sender has lost rights while it was on its way (THREATS T7). Raises NotAuthenticated."""
        if await self._callers.identify_again(request) != principal:
            raise NotAuthenticated("Your rights changed while the request was arriving; send it again.")

    def _address(self, request: web.Request) -> str:
        return address_key(self._peers.address(request))

    def _count(self, request: web.Request, rate: Rate, source: str) -> None:
        """Count the request. Raises RateLimited."""
        verdict = self._limiter.check(rate, source)
        if verdict is None:
            return
        request[keys.VERDICT] = verdict
        if not verdict.is_allowed:
            raise RateLimited("Too many requests; wait a little.", retry_after_s=verdict.retry_after_s)

    def _failed(self, request: web.Request, error: Exception, route: str) -> web.StreamResponse:
        """The answer to a request that failed; raises where there is nobody or no way left to answer."""
        has_begun = request.writer is not None and request.writer.output_size > 0
        if isinstance(error, ConnectionError) and not isinstance(error, web.HTTPException):
            raise error
        failure = _explain(request, error)
        if failure is None:
            raise error
        if failure.status == 500 or (has_begun and not isinstance(error, PixlsrveError)):
            log.error("request failed", request_id=request.get(keys.REQUEST_ID), route=route, exc_info=error)
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


def _is_large(response: web.Response) -> bool:
    """Whether the body is more than what the transport takes without waiting for the client."""
    body = response.body
    return isinstance(body, bytes) and len(body) > _AT_ONCE_BYTES


def _explain(request: web.Request, error: Exception) -> failures.Failure | None:
    """What to tell the client; None for the framework's answers that are no errors."""
    if isinstance(error, MisdirectedRequest):
        return msgspec.structs.replace(failures.from_error(error), status=421, code=failures.code_of(421))
    if isinstance(error, PixlsrveError):
        return failures.from_error(error)
    if isinstance(error, web.HTTPException):
        return failures.from_http(error) if error.status >= 400 else None
    if isinstance(error, web.RequestPayloadError):
        return failures.from_status(400, "The body is damaged.")
    return failures.internal(request.get(keys.REQUEST_ID, ""))


async def proceed(request: web.Request) -> None:
    """Answer 100 to a client that waits for it; what else one expects is the gate's affair (RFC 9110 §10.1.1)."""
    if request.version >= HttpVersion11 and _waits(request):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


def _waits(request: web.Request) -> bool:
    """Whether the client waits with its body for a 100."""
    return request.headers.get(hdrs.EXPECT, "").lower() == "100-continue"


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """What every answer carries; runs as each answer is prepared, so that streams and websockets have it too."""
    headers = response.headers
    for name, value in ALWAYS.items():
        headers.setdefault(name, value)
    headers["Server"] = ALWAYS["Server"]  # the framework has put its own there
    if headers.get(hdrs.CONTENT_TYPE, "").startswith("text/html"):
        headers.setdefault("Content-Security-Policy", _PAGE_POLICY)
    request_id = request.get(keys.REQUEST_ID)
    if request_id is not None:
        headers["X-Request-Id"] = request_id
    verdict = request.get(keys.VERDICT)
    if verdict is not None:
        headers["X-RateLimit-Limit"] = str(verdict.limit)
        headers["X-RateLimit-Remaining"] = str(verdict.remaining)
        headers["X-RateLimit-Reset"] = str(verdict.reset)
