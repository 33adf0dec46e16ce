"""Representations over a real server and raw sockets (RFC 9110; THREATS T22, T26)."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from email.parser import BytesParser
from pathlib import Path
from typing import NamedTuple

import pytest
from aiohttp import web

from pixlsrve.errors import Unavailable
from pixlsrve.http.conditions import format_http_date
from pixlsrve.http.content import CHUNK_BYTES, send_bytes, send_file
from pixlsrve.http.openfile import FileVersion, OpenFile

BODY = bytes(range(256)) * 40
MODIFIED_S = 1_700_000_000
DATE = format_http_date(MODIFIED_S)
CACHE = "private, max-age=60"


class Answer(NamedTuple):
    """A parsed answer; `raw_body` is everything after the head."""

    status: int
    headers: dict[str, str]
    raw_body: bytes


class Door:
    """A server whose one route is served by whatever handler a test sets."""

    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    port: int

    async def ask(self, *lines: str, method: str = "GET") -> Answer:
        """One request on a connection of its own, with these header lines, read to the connection's end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = [f"{method} / HTTP/1.1", "Host: localhost", "Connection: close", *lines]
        writer.write("\r\n".join([*head, "", ""]).encode())
        data = await reader.read()
        writer.close()
        await writer.wait_closed()
        return parse(data)


def parse(data: bytes) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    return Answer(int(status.split()[1]), dict(field.split(": ", 1) for field in fields), body)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """A running server."""
    opened = Door()
    app = web.Application()

    async def route(request: web.Request) -> web.StreamResponse:
        return await opened.handler(request)

    app.router.add_route("*", "/", route)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    opened.port = runner.addresses[0][1]
    yield opened
    await runner.cleanup()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A file with a known time of modification."""
    path = tmp_path / "a.jpg"
    path.write_bytes(BODY)
    os.utime(path, (MODIFIED_S, MODIFIED_S))
    return path


@pytest.fixture(params=["bytes", "file"])
def content(request: pytest.FixtureRequest, door: Door, photo: Path) -> Door:
    """The same representation once from memory and once from a file."""

    async def from_memory(asked: web.Request) -> web.StreamResponse:
        return send_bytes(
            asked,
            BODY,
            etag="v1",
            mime="image/jpeg",
            cache_control=CACHE,
            last_modified_us=MODIFIED_S * 1_000_000,
            filename="a.jpg",
        )

    async def from_file(asked: web.Request) -> web.StreamResponse:
        fd = os.open(photo, os.O_RDONLY)
        return await send_file(
            asked,
            fd,
            etag="v1",
            version=FileVersion.of(fd),
            mime="image/jpeg",
            cache_control=CACHE,
            filename="a.jpg",
        )

    door.handler = from_memory if request.param == "bytes" else from_file
    return door


def serve_path(door: Door, path: Path, **options: float) -> None:
    """Make `door` serve the file at `path`."""

    async def handler(asked: web.Request) -> web.StreamResponse:
        fd = os.open(path, os.O_RDONLY)
        return await send_file(
            asked, fd, mime="video/mp4", cache_control=CACHE, stall_limit_s=options.get("stall_limit_s", 60)
        )

    door.handler = handler


async def test_file_can_not_run(door: Door, photo: Path) -> None:
    """T22: what users put here is shown and played under a policy that runs nothing."""
    serve_path(door, photo)
    assert "sandbox" in (await door.ask()).headers["Content-Security-Policy"]


async def test_get_sends_the_whole_with_everything_a_client_needs(content: Door) -> None:
    """A plain GET carries the bytes, their validators and their type."""
    answer = await content.ask()
    assert (answer.status, answer.raw_body) == (200, BODY)
    assert answer.headers.items() >= {
        ("Content-Type", "image/jpeg"),
        ("Content-Length", str(len(BODY))),
        ("Accept-Ranges", "bytes"),
        ("ETag", '"v1"'),
        ("Last-Modified", DATE),
        ("Cache-Control", CACHE),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Disposition", 'inline; filename="a.jpg"'),
    }
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize("field", ["Accept: */*", "Range: bytes=0-1", "Range: bytes=99999-"])
async def test_head_is_get_without_the_body(content: Door, field: str) -> None:
    """§9.3.2, §14.2: HEAD has GET's headers and length, whatever Range says."""
    got, head = await content.ask(), await content.ask(field, method="HEAD")
    assert (head.status, head.raw_body) == (200, b"")
    del got.headers["Date"], head.headers["Date"]
    assert head.headers == got.headers


