"""How the tunnel's resolver asks others: fail-over, time-outs, forged answers, EDNS, what it keeps and for how long."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import socket
import struct
from pathlib import Path

import pytest
from dnslib import (  # type: ignore[import-untyped]  # no stubs exist
    EDNS0,
    QTYPE,
    RCODE,
    RR,
    SOA,
    A,
    DNSHeader,
    DNSRecord,
)

from pixlsrve.wg.dns import message
from pixlsrve.wg.dns.cache import AnswerCache
from pixlsrve.wg.dns.message import Answer
from tests.daemon import free_port
from tests.wg.dns import kit
from tests.wg.dns.kit import until

kit.require()


def good(question: DNSRecord, ttl: int = 300) -> bytes:
    """192.0.2.1 for every name."""
    reply = question.reply(aa=0)
    reply.add_answer(RR(question.q.qname, QTYPE.A, ttl=ttl, rdata=A("192.0.2.1")))
    return bytes(reply.pack())


def failed(question: DNSRecord, rcode: str = "SERVFAIL") -> bytes:
    """Only a code."""
    reply = question.reply(aa=0)
    reply.header.rcode = getattr(RCODE, rcode)
    return bytes(reply.pack())


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "NOTIMP"])
async def test_a_server_that_fails_is_passed_over(rcode: str) -> None:
    """The next server's good answer counts, and from then on that server is asked first."""
    async with (
        kit.scripted(lambda question: failed(question, rcode)) as bad,
        kit.scripted(good) as second,
        kit.serving(bad.server, second.server) as serving,
    ):
        assert (await serving.dig("one.example")).data == ["192.0.2.1"]
        asked = len(bad.asked)
        assert (await serving.dig("two.example")).data == ["192.0.2.1"]
        assert (len(bad.asked), len(second.asked)) == (asked, 2)


async def test_a_server_that_is_not_there_or_silent_is_passed_over(tmp_path: Path) -> None:
    """Nobody listening, and somebody who says nothing, cost one question its time, not its answer."""
    async with kit.dnsmasq(tmp_path) as asleep, kit.scripted(good) as last:
        asleep.process.send_signal(signal.SIGSTOP)
        gone = f"127.0.0.1:{free_port()}"
        async with kit.serving(gone, asleep.server, last.server) as serving:
            assert (await serving.dig("one.example")).data == ["192.0.2.1"]


async def test_when_all_fail_it_is_said() -> None:
    """With nobody to ask the answer is SERVFAIL, own names go on, and the status says what is wrong."""
    async with kit.serving(f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}") as serving:
        assert (await serving.dig("one.example")).status == "SERVFAIL"
        assert (await serving.dig("pixlsrve.home.arpa")).data == [serving.address]
        assert "did not answer" in serving.dns.notices()[0]["message"]


async def test_a_silent_server_is_given_up() -> None:
    """A server that never answers is asked four times, then the phone hears SERVFAIL before it gives up itself."""
    async with kit.scripted(lambda _: None) as silent, kit.serving(silent.server) as serving:
        assert (await serving.dig("one.example")).status == "SERVFAIL"
        assert len(silent.asked) == 4
        assert len(set(silent.sources)) == 4
        assert len({asked.header.id for asked in silent.asked}) > 1


async def test_forged_answers_are_not_taken() -> None:
    """Answers with another id or question, or from another address, change nothing (RFC 5452)."""
    forged = A("203.0.113.66")

    def lie(question: DNSRecord) -> None:
        wrong_id = DNSRecord(DNSHeader(id=question.header.id ^ 1, qr=1), q=question.q)
        wrong_name = DNSRecord(DNSHeader(id=question.header.id, qr=1), q=DNSRecord.question("other.example").q)
        no_answer = DNSRecord(DNSHeader(id=question.header.id, qr=0), q=question.q)
        source = honest.sources[-1]
        for reply in (wrong_id, wrong_name, no_answer):
            reply.add_answer(RR(question.q.qname, QTYPE.A, ttl=300, rdata=forged))
            honest.send(bytes(reply.pack()), source)
        elsewhere.send(good(question).replace(b"\xc0\x00\x02\x01", b"\xcb\x00\x71\x42"), source)
        honest.send(good(question), source)

    async with (
        kit.scripted(lambda _: None) as elsewhere,
        kit.scripted(lie) as honest,
        kit.serving(honest.server) as serving,
    ):
        assert (await serving.dig("one.example")).data == ["192.0.2.1"]


async def test_ports_and_ids_are_not_to_be_guessed() -> None:
    """Each question to another server leaves from a port of its own with an id of its own (RFC 5452 §9.2)."""
    async with kit.scripted(good) as upstream, kit.serving(upstream.server) as serving:
        for number in range(20):
            await serving.dig(f"n{number}.example", "+timeout=5")
    ports = [port for _, port in upstream.sources]
    ids = [asked.header.id for asked in upstream.asked]
    for values in (ports, ids):
        steps = {after - before for before, after in itertools.pairwise(values)}
        assert (len(set(values)) > 17, len(steps) > 10) == (True, True), values


