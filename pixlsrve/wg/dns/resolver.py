"""Finds answers: our own, kept ones, and those of other resolvers, each asked for once at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pixlsrve.wg.dns import message
from pixlsrve.wg.dns.cache import AnswerCache
from pixlsrve.wg.dns.forwarder import Forwarder, NoAnswer
from pixlsrve.wg.dns.message import Answer, Query
from pixlsrve.wg.dns.zone import Zone

ASKED_MAX = 256
"""Different questions that other resolvers are asked at one time."""
STALE_TTL_S = 30
"""RFC 8767 §4: what an answer past its time is good for."""


class Resolver:
    """Answers queries. `is_failing` says whether the last question to other resolvers went unanswered."""

    def __init__(self, zone: Zone, forwarder: Forwarder, clock: Callable[[], float]) -> None:
        self._zone = zone
        self._forwarder = forwarder
        self._clock = clock
        self._cache = AnswerCache()
        self._asked: dict[bytes, asyncio.Task[Answer]] = {}
        self.is_failing = False

    def find(self, query: Query) -> Answer | None:
        """The answer that can be given at once; None when others have to be asked."""
        if query.rcode:
            return Answer(rcode=query.rcode)
        answer = self._zone.answer(query) or self._cache.get(query.key, self._clock())
        if answer is None and not query.is_recursive:
            return Answer(rcode=message.REFUSED)
        return answer

    def fetch(self, query: Query) -> asyncio.Task[Answer] | None:
        """What finds the answer of other resolvers (SERVFAIL when there is none); None when there are too many tasks.

        Many may wait for it, so nobody but `close` may cancel it.
        """
        task = self._asked.get(query.key)
        if task is None and len(self._asked) < ASKED_MAX:
            task = asyncio.create_task(self._ask(query))
            self._asked[query.key] = task
            task.add_done_callback(lambda _: self._asked.pop(query.key, None))
        return task

    def forget(self) -> None:
        """Drop what was kept: the resolvers are others now, and may answer otherwise."""
        self._cache.clear()

    async def close(self) -> None:
        """End what is still being asked."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, query: Query) -> Answer:
        try:
            answer = await self._forwarder.ask(query)
        except NoAnswer:
            self.is_failing = True
            return self._stale(query) or Answer(rcode=message.SERVFAIL)
        self.is_failing = False
        if answer.rcode == message.SERVFAIL:
            return self._stale(query) or self._kept(query, answer)
        return self._kept(query, answer)

    def _kept(self, query: Query, answer: Answer) -> Answer:
        self._cache.put(query.key, answer)
        return answer

    def _stale(self, query: Query) -> Answer | None:
        """What was true once (RFC 8767)."""
        answer = self._cache.get_stale(query.key, self._clock())
        if answer is None or answer.rcode == message.SERVFAIL:
            return None
        return Answer(rcode=answer.rcode, counts=answer.counts, records=answer.records_with_ttl(STALE_TTL_S))