@pytest.mark.parametrize(
    ("value", "start", "end"),
    [
        ("0-0", 0, 1),
        ("100-299", 100, 300),
        ("10000-", 10000, 10240),
        ("-1", 10239, 10240),
        ("-99999", 0, 10240),
        ("0-99999", 0, 10240),
        ("0-99,50-149", 0, 150),
        ("99999-,5-6", 5, 7),
    ],
)
async def test_one_range_is_partial_content(content: Door, value: str, start: int, end: int) -> None:
    """§15.3.7.1: one range, or several that come to one, is a 206 with Content-Range."""
    answer = await content.ask(f"Range: bytes={value}")
    assert (answer.status, answer.raw_body) == (206, BODY[start:end])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(BODY)}"
    assert answer.headers["Content-Length"] == str(end - start)
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["ETag"] == '"v1"'


async def test_several_ranges_are_multipart(content: Door) -> None:
    """§15.3.7.2: parts in the order asked for, each with type and range, the length exact, no Content-Range outside."""
    answer = await content.ask("Range: bytes=500-599, 0-9 ,-5")
    assert answer.status == 206
    assert "Content-Range" not in answer.headers
    assert int(answer.headers["Content-Length"]) == len(answer.raw_body)
    assert re.fullmatch(r"multipart/byteranges; boundary=[0-9a-f]{32}", answer.headers["Content-Type"])
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    parts = list(BytesParser().parsebytes(head + answer.raw_body).walk())[1:]
    assert [part["Content-Range"] for part in parts] == [
        "bytes 500-599/10240",
        "bytes 0-9/10240",
        "bytes 10235-10239/10240",
    ]
    assert {part["Content-Type"] for part in parts} == {"image/jpeg"}
    boundary = answer.headers["Content-Type"].rpartition("=")[2].encode()
    bodies = [part.partition(b"\r\n\r\n")[2] for part in answer.raw_body.split(b"--" + boundary)[1:-1]]
    assert bodies == [BODY[500:600] + b"\r\n", BODY[:10] + b"\r\n", BODY[-5:] + b"\r\n"]
    assert answer.raw_body.endswith(b"\r\n--" + boundary + b"--\r\n")


@pytest.mark.parametrize("value", ["bytes=10240-", "bytes=-0", "bytes=99999-,-0"])
async def test_unsatisfiable_ranges_are_refused_with_the_length(content: Door, value: str) -> None:
    """§15.5.17: 416 says how long the representation is."""
    answer = await content.ask(f"Range: {value}")
    assert answer.status == 416
    assert answer.headers["Content-Range"] == "bytes */10240"


@pytest.mark.parametrize(
    "lines",
    [
        ["Range: items=0-1"],
        ["Range: bytes=1-0"],
        ["Range: bytes=x"],
        ["Range: bytes=0-,0-,0-,0-"],
        ["Range: bytes=" + ",".join(f"{at}-{at}" for at in range(0, 1000, 2))],
        ["Range: bytes=0-1", "Range: bytes=4-5"],
        ["Range: bytes=0-1", 'If-Range: "v0"'],
        ["Range: bytes=99999-", 'If-Range: "v0"'],
        ["Range: bytes=0-1", 'If-Range: W/"v1"'],
        ["Range: bytes=0-1", "If-Range: Sun, 06 Nov 1994 08:49:37 GMT"],
        ['If-Range: "v0"'],
    ],
)
async def test_ranges_that_do_not_apply_give_the_whole(content: Door, lines: list[str]) -> None:
    """T26, §13.1.5, §14.2: unknown units, invalid or silly sets and another version's If-Range answer 200."""
    answer = await content.ask(*lines)
    assert (answer.status, answer.raw_body) == (200, BODY)


@pytest.mark.parametrize("if_range", ['"v1"', DATE])
async def test_if_range_of_this_version_resumes(content: Door, if_range: str) -> None:
    """§13.1.5: the strong tag or the exact date of this version continues the download."""
    answer = await content.ask("Range: bytes=5000-", f"If-Range: {if_range}")
    assert (answer.status, answer.raw_body) == (206, BODY[5000:])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "lines",
    [
        ['If-None-Match: "v0", W/"v1"'],
        ["If-None-Match: *"],
        [f"If-Modified-Since: {DATE}"],
        ['If-None-Match: "v1"', "Range: bytes=0-1"],
    ],
)
async def test_what_the_client_has_is_not_sent_again(content: Door, lines: list[str], method: str) -> None:
    """§15.4.5: 304 carries the validators and caching fields, and no body."""
    answer = await content.ask(*lines, method=method)
    assert (answer.status, answer.raw_body) == (304, b"")
    assert answer.headers.items() >= {
        ("ETag", '"v1"'),
        ("Cache-Control", CACHE),
        ("Last-Modified", DATE),
    }
    assert not answer.headers.keys() & {"Content-Length", "Content-Type", "Content-Range"}