async def test_the_same_question_is_asked_once() -> None:
    """Many devices with one question wait for one answer; no forger gets more than one try (RFC 5452 §5)."""
    async with kit.scripted(lambda _: None) as upstream, kit.serving(upstream.server) as serving:
        digs = [asyncio.create_task(serving.dig("one.example", client=2 + number)) for number in range(8)]
        await until(lambda: bool(upstream.asked))
        await serving.dig("pixlsrve.home.arpa")  # the questions before it have arrived by now
        upstream.reply = good
        answers = await asyncio.gather(*digs)
        assert [answered.data for answered in answers] == [["192.0.2.1"]] * 8
        assert len(upstream.asked) <= 2  # the second is the same one, sent again


async def test_edns_goes_on_as_our_own() -> None:
    """Others see our size and the device's DO and CD bits, none of its options; AD comes back to who asked for it."""

    def authentic(question: DNSRecord) -> bytes:
        reply = DNSRecord.parse(good(question))
        reply.header.ad = 1
        reply.add_ar(EDNS0(flags="do", udp_len=4096))
        return bytes(reply.pack())

    async with kit.scripted(authentic) as upstream, kit.serving(upstream.server) as serving:
        answered = await serving.dig("+dnssec", "+cd", "+subnet=192.0.2.0/24", "+bufsize=4000", "one.example")
        plain = await serving.dig("+noad", "+noedns", "two.example")
    first, second = upstream.asked
    assert (first.header.cd, second.header.cd, first.header.rd) == (1, 0, 1)
    assert [(extra.edns_len, extra.edns_do, extra.rdata) for extra in (*first.ar, *second.ar)] == [
        (1232, 1, []),
        (1232, 0, []),
    ]
    assert {"ad", "cd"} < answered.flags
    assert "do; udp: 1232" in answered.text
    assert ("ad" in plain.flags, "OPT" in plain.text) == (False, False)


async def test_a_server_without_edns_is_asked_without() -> None:
    """A server that answers EDNS with FORMERR is asked again the old way (RFC 6891 §7)."""

    def old(question: DNSRecord) -> bytes:
        return failed(question, "FORMERR") if question.ar else good(question)

    async with kit.scripted(old) as upstream, kit.serving(upstream.server) as serving:
        assert (await serving.dig("one.example")).data == ["192.0.2.1"]


async def test_a_truncated_answer_is_fetched_over_tcp() -> None:
    """What another server could not send whole by UDP is fetched by TCP, and the device gets it."""

    def long(question: DNSRecord) -> bytes:
        reply = DNSRecord.parse(good(question))
        if not upstream.streams:
            reply.rr, reply.header.tc = [], 1
        return bytes(reply.pack())

    async with kit.scripted(long) as upstream, kit.serving(upstream.server) as serving:
        assert (await serving.dig("one.example")).data == ["192.0.2.1"]
        assert upstream.streams == 1


async def test_a_server_whose_tcp_is_closed_off_is_passed_over() -> None:
    """Where the rest of an answer can't be fetched because no connection comes about, the next server is asked."""

    def cut(question: DNSRecord) -> bytes:
        reply = question.reply(aa=0)
        reply.header.tc = 1
        return bytes(reply.pack())

    async with kit.datagrams(cut) as half, kit.scripted(good) as second, contextlib.AsyncExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", half.port), backlog=0))
        waiting = stack.enter_context(socket.socket())
        waiting.connect(full.getsockname())  # takes the only place; what else knocks gets no answer from Linux
        async with kit.serving(half.server, second.server) as serving:
            assert (await serving.dig("one.example")).data == ["192.0.2.1"]
        assert half.asked


async def test_rubbish_from_a_server_is_a_failure() -> None:
    """Answers that can't be read are no answers; the next server's counts."""

    def rubbish(question: DNSRecord) -> bytes:
        return good(question)[:-2]

    async with (
        kit.scripted(rubbish) as bad,
        kit.scripted(good) as second,
        kit.serving(bad.server, second.server) as serving,
    ):
        assert (await serving.dig("one.example")).data == ["192.0.2.1"]


async def test_what_does_not_exist_is_kept_too() -> None:
    """NXDOMAIN and empty answers are kept when they say for how long (RFC 2308), others are asked again."""

    def absent(question: DNSRecord) -> bytes:
        reply = question.reply(aa=0)
        name = str(question.q.qname)
        reply.header.rcode = RCODE.NOERROR if name.startswith("empty") else RCODE.NXDOMAIN
        if not name.startswith("brief"):
            reply.add_auth(RR("example", QTYPE.SOA, ttl=900, rdata=SOA("a.example", "b.example", (1, 2, 3, 4, 60))))
        return bytes(reply.pack())

    async with kit.scripted(absent) as upstream, kit.serving(upstream.server) as serving:
        for name, status in (("no.example", "NXDOMAIN"), ("empty.example", "NOERROR"), ("brief.example", "NXDOMAIN")):
            for _ in range(2):
                answered = await serving.dig(name)
                assert (answered.status, answered.data) == (status, [])
    assert upstream.names() == ["no.example.", "empty.example.", "brief.example.", "brief.example."]


