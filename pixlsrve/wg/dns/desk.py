"""Takes messages from devices, over whatever they came, and has them answered: who may ask, and how much at once."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable

from pixlsrve.wg.dns import message
from pixlsrve.wg.dns.message import Malformed, Query
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

    def takes_more(self, client: str) -> bool:
        """Whether this device may have one more question pending."""
        return self._pending[client] < PENDING_PER_CLIENT and self._pending.total() < PENDING_MAX

    async def answer_later(self, packet: bytes, query: Query, client: str, *, is_udp: bool) -> bytes:
        """The answer that others have to be asked for."""
        self._pending[client] += 1
        try:
            answer = await self._resolver.fetch(query)
        finally:
            self._pending[client] -= 1
            if not self._pending[client]:
                del self._pending[client]
        limit = query.udp_limit if is_udp else message.TCP_BYTES
        return packet[:2] + message.render(query, answer, answer.records, limit)

    def refuse(self, packet: bytes, query: Query) -> bytes:
        """That it can't be done just now."""
        answer = message.Answer(rcode=message.SERVFAIL)
        return packet[:2] + message.render(query, answer, b"", message.PLAIN_UDP_BYTES)