async def test_failed_preconditions_are_refused(content: Door) -> None:
    """§15.5.13: If-Match of another version is 412, before any range is looked at."""
    assert (await content.ask('If-Match: "v0"', "Range: bytes=0-1")).status == 412
    assert (await content.ask("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT")).status == 412


async def test_bytes_without_a_date_take_the_short_way(door: Door) -> None:
    """What has only a tag is served whole, in parts and not at all just the same."""

    async def handler(asked: web.Request) -> web.StreamResponse:
        return send_bytes(asked, BODY, etag="v1", mime="image/jpeg", cache_control=CACHE)

    door.handler = handler
    whole = await door.ask()
    assert (whole.status, whole.raw_body) == (200, BODY)
    assert not whole.headers.keys() & {"Last-Modified", "Content-Disposition", "Content-Security-Policy"}
    assert (await door.ask("Range: bytes=1-2")).raw_body == BODY[1:3]
    assert (await door.ask('If-None-Match: "v1"')).status == 304
    assert (await door.ask(f"If-Modified-Since: {DATE}")).status == 200


async def test_an_empty_file_is_served(door: Door, tmp_path: Path) -> None:
    """Nothing is a representation too: 200 and length 0, 416 for positions, the whole for a suffix."""
    (tmp_path / "empty").touch()
    serve_path(door, tmp_path / "empty")
    answer = await door.ask()
    assert (answer.status, answer.headers["Content-Length"], answer.raw_body) == (200, "0", b"")
    refused = await door.ask("Range: bytes=0-")
    assert (refused.status, refused.headers["Content-Range"]) == (416, "bytes */0")
    assert (await door.ask("Range: bytes=-5")).status == 200


async def test_a_file_of_several_chunks_arrives_whole(door: Door, tmp_path: Path) -> None:
    """Files larger than one read, and ranges across the seams, come byte for byte."""
    data = os.urandom(CHUNK_BYTES * 2 + 12345)
    (tmp_path / "big").write_bytes(data)
    serve_path(door, tmp_path / "big")
    assert (await door.ask()).raw_body == data
    assert (await door.ask(f"Range: bytes=100-{CHUNK_BYTES * 2}")).raw_body == data[100 : CHUNK_BYTES * 2 + 1]
    multipart = await door.ask(f"Range: bytes={CHUNK_BYTES}-, 0-{CHUNK_BYTES - 1}")
    assert int(multipart.headers["Content-Length"]) == len(multipart.raw_body)
    assert data[CHUNK_BYTES:] in multipart.raw_body
    assert data[:CHUNK_BYTES] in multipart.raw_body


async def test_an_edited_file_is_another_version(door: Door, photo: Path) -> None:
    """T26: bytes edited since the caller learned their tag are never sent under it, nor into a resumed download."""
    with photo.open("rb") as file:
        known = FileVersion.of(file.fileno())

    async def handler(asked: web.Request) -> web.StreamResponse:
        fd = os.open(photo, os.O_RDONLY)
        return await send_file(asked, fd, etag="v1", version=known, mime="image/jpeg", cache_control=CACHE)

    door.handler = handler
    assert (await door.ask()).headers["ETag"] == '"v1"'
    edited = BODY[::-1]
    await asyncio.to_thread(photo.write_bytes, edited)
    os.utime(photo, (MODIFIED_S + 5, MODIFIED_S + 5))
    resumed = await door.ask("Range: bytes=5000-", 'If-Range: "v1"')
    assert (resumed.status, resumed.raw_body) == (200, edited)
    assert resumed.headers["ETag"] != '"v1"'


@pytest.mark.parametrize("change", ["shrink", "rewrite"])
async def test_a_file_that_changes_while_sent_breaks_the_connection(door: Door, tmp_path: Path, change: str) -> None:
    """T26: what was promised can't be kept, so the answer ends early: never padded, never mixed, nothing after it."""
    path = tmp_path / "big"
    size = CHUNK_BYTES * 64
    path.write_bytes(b"1" * size)
    serve_path(door, path)
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port, limit=2**16)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
    head = await reader.readuntil(b"\r\n\r\n")
    if change == "shrink":
        os.truncate(path, CHUNK_BYTES)
    else:
        path.write_bytes(b"2" * size)
    try:
        rest = await reader.read()
    except ConnectionError:
        rest = b""
    writer.close()
    assert f"Content-Length: {size}".encode() in head
    assert len(rest) < size
    assert set(rest) <= set(b"1")


