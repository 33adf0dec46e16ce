"""Takes messages from devices, over whatever they came, and has them answered: who may ask, and how much at once."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Callable

from pixlsrve.wg.dns import message
from pixlsrve.wg.dns.message import Answer, Malformed, Query
from pixlsrve.wg.dns.resolver import Resolver

PENDING_MAX = 512
"""Questions that wait for other resolvers, of all devices."""
PENDING_PER_CLIENT = 128
"""Of one device; a page with hundreds of names is no attack, but one device must not keep out the others."""
_REMEMBERED = 1_024


@functools.lru_cache(maxsize=_REMEMBERED)
def _parse(rest: bytes) -> Query | None:
    """The same question comes again and again; only its id differs."""
    try:
        return message.parse_query(rest)
    except Malformed:
        return None


class Desk:
    """Answers messages. `clock` is the loop's."""

    def __init__(self, resolver: Resolver, clock: Callable[[], float]) -> None:
        self._resolver = resolver
        self._clock = clock
        self._pending: Counter[str] = Counter()

    def answer_now(self, packet: bytes, *, is_udp: bool) -> bytes | Query | None:
        """The answer; None where none is due; the query, where others have to be asked for it first."""
        query = _parse(packet[2:])
        if query is None:
            return None
        answer = self._resolver.find(query)
        if answer is None:
            return query
        age_s = int(self._clock() - answer.made_s) if answer.ttl_offsets else 0
        if not is_udp:
            return packet[:2] + message.render(query, answer, answer.records_after(age_s), message.TCP_BYTES)
        memo = query.rendered
        if memo is None or memo[0] is not answer or memo[1] != age_s:
            rendered = message.render(query, answer, answer.records_after(age_s), query.udp_limit)
            memo = query.rendered = (answer, age_s, rendered)
        return packet[:2] + memo[2]

    def answer_soon(self, packet: bytes, query: Query, client: str, send: Callable[[bytes], None]) -> None:
        """Ask others, and have the answer sent by `send` as a datagram; at once when there are too many questions."""
        task = self._begin(query, client)
        if task is None:
            send(self._refusal(packet, query))
            return

        def finish(done: asyncio.Task[Answer]) -> None:
            self._end(client)
            if not done.cancelled():
                send(self._rendered(packet, query, done.result(), query.udp_limit))

        task.add_done_callback(finish)

    async def answer_later(self, packet: bytes, query: Query, client: str) -> bytes:
        """The answer that others have to be asked for; a refusal when there are too many questions."""
        task = self._begin(query, client)
        if task is None:
            return self._refusal(packet, query)
        try:
            return self._rendered(packet, query, await asyncio.shield(task), message.TCP_BYTES)
        finally:
            self._end(client)

    def _begin(self, query: Query, client: str) -> asyncio.Task[Answer] | None:
        """Count the question and ask; None when the device, or all together, have too many pending."""
        if self._pending[client] >= PENDING_PER_CLIENT or self._pending.total() >= PENDING_MAX:
            return None
        task = self._resolver.fetch(query)
        if task is not None:
            self._pending[client] += 1
        return task

    def _end(self, client: str) -> None:
        self._pending[client] -= 1
        if not self._pending[client]:
            del self._pending[client]

    def _refusal(self, packet: bytes, query: Query) -> bytes:
        return self._rendered(packet, query, Answer(rcode=message.SERVFAIL), query.udp_limit)

    def _rendered(self, packet: bytes, query: Query, answer: Answer, limit: int) -> bytes:
        return packet[:2] + message.render(query, answer, answer.records, limit)
