"""What honest clients wait while 10,000 connections stall in every way there is; prints JSON.

Reach: p99 of honest requests at most 100 ms (THREATS T29). The stalled ones come from forty addresses of the loopback
network and are opened again whenever the host ends them: a third says nothing, a third half a header, a third half a
body. Reference of the same run: the same requests without them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STALLED = 10_000
SOURCES = 40
REQUESTS = 3_000
HONEST = 4
OPENERS = 200
REOPEN_S = 10
ASK = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
STALLS = (
    b"",
    b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: ",
    b"POST /api/v1/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100000\r\n\r\n{",
)


async def stall(port: int, number: int, opened: list[int]) -> None:
    """One stalled connection at a time, for ever."""
    source = f"127.0.1.{number % SOURCES + 1}"
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
            opened[0] += 1
            writer.write(STALLS[number % len(STALLS)])
            with contextlib.suppress(OSError):
                await reader.read()
            writer.transport.abort()
        await asyncio.sleep(REOPEN_S)


async def honest(port: int, count: int) -> list[float]:
    """Times of requests, each on a connection of its own: the worst case."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.1", 0))
        writer.write(ASK)
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
        times.append(time.perf_counter() - started)
        writer.transport.abort()
    return times


async def measure(port: int) -> list[float]:
    parts = await asyncio.gather(*(honest(port, REQUESTS // HONEST) for _ in range(HONEST)))
    return sorted(time_s for part in parts for time_s in part)


def figures(times: list[float]) -> dict[str, float]:
    return {
        "p50_ms": round(statistics.median(times) * 1000, 2),
        "p99_ms": round(times[int(len(times) * 0.99)] * 1000, 2),
        "worst_ms": round(times[-1] * 1000, 2),
    }


async def flood(port: int, opened: list[int]) -> None:
    """The stalled ones, in a process of their own so that the client's work is not measured."""
    tasks = []
    for start in range(0, STALLED, OPENERS):
        tasks += [asyncio.create_task(stall(port, number, opened)) for number in range(start, start + OPENERS)]
        await asyncio.sleep(0.05)
    print(json.dumps({"tried": len(tasks)}), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 16_384)), hard))
    if len(sys.argv) > 1:
        asyncio.run(flood(int(sys.argv[1]), [0]))
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pixlsrve", "serve", "--port", "0", "--data-dir", str(Path(folder) / "data")]
        daemon = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--no-mdns", "--no-vpn", "--no-tls"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert daemon.stdout is not None
            port = int(daemon.stdout.readline().rsplit(":", 1)[1])
            time.sleep(20)  # the first start builds the place names
            reference = asyncio.run(measure(port))
            with subprocess.Popen([sys.executable, __file__, str(port)], stdout=subprocess.PIPE, text=True) as other:
                try:
                    assert other.stdout is not None
                    tried = json.loads(other.stdout.readline())["tried"]
                    stalled = asyncio.run(measure(port))
                finally:
                    other.kill()
            print(
                json.dumps(
                    {
                        "stalled_connections": tried,
                        "honest_requests": len(stalled),
                        **figures(stalled),
                        "reach_p99_ms": 100,
                        "reference_without": figures(reference),
                    }
                )
            )
        finally:
            daemon.terminate()
            daemon.wait(60)


if __name__ == "__main__":
    main()