async def test_answers_for_no_time_are_not_kept() -> None:
    """A TTL of 0 means to ask each time."""
    async with (
        kit.scripted(lambda question: good(question, ttl=0)) as upstream,
        kit.serving(upstream.server) as serving,
    ):
        for _ in range(3):
            assert (await serving.dig("one.example")).records()[0][1] == "0"
        assert len(upstream.asked) == 3


async def test_old_answers_are_better_than_none() -> None:
    """What was true a moment ago is answered while nobody can be asked (RFC 8767)."""
    async with (
        kit.scripted(lambda question: good(question, ttl=1)) as upstream,
        kit.serving(upstream.server) as serving,
    ):
        await serving.dig("one.example")
        upstream.reply = failed
        async with asyncio.timeout(kit.LIMIT_S):
            while len(upstream.asked) < 2:
                answered = await serving.dig("one.example")
        assert answered.records() == [["one.example.", "30", "IN", "A", "192.0.2.1"]]


def packed(ttl: int, names: int = 1) -> tuple[message.Query, bytes]:
    """A question and an answer to it."""
    question = DNSRecord.question("one.example")
    reply = question.reply()
    for number in range(names):
        reply.add_answer(RR("one.example", QTYPE.A, ttl=ttl, rdata=A(f"192.0.2.{number}")))
    return message.parse_query(bytes(question.pack())[2:]), bytes(reply.pack())


def test_ttls_run_down() -> None:
    """A kept answer is good for its TTL, which is told as what is left of it; half a minute after it is stale."""
    query, content = packed(ttl=300, names=2)
    answer = message.read_answer(content, query, 1_000.0)
    cache = AnswerCache()
    cache.put(query.key, answer)
    assert cache.get(query.key, 1_299.9) is answer
    assert cache.get(query.key, 1_300.0) is None
    assert cache.get_stale(query.key, 1_330.0) is answer
    assert cache.get_stale(query.key, 1_300.0 + 86_401) is None
    rendered = DNSRecord.parse(b"\0\0" + message.render(query, answer, answer.records_after(120), 512))
    assert [record.ttl for record in rendered.rr] == [180, 180]


@pytest.mark.parametrize(("ttl", "kept_s"), [(2**31 - 1, 86_400), (2**31, 0), (0, 0), (7, 7)])
def test_nothing_is_kept_for_ever(ttl: int, kept_s: int) -> None:
    """No answer is kept for longer than a day; an impossible TTL is none (RFC 2181 §8)."""
    query, content = packed(ttl=ttl)
    assert message.read_answer(content, query, 0.0).lifetime_s == kept_s


def test_the_cache_is_bounded() -> None:
    """However much is asked, the cache keeps to its size, and what was used last stays."""
    cache = AnswerCache(size_max_bytes=100_000)
    for number in range(10_000):
        cache.get(b"0", 0.0)
        cache.put(b"%d" % number, Answer(rcode=0, records=b"x" * 1_000, lifetime_s=60))
        assert len(cache) <= 60
    assert cache.get(b"0", 1.0) is not None
    cache.put(b"big", Answer(rcode=0, records=b"x" * 200_000, lifetime_s=60))
    assert len(cache) == 0


def test_the_shortest_ttl_counts() -> None:
    """An answer with records of different TTLs is kept for the shortest."""
    query, _ = packed(ttl=1)
    reply = DNSRecord.question("one.example").reply()
    for ttl in (300, 20, 100):
        reply.add_answer(RR("one.example", QTYPE.A, ttl=ttl, rdata=A("192.0.2.1")))
    assert message.read_answer(bytes(reply.pack()), query, 0.0).lifetime_s == 20


def test_extras_behind_edns_are_left_out() -> None:
    """The other server's EDNS record is its own affair, wherever it stands; the answer still parses."""
    query, _ = packed(ttl=1)
    reply = DNSRecord.question("one.example").reply()
    reply.add_answer(RR("one.example", QTYPE.A, ttl=9, rdata=A("192.0.2.1")))
    reply.add_ar(RR("ns.example", QTYPE.A, ttl=9, rdata=A("192.0.2.2")), EDNS0(udp_len=4096))
    reply.add_ar(RR("ns.example", QTYPE.A, ttl=9, rdata=A("192.0.2.3")))
    answer = message.read_answer(bytes(reply.pack()), query, 0.0)
    assert answer.counts == (1, 0, 1)
    rendered = b"\0\0" + message.render(query, answer, answer.records, 512)
    assert [str(extra.rdata) for extra in DNSRecord.parse(rendered).ar] == ["192.0.2.2"]
    assert struct.unpack_from("!H", rendered, 10) == (1,)
