"""The short way of cached thumbnails: the same answers, and nothing that the long way would refuse."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from pixlsrve.http import express
from pixlsrve.http.express import is_complete
from tests.library_api import Api

Answer = tuple[int, dict[str, str], bytes]


class Connection:
    """One connection, on which bytes are sent as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, data: bytes) -> Answer:
        """The answer to a request."""
        self.send(data)
        return await self.read()

    def send(self, data: bytes) -> None:
        """Send what may be a part of a request."""
        self._writer.write(data)

    async def read(self) -> Answer:
        """The next answer."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.split("\r\n")[:-2]
        headers = dict(line.split(": ", 1) for line in lines)
        assert len(headers) == len(lines), "a field stands twice"
        size = 0 if status.split()[1] == "304" else int(headers["Content-Length"])
        return int(status.split()[1]), headers, await self._reader.readexactly(size)


@contextlib.asynccontextmanager
async def connected(api: Api) -> AsyncIterator[Connection]:
    """A connection that the framework has begun: short answers may follow."""
    host, port = api.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        connection = Connection(reader, writer)
        assert (await connection.ask(b"GET /nothing HTTP/1.1\r\nHost: box\r\n\r\n"))[0] == 404
        yield connection
    finally:
        writer.close()
        await writer.wait_closed()


class Seen:
    """What came by the short way's door, and what it answered."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.left: list[bytes] = []
        self.came = asyncio.Event()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """The requests that were answered the short way, and those that were not."""
    found, real = Seen(), express.Express.answer

    def answer(self: express.Express, data: bytes) -> bytes | None:
        made = real(self, data)
        (found.left if made is None else found.taken).append(data)
        found.came.set()
        return made

    monkeypatch.setattr(express.Express, "answer", answer)
    return found


def request(path: str, *fields: str, token: str = "member", host: str = "box") -> bytes:  # noqa: S107  # no secret
    """A GET as bytes."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {token}", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


async def cached(api: Api) -> str:
    """The path of a thumbnail that is in memory in all sizes."""
    path = f"/api/v1/photos/{api.shelf.add('a.jpg')}/thumbnail"
    for size in ("small", "medium", "large"):
        async with api.request("GET", f"{path}?size={size}") as answer:
            assert answer.status == 200
    return path


@pytest.mark.parametrize(
    "query", ["", "?size=small", "?v=abc", "?v=abc&size=large", "?v=a?size=small", "?size=small&v=a"]
)
async def test_both_ways_give_the_same_answer(api: Api, seen: Seen, query: str) -> None:
    """Status, every field and every byte are those of the framework's answer, the count of the rate limit going on."""
    path = await cached(api) + query
    seen.taken.clear()
    async with connected(api) as connection:
        status, headers, body = await connection.ask(request(path))
        assert len(seen.taken) == 1
        seen.taken.clear()
        long_status, long_headers, long_body = await connection.ask(request(path, "X-Anything: long"))
        assert not seen.taken
    assert status == long_status == 200
    assert body == long_body
    assert int(headers["X-RateLimit-Remaining"]) == int(long_headers["X-RateLimit-Remaining"]) + 1
    assert headers["X-Request-Id"] != long_headers["X-Request-Id"]
    for changing in ("X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Request-Id", "Date"):
        assert headers.pop(changing)
        assert long_headers.pop(changing)
    assert headers == long_headers


