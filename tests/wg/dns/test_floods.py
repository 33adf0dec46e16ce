"""What a device may do to the tunnel's resolver: rubbish, floods, idle and greedy connections."""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct

import pytest
from dnslib import QTYPE, RR, A, DNSRecord  # type: ignore[import-untyped]  # no stubs exist
from hypothesis import given
from hypothesis import strategies as st

from pixlsrve.wg.dns import desk, listeners, message
from tests.wg.dns import kit
from tests.wg.dns.test_forwarding import good

kit.require()

QUESTION = bytes(DNSRecord.question("pixlsrve.home.arpa").pack())


async def ask(serving: kit.Serving, packet: bytes, client: int = 2) -> bytes:
    """The answer to one datagram; empty when own names are answered first, and so there is none."""
    marker = bytes(DNSRecord.question("localhost").pack())
    loop = asyncio.get_running_loop()
    with serving.datagrams(client) as device:
        await loop.sock_sendall(device, packet)
        await loop.sock_sendall(device, marker)
        async with asyncio.timeout(kit.LIMIT_S):
            answer = await loop.sock_recv(device, 4096)
            return b"" if answer[:2] == marker[:2] else answer


MALFORMED = {
    "nothing": (b"", None),
    "less than a header": (QUESTION[:11], None),
    "an answer": (QUESTION[:2] + b"\x81\x80" + QUESTION[4:], None),
    "too long": (QUESTION + bytes(5_000), None),
    "no question": (QUESTION[:4] + bytes(8), "FORMERR"),
    "two questions": (QUESTION[:4] + b"\0\2" + QUESTION[6:] + QUESTION[12:], "FORMERR"),
    "cut off": (QUESTION[:-3], "FORMERR"),
    "a pointer": (QUESTION[:12] + b"\xc0\x0c\0\1\0\1", "FORMERR"),
    "a label too long": (QUESTION[:12] + b"\x40" + b"a" * 64 + b"\0\0\1\0\1", "FORMERR"),
    "a name too long": (QUESTION[:12] + (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1", "FORMERR"),
    "type 0": (QUESTION[:-4] + b"\0\0\0\1", "FORMERR"),
    "more records than there are": (QUESTION[:10] + b"\xff\xff" + QUESTION[12:], "FORMERR"),
    "EDNS twice": (QUESTION[:10] + b"\0\2" + QUESTION[12:] + b"\0\0\x29\x04\xd0\0\0\0\0\0\0" * 2, "FORMERR"),
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_rubbish_harms_nobody(name: str) -> None:
    """Malformed questions get FORMERR or nothing, and the next question is answered."""
    packet, expected = MALFORMED[name]
    async with kit.serving() as serving:
        answer = await ask(serving, packet)
        if expected is None:
            assert answer == b""
        else:
            assert (answer[:2], answer[3] & 15) == (packet[:2], message.FORMERR)
        assert (await serving.dig("pixlsrve.home.arpa")).data == [serving.address]


@pytest.mark.parametrize("qtype", ["AXFR", "IXFR", "TKEY", "TSIG"])
def test_transfers_are_refused(qtype: str) -> None:
    """Nobody gets a whole zone, or keys."""
    question = DNSRecord.question("far.example", qtype)
    assert message.parse_query(bytes(question.pack())[2:]).rcode == message.REFUSED


@given(st.binary(max_size=600))
def test_no_packet_breaks_the_reader(rest: bytes) -> None:
    """Any bytes are a question, a fault, or nothing."""
    with contextlib.suppress(message.Malformed):
        query = message.parse_query(rest)
        assert len(message.render(query, message.Answer(rcode=query.rcode), b"", 512)) <= 510


@given(st.integers(0, 2**32), st.integers(1, 12))
def test_no_answer_breaks_the_reader(seed: int, changes: int) -> None:
    """An answer of another server, damaged anywhere, is read or refused, and what is made of it is bounded."""
    dice = random.Random(seed)
    question = DNSRecord.question("one.example")
    reply = question.reply()
    for number in range(5):
        reply.add_answer(RR("one.example", QTYPE.A, ttl=60, rdata=A(f"192.0.2.{number}")))
    content = bytearray(reply.pack())
    for _ in range(changes):
        content[dice.randrange(12, len(content))] = dice.randrange(256)
    query = message.parse_query(bytes(question.pack())[2:])
    with contextlib.suppress(message.Malformed):
        answer = message.read_answer(bytes(content[: dice.randrange(12, len(content) + 1)]), query, 0.0)
        answer.records_after(10)
        assert len(answer.records) <= len(content)


def test_a_bomb_of_pointers_is_cheap() -> None:
    """Names that lead to names that lead to names are not followed: thousands of them cost a walk (T34)."""
    query = message.parse_query(bytes(DNSRecord.question("one.example").pack())[2:])
    head = struct.pack("!6H", 0, 0x8180, 1, 4_000, 0, 0) + query.question
    records = b"".join(
        struct.pack("!H", 0xC000 | max(12, (len(head) + 12 * (number - 1)) & 0x3FFF)) + b"\0\1\0\1\0\0\0\x3c\0\0"
        for number in range(4_000)
    )
    answer = message.read_answer(head + records, query, 0.0)
    assert (answer.counts, len(answer.records)) == ((4_000, 0, 0), 48_000)


async def test_one_device_can_not_keep_out_the_others() -> None:
    """A device with too many questions pending hears SERVFAIL; another one is answered meanwhile."""
    async with kit.scripted(lambda _: None) as upstream, kit.serving(upstream.server) as serving:
        loop = asyncio.get_running_loop()
        with serving.datagrams() as greedy:
            for number in range(desk.PENDING_PER_CLIENT + 5):
                await loop.sock_sendall(greedy, bytes(DNSRecord.question(f"n{number}.example").pack()))
            async with asyncio.timeout(kit.LIMIT_S):
                refused = [DNSRecord.parse(await loop.sock_recv(greedy, 4096)) for _ in range(5)]
            assert [answer.header.rcode for answer in refused] == [message.SERVFAIL] * 5
            assert str(refused[0].q.qname) == f"n{desk.PENDING_PER_CLIENT}.example."
            upstream.reply = good
            assert (await serving.dig("pixlsrve.home.arpa", client=3)).data == [serving.address]
            assert (await serving.dig("other.example", client=3)).data == ["192.0.2.1"]


def framed(packet: bytes) -> bytes:
    """As TCP has it."""
    return struct.pack("!H", len(packet)) + packet


async def next_message(reader: asyncio.StreamReader) -> DNSRecord:
    """The next answer of a connection."""
    async with asyncio.timeout(kit.LIMIT_S):
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        return DNSRecord.parse(await reader.readexactly(length))


async def test_answers_overtake_one_another() -> None:
    """On one connection a question that takes long does not hold up the next (RFC 7766 §7)."""
    async with kit.scripted(lambda _: None) as upstream, kit.serving(upstream.server) as serving:
        reader, writer = await serving.connect()
        writer.write(framed(bytes(DNSRecord.question("slow.example").pack())) + framed(QUESTION))
        assert str((await next_message(reader)).q.qname) == "pixlsrve.home.arpa."
        upstream.reply = good
        assert str((await next_message(reader)).q.qname) == "slow.example."
        writer.close()


async def test_a_closed_side_still_gets_its_answers() -> None:
    """A device that has closed its side for sending is answered before the connection ends."""
    async with kit.scripted(good) as upstream, kit.serving(upstream.server) as serving:
        reader, writer = await serving.connect()
        writer.write(framed(bytes(DNSRecord.question("one.example").pack())))
        writer.write_eof()
        assert str((await next_message(reader)).a.rdata) == "192.0.2.1"
        assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize(
    "content",
    [b"\xff\xff" + bytes(100), framed(b"short"), framed(QUESTION)[:9]],
    ids=["longer than it is", "no message", "cut off"],
)
async def test_a_broken_connection_is_closed(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message too long, malformed, or never finished ends its connection."""
    monkeypatch.setattr(listeners, "IDLE_S", 0.3)
    async with kit.serving() as serving:
        reader, writer = await serving.connect()
        writer.write(content)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(kit.LIMIT_S):
                assert await reader.read() == b""
        writer.close()


async def test_an_idle_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that says nothing is closed after its time (RFC 7766 §6.2.3)."""
    monkeypatch.setattr(listeners, "IDLE_S", 0.2)
    async with kit.serving() as serving:
        reader, writer = await serving.connect()
        async with asyncio.timeout(kit.LIMIT_S):
            assert await reader.read() == b""
        writer.close()


async def test_connections_are_counted() -> None:
    """One device has so many connections and no more; other devices have theirs, and ended ones count no longer."""
    async with kit.serving() as serving:
        opened = [await serving.connect() for _ in range(listeners.CONNECTIONS_PER_CLIENT)]
        for reader, writer in opened:
            writer.write(framed(QUESTION))
            await next_message(reader)
        reader, writer = await serving.connect()
        with contextlib.suppress(ConnectionError):
            writer.write(framed(QUESTION))
            async with asyncio.timeout(kit.LIMIT_S):
                assert await reader.read() == b""
        writer.close()
        assert (await serving.dig("+tcp", "pixlsrve.home.arpa", client=3)).data == [serving.address]
        for _, each in opened:
            each.close()
            await each.wait_closed()
        async with asyncio.timeout(kit.LIMIT_S):
            while (await serving.dig("+tcp", "+time=2", "pixlsrve.home.arpa")).data != [serving.address]:
                pass


async def test_stopping_ends_connections() -> None:
    """When the tunnel goes, so do open connections, and the port is free again."""
    async with kit.serving() as serving:
        reader, writer = await serving.connect()
        writer.write(framed(QUESTION))
        await next_message(reader)
        serving.dns.on_down()
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(kit.LIMIT_S):
                assert await reader.read() == b""
        writer.close()
        await kit.until(lambda: not serving.dns.is_answering)
        serving.dns.on_up()
        await kit.until(lambda: serving.dns.is_answering)
        assert (await serving.dig("pixlsrve.home.arpa")).data == [serving.address]