async def test_a_client_that_stalls_is_cut_off_and_the_file_closed(door: Door, tmp_path: Path) -> None:
    """T29: whoever doesn't read loses the connection, and nothing stays open for them."""
    path = tmp_path / "big"
    path.write_bytes(bytes(CHUNK_BYTES * 64))
    ended = asyncio.Event()

    async def handler(asked: web.Request) -> web.StreamResponse:
        try:
            fd = os.open(path, os.O_RDONLY)
            return await send_file(asked, fd, mime="video/mp4", cache_control=CACHE, stall_limit_s=0.01)
        finally:
            ended.set()

    door.handler = handler
    _, writer = await asyncio.open_connection("127.0.0.1", door.port, limit=2**10)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await asyncio.wait_for(ended.wait(), 30)
    assert not is_open(path)
    writer.close()


async def test_a_stream_can_be_cut(door: Door, tmp_path: Path) -> None:
    """Cancelling the handler closes file and connection."""
    path = tmp_path / "big"
    path.write_bytes(bytes(CHUNK_BYTES * 64))
    tasks: list[asyncio.Task[web.StreamResponse]] = []

    async def handler(asked: web.Request) -> web.StreamResponse:
        fd = os.open(path, os.O_RDONLY)
        task = asyncio.create_task(send_file(asked, fd, mime="video/mp4", cache_control=CACHE))
        tasks.append(task)
        return await task

    door.handler = handler
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port, limit=2**10)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    assert is_open(path)
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    async with asyncio.timeout(30):
        while is_open(path):  # a thread that reads just now closes it
            await asyncio.sleep(0.01)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await reader.readexactly(CHUNK_BYTES * 64)
    writer.close()


async def test_a_client_that_leaves_closes_the_file(door: Door, tmp_path: Path) -> None:
    """A connection that ends in the middle is no error, and the file is closed."""
    path = tmp_path / "big"
    path.write_bytes(bytes(CHUNK_BYTES * 64))
    ended: asyncio.Future[web.StreamResponse] = asyncio.get_running_loop().create_future()

    async def handler(asked: web.Request) -> web.StreamResponse:
        fd = os.open(path, os.O_RDONLY)
        response = await send_file(asked, fd, mime="video/mp4", cache_control=CACHE)
        ended.set_result(response)
        return response

    door.handler = handler
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port, limit=2**10)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()
    assert (await asyncio.wait_for(ended, 30)).status == 200
    assert not is_open(path)


async def test_a_file_that_cannot_be_read_is_an_honest_error(door: Door, tmp_path: Path) -> None:
    """A disk that fails before the first byte gives an error to answer with, not a broken 200."""
    refused: list[Unavailable] = []

    async def handler(asked: web.Request) -> web.StreamResponse:
        try:
            # Reading a directory fails as a failing disk does; its size is not zero.
            return await send_file(asked, os.open(tmp_path, os.O_RDONLY), mime="x/y", cache_control=CACHE)
        except Unavailable as error:
            refused.append(error)
            raise web.HTTPServiceUnavailable() from error

    (tmp_path / "entry").touch()
    door.handler = handler
    assert (await door.ask()).status == 503
    assert refused[0].reason == "unreadable"


async def test_a_file_that_changes_before_the_first_byte_is_tried_again_later(door: Door, photo: Path) -> None:
    """T26: a file written to between looking at it and reading it is a 503 that says when to ask again."""
    refused: list[Unavailable] = []

    async def handler(asked: web.Request) -> web.StreamResponse:
        fd = os.open(photo, os.O_RDONLY)
        with ThreadPoolExecutor(1) as executor:
            sending = asyncio.create_task(
                send_file(asked, fd, mime="image/jpeg", cache_control=CACHE, executor=executor)
            )
            await asyncio.sleep(0)  # looking at the file is queued now, reading it is not
            executor.submit(os.truncate, photo, 10)
            try:
                return await sending
            except Unavailable as error:
                refused.append(error)
                raise web.HTTPServiceUnavailable() from error

    door.handler = handler
    assert (await door.ask()).status == 503
    assert (refused[0].reason, refused[0].retry_after_s) == ("changing", 1)


async def test_open_file_waits_for_a_running_read_before_it_closes(tmp_path: Path) -> None:
    """A read that a cancellation left behind in its thread never meets another file under the same number."""
    path = tmp_path / "a"
    path.write_bytes(b"x")
    fd = os.open(path, os.O_RDONLY)
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as executor:
        hold = threading.Event()
        executor.submit(hold.wait)
        file = OpenFile(fd, executor)
        reading = asyncio.create_task(file.version())
        loop.call_soon(gate.set)
        await gate.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        file.close()
        assert is_open(path)
        hold.set()
        while is_open(path):
            await asyncio.to_thread(os.sched_yield)


def is_open(path: Path) -> bool:
    """Whether this process holds a descriptor of the file."""
    key = (path.stat().st_dev, path.stat().st_ino)
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 (descriptor numbers, no paths wanted)
        try:
            facts = os.fstat(int(name))
        except OSError:
            continue
        if (facts.st_dev, facts.st_ino) == key:
            return True
    return False
