"""DNS messages on the wire: what a query asks, what an answer holds, and an answer made to fit a query.

Answers of other servers are kept and passed on as bytes, so that no record type has to be known here. Sections are
walked without following compression pointers: the walk is linear, whatever somebody sends (THREATS T34).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

HEADER_BYTES = 12
QUERY_BYTES_MAX = 4_096
"""A question and a few EDNS options; anything longer is none of a phone's."""
UDP_BYTES = 1_232
"""What crosses every network unfragmented (DNS flag day 2020)."""
PLAIN_UDP_BYTES = 512
"""RFC 1035 §4.2.1: without EDNS."""
TCP_BYTES = 65_535

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16
A, SOA, PTR, HINFO, AAAA, OPT, ANY = 1, 6, 12, 13, 28, 41, 255
IN = 1
_TRANSFERS_AND_META = range(128, 255)
"""RFC 6895 §3.1: IXFR, AXFR, TKEY, TSIG, MAILB and the like; ANY (255) is answered on its own."""

_QR, _AA, _TC, _RD, _RA, _AD, _CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010
_OPCODE, _RCODE = 0x7800, 0x000F
_DO = 0x8000
_HEADER = struct.Struct("!HHHHHH")
_WITHOUT_ID = struct.Struct("!HHHHH")
_FIXED = struct.Struct("!HHIH")
_TTL = struct.Struct("!I")
_TYPE_CLASS = struct.Struct("!HH")
_NAME_BYTES_MAX = 255
_LABEL_BYTES_MAX = 63
_POINTER = 0xC0
_TTL_MAX = 0x7FFFFFFF
_CACHED_S_MAX = 86_400
_CACHED_NEGATIVE_S_MAX = 10_800
"""RFC 2308 §5: one to three hours."""
_CACHED_FAILURE_S = 5
"""RFC 9520 §3.2: at least one second, at most five minutes."""


class Malformed(Exception):
    """Not a message that can be read."""


@dataclass(slots=True, kw_only=True)
class Query:
    """What somebody asks; `rcode` is what is wrong with it already."""

    rcode: int = NOERROR
    question: bytes = b""
    """Name, type and class as they came; the answer repeats them."""
    labels: tuple[bytes, ...] = ()
    """Of the name, lower case."""
    qtype: int = 0
    qclass: int = 0
    opcode_bits: int = 0
    is_recursive: bool = False
    wants_authentic: bool = False
    is_unchecked: bool = False
    has_edns: bool = False
    is_dnssec_ok: bool = False
    udp_limit: int = PLAIN_UDP_BYTES
    """Longest answer over UDP, bytes."""
    key: bytes = b""
    """The same for all queries with one answer."""
    rendered: tuple[Answer, int, bytes] | None = field(default=None, repr=False)
    """The last answer over UDP without its id, and the second of its TTLs."""


@dataclass(slots=True, kw_only=True, eq=False)
class Answer:
    """What was found, as records on the wire behind the question; without OPT."""

    rcode: int
    is_authoritative: bool = False
    is_authentic: bool = False
    counts: tuple[int, int, int] = (0, 0, 0)
    records: bytes = b""
    ttl_offsets: tuple[int, ...] = ()
    """Where in `records` the TTLs are."""
    made_s: float = 0.0
    """By the loop's clock."""
    lifetime_s: int = 0
    """How long it may be kept; 0 for not at all."""

    def records_after(self, age_s: int) -> bytes:
        """The records with their TTLs run down by `age_s`."""
        if not age_s or not self.ttl_offsets:
            return self.records
        aged = bytearray(self.records)
        for offset in self.ttl_offsets:
            _TTL.pack_into(aged, offset, max(0, _TTL.unpack_from(aged, offset)[0] - age_s))
        return bytes(aged)

    def records_with_ttl(self, ttl_s: int) -> bytes:
        """The records, all with one TTL."""
        changed = bytearray(self.records)
        for offset in self.ttl_offsets:
            _TTL.pack_into(changed, offset, ttl_s)
        return bytes(changed)


