"""What is answered without asking anybody: our own names, and names that no other server may see."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Sequence

from dnslib import (  # type: ignore[import-untyped]  # no stubs exist
    AAAA,
    PTR,
    QTYPE,
    RD,
    RR,
    SOA,
    A,
    DNSHeader,
    DNSLabel,
    DNSQuestion,
    DNSRecord,
)

from pixlsrve.wg.dns import message
from pixlsrve.wg.dns.message import Answer, Query

TTL_S = 60
"""Short: at home the same names lead to the LAN."""
HOME = (b"pixlsrve", b"home", b"arpa")
_LOCALHOST = (b"localhost",)
_RFC8482 = b"\x07RFC8482\x00"
_MEMO = 512
_Labels = tuple[bytes, ...]


def _labels(name: str) -> _Labels:
    return tuple(name.lower().rstrip(".").encode().split(b"."))


_ABSENT = tuple(
    _labels(name)
    for name in (
        "local",  # RFC 6762 §22.1: multicast only
        "254.169.in-addr.arpa",
        *(f"{digit}.e.f.ip6.arpa" for digit in "89ab"),
        "onion",  # RFC 7686 §2
        "invalid",  # RFC 6761 §6.4
        "alt",  # RFC 9476 §2
        "127.in-addr.arpa",  # RFC 6303 §4
    )
)
_EMPTY = _labels("resolver.arpa")
"""RFC 9462 §6.4: else phones find a way past us to the resolver behind us, and our names are gone."""


def names_of(host_name: str) -> tuple[str, str]:
    """A computer's name without its domain, and the same with `.local`."""
    bare = host_name.lower().partition(".")[0]
    return bare, f"{bare}.local"


class Zone:
    """Answers for `names` with `address`, and for the addresses of `network`.

    `address` is the host's in the tunnel. Of `names`, everything below `pixlsrve.home.arpa` belongs to us too.
    """

    def __init__(self, names: Iterable[str], address: ipaddress.IPv4Address, network: ipaddress.IPv4Network) -> None:
        self._address = address
        self._names = frozenset({HOME, *map(_labels, names)} - {_LOCALHOST})
        self._network = network
        self._answer = functools.lru_cache(maxsize=_MEMO)(self._find)

    def answer(self, query: Query) -> Answer | None:
        """The answer; None for names that are others'."""
        return self._answer(query.labels, query.qtype)

    def _find(self, labels: _Labels, qtype: int) -> Answer | None:
        if labels in self._names:
            return _positive(labels, qtype, A(str(self._address)), is_authoritative=True)
        address = _reversed(labels)
        if address is not None and address in self._network:
            return self._answer_reverse(labels, qtype, address)
        if labels[-1:] == _LOCALHOST:  # RFC 6761 §6.3
            return _positive(labels, qtype, AAAA("::1") if qtype == message.AAAA else A("127.0.0.1"))
        if labels[-len(HOME) :] == HOME:
            return _negative(labels, len(HOME), message.NXDOMAIN)
        if labels[-len(_EMPTY) :] == _EMPTY:
            return _negative(labels, len(_EMPTY), message.NOERROR)
        for suffix in _ABSENT:
            if labels[-len(suffix) :] == suffix:
                return _negative(labels, len(suffix), message.NXDOMAIN)
        return _minimal(labels) if qtype == message.ANY else None

    def _answer_reverse(self, labels: _Labels, qtype: int, address: ipaddress.IPv4Address) -> Answer:
        """Our name at our address; who else is in the tunnel is nobody's business."""
        if address == self._address:
            return _positive(labels, qtype, PTR(DNSLabel(HOME)), is_authoritative=True)
        return _negative(labels, len(labels), message.NXDOMAIN)


def _reversed(labels: _Labels) -> ipaddress.IPv4Address | None:
    """The address in `d.c.b.a.in-addr.arpa`."""
    if len(labels) != 6 or labels[-2:] != (b"in-addr", b"arpa"):
        return None
    try:
        return ipaddress.IPv4Address(b".".join(reversed(labels[:4])).decode("ascii", "replace"))
    except ValueError:
        return None


def _positive(labels: _Labels, qtype: int, data: RD, *, is_authoritative: bool = False) -> Answer:
    """The one record that a name has; nothing, where another type is wanted (RFC 2308 §2.2)."""
    kind = getattr(QTYPE, type(data).__name__)
    if qtype not in (kind, message.ANY):
        return _negative(labels, len(labels), message.NOERROR)
    return _answer(labels, message.NOERROR, rr=[_record(labels, kind, data)], is_authoritative=is_authoritative)


def _negative(labels: _Labels, apex: int, rcode: int) -> Answer:
    """That there is no such thing, with the start of authority at the last `apex` labels (RFC 2308 §3)."""
    authority = SOA(DNSLabel(HOME), DNSLabel((b"nobody", b"invalid")), (1, 3_600, 600, 86_400, TTL_S))
    start = _record(labels[len(labels) - apex :], QTYPE.SOA, authority)
    return _answer(labels, rcode, auth=[start], is_authoritative=True)


def _minimal(labels: _Labels) -> Answer:
    """Everything about a name is too much to ask (RFC 8482 §4.2)."""
    return _answer(labels, message.NOERROR, rr=[_record(labels, message.HINFO, RD(_RFC8482))])


def _record(labels: _Labels, kind: int, data: RD) -> RR:
    return RR(DNSLabel(labels), kind, ttl=TTL_S, rdata=data)


def _answer(
    labels: _Labels, rcode: int, *, rr: Sequence[RR] = (), auth: Sequence[RR] = (), is_authoritative: bool = False
) -> Answer:
    """The library's records as ours, compressed against the question; their TTLs never run down."""
    question = DNSQuestion(DNSLabel(labels))
    packed = bytes(DNSRecord(DNSHeader(), questions=[question], rr=list(rr), auth=list(auth)).pack())
    start = message.HEADER_BYTES + sum(1 + len(label) for label in labels) + 5
    return Answer(
        rcode=rcode, is_authoritative=is_authoritative, counts=(len(rr), len(auth), 0), records=packed[start:]
    )
