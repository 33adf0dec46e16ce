"""The requests that are being answered, so that those of a withdrawn credential can be cut off (THREATS T7)."""

from __future__ import annotations

from contextvars import ContextVar

from aiohttp import web

from pixlsrve.errors import NotAuthenticated
from pixlsrve.http import keys
from pixlsrve.http.credentials import Callers
from pixlsrve.http.guard import cut

_asking: ContextVar[web.Request | None] = ContextVar("asking", default=None)
"""The request on whose behalf something runs; tasks that a handler starts inherit it."""


class Running:
    """Remembers who is being answered; a websocket is one long answer, which the hub ends in its own words."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._requests: dict[int, web.Request] = {}

    @property
    def count(self) -> int:
        """How many requests are being answered."""
        return len(self._requests)

    def begin(self, request: web.Request) -> None:
        """The request's handler begins."""
        self._requests[id(request)] = request
        _asking.set(request)

    def end(self, request: web.Request) -> None:
        """The request's handler has ended."""
        self._requests.pop(id(request), None)

    async def recheck(self) -> None:
        """Somebody's rights have changed: break off answers to credentials that are over or mean less by now.

        The very request that changed the rights is spared, since its sender waits for the answer.
        """
        own = _asking.get()
        for request in list(self._requests.values()):
            if request is own or keys.PRINCIPAL not in request or keys.CREDENTIAL in request:
                continue
            if not await self._is_still_allowed(request) and request.transport is not None:
                cut(request.transport)

    async def _is_still_allowed(self, request: web.Request) -> bool:
        try:
            return await self._callers.identify_again(request) == request[keys.PRINCIPAL]
        except NotAuthenticated:
            return False