def parse_query(rest: bytes) -> Query:
    """The query in a message without its id (2 bytes). Raises Malformed where no answer is due: an answer, or rubbish.

    The remaining faults are in `rcode` (RFC 1035 §4.1, RFC 6891 §6).
    """
    if not HEADER_BYTES <= len(rest) + 2 <= QUERY_BYTES_MAX:
        raise Malformed
    flags, questions, answers, authorities, additionals = _WITHOUT_ID.unpack_from(rest)
    if flags & _QR:
        raise Malformed
    query = Query(
        opcode_bits=flags & _OPCODE,
        is_recursive=bool(flags & _RD),
        wants_authentic=bool(flags & _AD),
        is_unchecked=bool(flags & _CD),
    )
    if query.opcode_bits:
        query.rcode = NOTIMP
        return query
    try:
        if questions != 1:
            raise Malformed
        offset = _read_question(query, rest)
        _read_edns(query, rest, offset, answers + authorities + additionals)
    except (Malformed, IndexError, struct.error):
        query.rcode = FORMERR
        return query
    query.key = _key(query)
    if not query.rcode and (query.qclass != IN or query.qtype in _TRANSFERS_AND_META):
        query.rcode = REFUSED
    return query


def _read_question(query: Query, rest: bytes) -> int:
    """Read the question; where it ends. Raises Malformed."""
    start = offset = HEADER_BYTES - 2
    labels = []
    while length := rest[offset]:
        if length > _LABEL_BYTES_MAX or offset + length - start >= _NAME_BYTES_MAX:
            raise Malformed
        labels.append(rest[offset + 1 : offset + 1 + length].lower())
        offset += 1 + length
    offset += 1
    if offset - start > _NAME_BYTES_MAX:
        raise Malformed
    query.qtype, query.qclass = _TYPE_CLASS.unpack_from(rest, offset)
    query.question = rest[start : offset + 4]
    query.labels = tuple(labels)
    if query.qtype in (0, OPT):
        raise Malformed
    return offset + 4


def _read_edns(query: Query, rest: bytes, offset: int, count: int) -> None:
    """Read EDNS; what other records there are does not matter. Raises Malformed."""
    for _ in range(count):
        name_end = _skip_name(rest, offset)
        kind, size, extended, length = _FIXED.unpack_from(rest, name_end)
        if kind == OPT:
            if query.has_edns or name_end - offset != 1:
                raise Malformed
            query.has_edns = True
            query.is_dnssec_ok = bool(extended & _DO)
            query.udp_limit = min(max(size, PLAIN_UDP_BYTES), UDP_BYTES)
            if extended >> 16 & 0xFF:
                query.rcode = BADVERS
        offset = name_end + _FIXED.size + length
    if offset > len(rest):
        raise Malformed


def _key(query: Query) -> bytes:
    flags = query.is_dnssec_ok << 1 | query.is_unchecked
    return query.question.lower()[:-4] + query.question[-4:] + bytes([flags])


def _skip_name(message: bytes, offset: int) -> int:
    """Where the name at `offset` ends. Raises Malformed, IndexError."""
    while length := message[offset]:
        if length >= _POINTER:
            return offset + 2
        if length > _LABEL_BYTES_MAX:
            raise Malformed
        offset += 1 + length
    return offset + 1


def make_query(query: Query, id_: int, *, has_edns: bool = True) -> bytes:
    """The question for another server (RFC 6840 §5.7: AD asks to be told what is authentic)."""
    flags = _RD | _AD | (_CD if query.is_unchecked else 0)
    extra = _opt(0, query.is_dnssec_ok) if has_edns else b""
    return _HEADER.pack(id_, flags, 1, 0, 0, bool(extra)) + query.question + extra


def is_answer_to(message: bytes, id_: int, query: Query) -> bool:
    """Whether `message` answers what was asked under this id (RFC 5452 §9.1)."""
    if len(message) < HEADER_BYTES:
        return False
    found, flags, questions = struct.unpack_from("!HHH", message)
    if found != id_ or not flags & _QR or flags & _OPCODE:
        return False
    if not questions:  # some servers leave it out of an error
        return bool(flags & _RCODE)
    end = HEADER_BYTES + len(query.question)
    return questions == 1 and message[HEADER_BYTES:end].lower() == query.question.lower()


