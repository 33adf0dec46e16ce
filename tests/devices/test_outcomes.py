"""Every outcome of a sync, each by the condition that really causes it (specs/pisync-api.md; DESIGN section 5)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from pixlsrve.devices.addresses import Reachable
from pixlsrve.devices.service import DeviceServices, open_devices
from pixlsrve.errors import InvalidInput
from pixlsrve.media.uploads.service import Uploads
from pixlsrve.model import Device
from pixlsrve.store.songs import Listed
from tests.auth.kit import KEY, Kit, open_kit
from tests.daemon import free_port

SILENCE_S = 0.5
LINK_LOCAL = ("169.254.1.1", "fe80::1", "fe80::1%eth0", "224.0.0.1", "ff02::1", "255.255.255.255")
ELSEWHERE = ("0.0.0.0", "::", "127.0.0.1", "::1", "::ffff:127.0.0.1", "[::1]", "8.8.8.8")  # noqa: S104  # refused
UNREADABLE = ("2130706433", "0x7f000001", "127.1", "a/b", "a@b", "host:80", "-", "", "a b")
NEVER_CALLED = (*LINK_LOCAL, *ELSEWHERE, *UNREADABLE)
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def opened(folder: Path, silence_s: float = SILENCE_S) -> AsyncIterator[tuple[Kit, DeviceServices]]:
    """Devices on a real database; nothing is uploaded here."""
    async with (
        open_kit(folder, durability="OFF") as kit,
        open_devices(
            kit.state,
            identity=kit.identity,
            key=KEY,
            bus=kit.bus,
            uploads=cast(Uploads, None),
            connect_s=silence_s,
            silence_s=silence_s,
        ) as services,
    ):
        yield kit, services


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[tuple[Kit, DeviceServices, Device]]:
    """The services, and a paired device."""
    async with opened(tmp_path) as (kit, services):
        device, _ = await kit.pair("Pi")
        yield kit, services, device


@contextlib.asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[int]:
    """A server on loopback that treats every connection like this; its port."""

    async def treat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await answer(reader, writer)
        writer.close()

    server = await asyncio.start_server(treat, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def saying(content: bytes) -> Answer:
    """Answers every request with these bytes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(content)
        await writer.drain()

    return answer


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def outcome(services: DeviceServices, device: Device, address: str, port: int) -> tuple[int, str | None]:
    """Code and message of a sync with a mini-server there."""
    await services.registry.register(device, address=address, port=port, caller="127.0.0.1")
    row = await services.syncs.sync(device)
    return row.code, row.message


async def test_no_address(parts: tuple[Kit, DeviceServices, Device]) -> None:
    """A device that never registered an address is not reachable."""
    _, services, device = parts
    row = await services.syncs.sync(device)
    assert (row.code, row.message) == (404, "Server Not Reachable")
    assert row.synced_us is None
    assert row.attempted_us > 0


async def test_closed_port(parts: tuple[Kit, DeviceServices, Device]) -> None:
    """A refused connection is `Server Not Reachable`."""
    _, services, device = parts
    assert await outcome(services, device, "127.0.0.1", free_port()) == (404, "Server Not Reachable")


async def test_unresolvable(parts: tuple[Kit, DeviceServices, Device]) -> None:
    """A name that nobody knows is `Server Not Reachable`."""
    _, services, device = parts
    assert await outcome(services, device, "nobody.invalid", 8766) == (404, "Server Not Reachable")


async def test_silent_host(parts: tuple[Kit, DeviceServices, Device]) -> None:
    """A device that accepts and never answers is `Connection Timeout`."""
    _, services, device = parts
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert await outcome(services, device, "127.0.0.1", port) == (400, "Connection Timeout")


async def test_half_an_answer(parts: tuple[Kit, DeviceServices, Device]) -> None:
    """A device that falls silent within its manifest is `Connection Timeout` too."""
    _, services, device = parts

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        await reader.read()

    async with listening(answer) as port:
        assert await outcome(services, device, "127.0.0.1", port) == (400, "Connection Timeout")


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
async def test_refused_credential(parts: tuple[Kit, DeviceServices, Device], status: str) -> None:
    """A device that refuses the host's credential is `Authentication Failure`."""
    _, services, device = parts
    async with listening(saying(http(status))) as port:
        assert await outcome(services, device, "127.0.0.1", port) == (400, "Authentication Failure")