async def test_phones_requests_go_the_short_way(api: Api, seen: Seen) -> None:
    """A request as phones send it, with their usual fields, is answered the short way, one after the other."""
    path = await cached(api)
    seen.taken.clear()
    fields = ("User-Agent: Pixls/1.0 (iPhone; iOS 17.5)", "Accept: */*", "Connection: keep-alive")
    async with connected(api) as connection:
        for _ in range(3):
            assert (await connection.ask(request(path, *fields)))[0] == 200
    assert len(seen.taken) == 3


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (("If-None-Match: *",), 304),
        (("Range: bytes=0-3",), 206),
        (("Host: box",), 400),
        (("Authorization: Bearer member",), 400),
        (("Content-Length: 0",), 200),
        (("Cookie: a=b",), 200),
        (("X-Forwarded-For: 10.0.0.1",), 200),
        (("Accept: a", "Accept: b"), 200),
        (("Connection: close",), 200),
    ],
)
async def test_fields_that_matter_go_the_long_way(api: Api, seen: Seen, fields: tuple[str, ...], status: int) -> None:
    """A field that could change the answer, or stands twice, is the framework's business (T22, T26, T27)."""
    path = await cached(api)
    seen.taken.clear()
    async with connected(api) as connection:
        assert (await connection.ask(request(path, *fields)))[0] == status
    assert not seen.taken


async def test_refusals_are_those_of_the_long_way(api: Api, seen: Seen) -> None:
    """A wrong token, a foreign host, hidden roots, other methods and odd paths never pass (T16, T17, T19, T27)."""
    path = await cached(api)
    seen.taken.clear()
    refused = [
        (request(path, token="nobody"), 401),
        (request(path, token="nothing"), 404),
        (request(path, token="uploads"), 404),
        (request(path, host="evil.example"), 421),
        (request(path + "?size=huge"), 400),
        (request(path).replace(b"Bearer ", b"Basic "), 401),
        (request(path).replace(b"GET", b"POST"), 405),
        (request(path.replace("/thumbnail", "/%2e%2e/thumbnail")), 400),
    ]
    for data, status in refused:
        async with connected(api) as connection:
            assert (await connection.ask(data))[0] == status, data
    assert not seen.taken


async def test_changed_library_goes_the_long_way_once(api: Api, seen: Seen) -> None:
    """After a change of the library, what an asset shows is looked up anew."""
    path = await cached(api)
    seen.taken.clear()
    async with connected(api) as connection:
        for number, expected in enumerate((1, 1, 2)):
            assert (await connection.ask(request(path)))[0] == 200
            assert len(seen.taken) == expected
            if number == 0:
                api.shelf.version.bump()


async def test_a_request_in_pieces_is_the_frameworks(api: Api, seen: Seen) -> None:
    """A request in pieces is answered, and from then on the connection stays with the framework."""
    path = await cached(api)
    data = request(path)
    async with connected(api) as connection:
        seen.taken.clear()
        seen.came.clear()
        connection.send(data[:30])
        await seen.came.wait()  # so that the pieces do not arrive as one
        assert (await connection.ask(data[30:]))[0] == 200
        assert (await connection.ask(data))[0] == 200
    assert not seen.taken


async def test_pipelined_requests_are_answered_in_order(api: Api, seen: Seen) -> None:
    """Several requests in one piece are the framework's; nothing is lost or mixed."""
    path = await cached(api)
    seen.taken.clear()
    async with connected(api) as connection:
        connection.send(b"".join(request(f"{path}?size={size}") for size in ("small", "large", "medium")))
        bodies = [(await connection.read())[2] for _ in range(3)]
        assert [body[-3:] for body in bodies] == [b"200", b"800", b"400"]
        assert (await connection.ask(request(path)))[0] == 200
    assert not seen.taken


async def test_a_body_hides_no_request(api: Api, seen: Seen) -> None:
    """Bytes that belong to a body are never taken for a request, whole as they may look (T22)."""
    path = await cached(api)
    async with connected(api) as connection:
        seen.taken.clear()
        seen.came.clear()
        connection.send(request(path, f"Content-Length: {len(request(path))}"))
        await seen.came.wait()
        assert (await connection.ask(request(path)))[0] == 200
    assert not seen.taken


@pytest.mark.parametrize(
    ("data", "is_whole"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\ncontent-LENGTH: 0\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nConnection: Upgrade\r\n\r\n", False),
        (b"", False),
    ],
)
def test_only_certainly_whole_requests_count_as_whole(data: bytes, is_whole: bool) -> None:
    """After anything else the connection stays with the framework (T22)."""
    assert is_complete(data) is is_whole