def is_truncated(message: bytes) -> bool:
    """Whether the rest has to be fetched over TCP."""
    return bool(_HEADER.unpack_from(message)[1] & _TC)


def read_answer(message: bytes, query: Query, now_s: float) -> Answer:
    """The answer in a message of another server. Raises Malformed."""
    _, flags, questions, *counts = _HEADER.unpack_from(message)
    answer = Answer(rcode=flags & _RCODE, is_authentic=bool(flags & _AD), made_s=now_s)
    if not questions:
        return answer
    start = HEADER_BYTES + len(query.question)
    try:
        _read_records(answer, message, start, counts)
    except (IndexError, struct.error) as error:
        raise Malformed from error
    return answer


def _read_records(answer: Answer, message: bytes, start: int, counts: list[int]) -> None:
    """Read the three sections up to OPT; what follows it is an extra that nobody misses. Raises Malformed."""
    offset, kept, ttls, ttl_offsets, negative_s = start, [0, 0, 0], [], [], None
    end = None
    for section, count in enumerate(counts):
        for _ in range(count):
            name_end = _skip_name(message, offset)
            kind, _, ttl_s, length = _FIXED.unpack_from(message, name_end)
            following = name_end + _FIXED.size + length
            if following > len(message):
                raise Malformed
            if kind == OPT and section == 2:
                if ttl_s >> 24:
                    answer.rcode = SERVFAIL  # an extended code: BADVERS, BADCOOKIE
                end = offset
                break
            ttls.append(ttl_s if ttl_s <= _TTL_MAX else 0)  # RFC 2181 §8
            ttl_offsets.append(name_end + 4 - start)
            if kind == SOA and section == 1:
                negative_s = min(ttls[-1], _TTL.unpack_from(message, following - 4)[0])
            kept[section] += 1
            offset = following
    answer.records = message[start : offset if end is None else end]
    answer.counts = (kept[0], kept[1], kept[2])
    answer.ttl_offsets = tuple(ttl_offsets)
    answer.lifetime_s = _lifetime_s(answer, ttls, negative_s)


def _lifetime_s(answer: Answer, ttls: list[int], negative_s: int | None) -> int:
    """How long an answer may be kept: RFC 2308 §5 for what is not there, RFC 9520 for a failure."""
    if answer.rcode == SERVFAIL:
        return _CACHED_FAILURE_S
    if answer.rcode not in (NOERROR, NXDOMAIN):
        return 0
    if negative_s is not None:
        return min(*ttls, negative_s, _CACHED_NEGATIVE_S_MAX)
    if answer.rcode == NXDOMAIN or not answer.counts[0]:
        return 0
    return min(*ttls, _CACHED_S_MAX)


def render(query: Query, answer: Answer, records: bytes, limit: int) -> bytes:
    """The whole answer without its id, in at most `limit` bytes; with TC and no records where it doesn't fit."""
    flags = _QR | query.opcode_bits | _RA | (answer.rcode & _RCODE)
    flags |= (_RD if query.is_recursive else 0) | (_CD if query.is_unchecked else 0)
    flags |= _AA if answer.is_authoritative else 0
    flags |= _AD if answer.is_authentic and (query.wants_authentic or query.is_dnssec_ok) else 0
    extra = _opt(answer.rcode >> 4, query.is_dnssec_ok) if query.has_edns else b""
    asked = 1 if query.question else 0
    if 2 + _WITHOUT_ID.size + len(query.question) + len(records) + len(extra) > limit:
        return _WITHOUT_ID.pack(flags | _TC, asked, 0, 0, bool(extra)) + query.question + extra
    found, authorities, additionals = answer.counts
    head = _WITHOUT_ID.pack(flags, asked, found, authorities, additionals + bool(extra))
    return head + query.question + records + extra


def _opt(extended_rcode: int, is_dnssec_ok: bool) -> bytes:
    """Our EDNS record (RFC 6891 §6.1)."""
    return b"\0" + _FIXED.pack(OPT, UDP_BYTES, extended_rcode << 24 | (_DO if is_dnssec_ok else 0), 0)