@pytest.mark.parametrize(
    "answer",
    [
        http("500 Internal Server Error"),
        http("302 Found", b"", "Location: http://127.0.0.1:1/"),
        http("200 OK", b"no json\n"),
        http("200 OK", b'{"path": "../../x\\u0000", "size": 1}\n'),
        http("200 OK", b'{"path": "a", "size": -1}\n'),
        http("200 OK", b'{"path": "' + b"a" * 70_000 + b'", "size": 1}\n'),
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
    ids=["500", "redirect", "junk", "control", "negative", "long line", "cut", "no http", "hangs up"],
)
async def test_anything_else(parts: tuple[Kit, DeviceServices, Device], answer: bytes) -> None:
    """Everything else is `Unknown Sync Error`; redirects are not followed, lines over 64 KiB not read (T24)."""
    _, services, device = parts
    async with listening(saying(answer)) as port:
        assert await outcome(services, device, "127.0.0.1", port) == (500, "Unknown Sync Error")


async def test_a_server_that_knows_nothing(parts: tuple[Kit, DeviceServices, Device]) -> None:
    """A server that has neither a manifest nor any song is no mini-server of ours: nothing was synced."""
    _, services, device = parts
    async with listening(saying(http("404 Not Found"))) as port:
        assert await outcome(services, device, "127.0.0.1", port) == (200, None)  # nothing is wanted of it
        await services.songs.add(device, [Listed(path="a.mp3", size_bytes=1), Listed(path="b.mp3", size_bytes=1)])
        assert await outcome(services, device, "127.0.0.1", port) == (500, "Unknown Sync Error")


async def test_song_that_is_told_of_meanwhile_keeps_its_id(parts: tuple[Kit, DeviceServices, Device]) -> None:
    """What a device registers while its manifest is read, too late to stand in it, is not forgotten by that."""
    kit, services, device = parts
    (old,) = await services.songs.add(device, [Listed(path="old.mp3", size_bytes=1)])
    kit.time.pass_s(1)
    told = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        told.extend(await services.songs.add(device, [Listed(path="new.mp3", size_bytes=1)]))
        writer.write(http("200 OK"))
        await writer.drain()

    async with listening(answer) as port:
        assert (await outcome(services, device, "127.0.0.1", port))[0] == 200
    assert [song.uuid for song in await services.songs.of_device(device)] == [song.uuid for song in told]
    assert told[0].uuid != old.uuid


async def test_failure_keeps_last_success(parts: tuple[Kit, DeviceServices, Device]) -> None:
    """A failure keeps the time of the last success and stands in the log; the next success clears the message."""
    kit, services, device = parts
    async with listening(saying(http("200 OK"))) as port:
        assert await outcome(services, device, "127.0.0.1", port) == (200, None)
    good = services.registry.sync(device.id)
    assert good is not None
    kit.time.pass_s(60)
    bad = await services.syncs.sync(device)
    assert (bad.code, bad.synced_us) == (404, good.synced_us)
    assert bad.attempted_us > good.attempted_us
    count, (failure,) = await services.registry.failures([device.id], page=1, limit=10)
    assert (count, failure.code, failure.message) == (1, 404, "Server Not Reachable")
    async with listening(saying(http("200 OK"))) as port:
        assert await outcome(services, device, "127.0.0.1", port) == (200, None)


async def test_two_syncs_join(parts: tuple[Kit, DeviceServices, Device]) -> None:
    """Two syncs of a device never run at once: the second has the first one's outcome."""
    _, services, device = parts
    asked = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.wait_for(both.wait(), 10)
        writer.write(http("200 OK"))
        await writer.drain()

    both = asyncio.Event()
    async with listening(answer) as port:
        await services.registry.register(device, address="127.0.0.1", port=port, caller="127.0.0.1")
        syncs = [asyncio.create_task(services.syncs.sync(device)) for _ in range(3)]
        while not asked:
            await asyncio.sleep(0)
        both.set()
        rows = await asyncio.gather(*syncs)
    assert asked == 1
    assert {row.attempted_us for row in rows} == {rows[0].attempted_us}


async def test_moved_device(parts: tuple[Kit, DeviceServices, Device]) -> None:
    """A device that registers another address while the old one hangs is asked again at the new one."""
    _, services, device = parts
    with socket.create_server(("127.0.0.1", 0)) as silent:
        await services.registry.register(device, address="127.0.0.1", port=silent.getsockname()[1], caller="127.0.0.1")
        sync = asyncio.create_task(services.syncs.sync(device))
        connection, _ = await asyncio.get_running_loop().run_in_executor(None, silent.accept)
        async with listening(saying(http("200 OK"))) as port:
            await services.registry.register(device, address="127.0.0.1", port=port, caller="127.0.0.1")
            row = await sync
        connection.close()
    assert (row.code, row.message) == (200, None)


@pytest.mark.parametrize("address", NEVER_CALLED)
async def test_addresses_never_called(parts: tuple[Kit, DeviceServices, Device], address: str) -> None:
    """T24: link-local, multicast, foreign and unreadable addresses are refused; loopback to who is elsewhere."""
    _, services, device = parts
    with pytest.raises(InvalidInput):
        await services.registry.register(device, address=address, port=8766, caller="192.168.7.7")


async def test_names_are_checked_when_called(parts: tuple[Kit, DeviceServices, Device]) -> None:
    """T24: a name that leads to loopback is not called for a device elsewhere, whatever listens there."""
    _, services, device = parts
    async with listening(saying(http("200 OK"))) as port:
        await services.registry.register(device, address="localhost", port=port, caller="192.168.7.7")
        row = await services.syncs.sync(device)
    assert (row.code, row.message) == (404, "Server Not Reachable")


async def test_host_is_not_called() -> None:
    """T24: the host's own listeners are called for nobody, its own addresses only for programs on it."""
    interfaces: Any = Reachable()._interfaces()
    reachable = Reachable()
    reachable.own_ports = frozenset({8080})
    own = next(str(interface.ip) for interface in interfaces if not interface.is_loopback and interface.version == 4)
    assert reachable.may_call(own, 8766, is_local=True)
    assert not reachable.may_call(own, 8766, is_local=False)
    assert not reachable.may_call(own, 8080, is_local=True)
    assert not reachable.may_call("127.0.0.1", 8080, is_local=True)
    assert reachable.may_call("192.168.1.9", 8080, is_local=False)
