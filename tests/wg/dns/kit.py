"""A resolver of ours on a loopback network, dnsmasq and scripted servers behind it, and dig in front of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import pytest
from dnslib import DNSRecord  # type: ignore[import-untyped]  # no stubs exist

from pixlsrve.config import DnsConfig
from pixlsrve.wg.dns.service import TunnelDns
from tests.daemon import free_port

LIMIT_S = 120.0
NAMES = ("attic", "attic.local", "pixlsrve-0a1b.local")
_numbers = itertools.count(os.getpid() % 200)


def require() -> None:
    """Skip the module, aloud, where it can't run."""
    if sys.platform != "linux":
        pytest.skip("all of 127.0.0.0/8 is Linux's: DNS TESTS DO NOT RUN", allow_module_level=True)
    missing = [name for name in ("dig", "dnsmasq") if shutil.which(name) is None]
    if missing:
        reason = f"DNS TESTS DO NOT RUN: install {', '.join(missing)} (docs/development.md)"
        pytest.skip(reason, allow_module_level=True)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so; fails when it never is."""
    async with asyncio.timeout(LIMIT_S):
        while not is_so():
            await asyncio.sleep(0.01)


class Serving:
    """A running `TunnelDns` whose tunnel is 127.54.N.0/24."""

    def __init__(self, *upstream: str, is_on: bool = True) -> None:
        self.prefix = f"127.54.{next(_numbers) % 256}"
        self.port = free_port()
        config = DnsConfig(enabled=is_on, upstream=list(upstream))
        self.dns = TunnelDns(config, network=f"{self.prefix}.0/24", names=NAMES, port=self.port)

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"{self.prefix}.1"

    async def dig(self, *arguments: str, client: int = 2) -> Answered:
        """Ask with dig, as the tunnel's device number `client`."""
        return await dig(*arguments, server=self.address, port=self.port, source=f"{self.prefix}.{client}")

    def datagrams(self, client: int = 2) -> socket.socket:
        """A device's socket, connected."""
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.bind((f"{self.prefix}.{client}", 0))
        made.connect((self.address, self.port))
        return made

    async def connect(self, client: int = 2) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A device's connection."""
        return await asyncio.open_connection(self.address, self.port, local_addr=(f"{self.prefix}.{client}", 0))


@contextlib.asynccontextmanager
async def serving(*upstream: str) -> AsyncIterator[Serving]:
    """A resolver that answers, for the length of the block."""
    made = Serving(*upstream)
    async with running(made):
        made.dns.on_up()
        await until(lambda: made.dns.is_answering)
        yield made


@contextlib.asynccontextmanager
async def running(made: Serving) -> AsyncIterator[None]:
    """Its service, for the length of the block."""
    task = asyncio.create_task(made.dns.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Answered:
    """What dig printed."""

    def __init__(self, text: str, code: int) -> None:
        self.text = text
        self.code = code

    @property
    def status(self) -> str:
        """NOERROR, NXDOMAIN and so on; empty without an answer."""
        return self.text.partition("status: ")[2].partition(",")[0]

    @property
    def flags(self) -> set[str]:
        """qr, aa, tc, ra and so on."""
        return set(self.text.partition(";; flags: ")[2].partition(";")[0].split())

    def records(self, section: str = "ANSWER") -> list[list[str]]:
        """The records of a section: name, TTL, class, type, data."""
        lines = self.text.partition(f";; {section} SECTION:\n")[2].partition("\n\n")[0].splitlines()
        return [line.split(None, 4) for line in lines]

    @property
    def data(self) -> list[str]:
        """The data of the answers."""
        return [record[4] for record in self.records()]


async def dig(*arguments: str, server: str, port: int, source: str) -> Answered:
    """dig's answer; one try of at most eight seconds, unless told otherwise."""
    process = await asyncio.create_subprocess_exec(
        *("dig", f"@{server}", "-p", str(port), "-b", source, "+tries=1", "+time=8", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    return Answered(out.decode(), process.returncode or 0)


Reply = Callable[[DNSRecord], bytes | None]


class Scripted(asyncio.DatagramProtocol):
    """A server that answers over UDP and TCP with what `reply` makes of a question; None for silence."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.asked: list[DNSRecord] = []
        self.sources: list[tuple[str, int]] = []
        self.streams = 0
        self.port = free_port()
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def server(self) -> str:
        """As in `dns.upstream`."""
        return f"127.0.0.1:{self.port}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a question."""
        answer = self._answer(data, addr)
        if answer is not None:
            self.send(answer, addr)

    def send(self, answer: bytes, addr: tuple[str, int]) -> None:
        """Send an answer from the right address."""
        assert self._transport is not None
        self._transport.sendto(answer, addr)

    async def serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one question over TCP."""
        self.streams += 1
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        answer = self._answer(await reader.readexactly(length), writer.get_extra_info("peername"))
        if answer is not None:
            writer.write(struct.pack("!H", len(answer)) + answer)
        writer.close()

    def names(self) -> list[str]:
        """What was asked, in order."""
        return [str(asked.q.qname) for asked in self.asked]

    def _answer(self, data: bytes, source: tuple[str, int]) -> bytes | None:
        question = DNSRecord.parse(data)
        self.asked.append(question)
        self.sources.append(source)
        return self.reply(question)


@contextlib.asynccontextmanager
async def datagrams(reply: Reply) -> AsyncIterator[Scripted]:
    """A scripted server that answers over UDP only, for the length of the block."""
    made = Scripted(reply)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: made, local_addr=("127.0.0.1", made.port))
    try:
        yield made
    finally:
        transport.close()


@contextlib.asynccontextmanager
async def scripted(reply: Reply) -> AsyncIterator[Scripted]:
    """A scripted server for the length of the block."""
    async with datagrams(reply) as made:
        server = await asyncio.start_server(made.serve_stream, "127.0.0.1", made.port)
        try:
            yield made
        finally:
            server.close()


class Dnsmasq:
    """A real dnsmasq that knows what its options say."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self._log = folder / f"dnsmasq-{self.port}.log"
        fixed = ("--no-daemon", "--conf-file=/dev/null", "--bind-interfaces", "--no-resolv", "--no-hosts")
        where = ("--listen-address=127.0.0.1", f"--port={self.port}", "--log-queries", "--log-facility=-")
        user = ("--user=root",) if os.geteuid() == 0 else ()
        with self._log.open("w") as log:
            self.process = subprocess.Popen(["dnsmasq", *fixed, *where, *user, *options], stderr=log, stdout=log)

    @property
    def server(self) -> str:
        """As in `dns.upstream`."""
        return f"127.0.0.1:{self.port}"

    def log(self) -> str:
        """What it has been asked and has answered."""
        return self._log.read_text()

    async def ready(self) -> None:
        """Wait until it listens."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                assert self.process.poll() is None, self.log()
                await asyncio.sleep(0.02)

    def stop(self) -> None:
        """End it; also a stopped one."""
        self.process.kill()
        self.process.wait()


@contextlib.asynccontextmanager
async def dnsmasq(folder: Path, *options: str) -> AsyncIterator[Dnsmasq]:
    """A dnsmasq that answers, for the length of the block."""
    made = Dnsmasq(folder, *options)
    try:
        await made.ready()
        yield made
    finally:
        made.stop()
