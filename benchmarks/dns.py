"""The tunnel's resolver against dnsmasq: answers per second at full load, and p99 at 1,000 questions a second.

Needs dnsmasq and dnsperf. Both resolvers run on loopback addresses in processes of their own and forward to the same
further dnsmasq. `own`: their own names; `cached`: 1,000 names that they keep; `forwarded`: names with a TTL of 0, which
nobody may keep. Times are those of dnsperf, which shares the machine with them; milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import cpu_s, median, parser, report, rounded, rounds, scratch

REPOSITORY = Path(__file__).parents[1]
NETWORK = "127.44.7.0/24"
OURS, THEIRS, CLIENT = "127.44.7.1", "127.44.8.1", "127.44.7.2"
UPSTREAM = "127.44.9.1"
PORT, UPSTREAM_PORT = 5300, 5301
WANTED = 0.2
STEADY_QPS = 1_000
NAMES = 1_000
START_LIMIT_S = 30.0
SERVE = """
import asyncio, sys, uvloop
from pixlsrve.config import DnsConfig
from pixlsrve.wg.dns.service import TunnelDns
async def main():
    dns = TunnelDns(DnsConfig(upstream=[sys.argv[2]]), network=sys.argv[1], names=[], port=int(sys.argv[3]))
    dns.on_up()
    await dns.run()
uvloop.run(main())
"""


def questions(folder: Path) -> dict[str, Path]:
    """What is asked, one file a kind."""
    lists = {
        "own": ["pixlsrve.home.arpa"],
        "cached": [f"n{number}.kept.example" for number in range(NAMES)],
        "forwarded": [f"n{number}.fleeting.example" for number in range(NAMES)],
    }
    files = {}
    for name, names in lists.items():
        files[name] = folder / name
        files[name].write_text("".join(f"{each} A\n" for each in names))
    return files


@contextlib.contextmanager
def program(*command: str) -> Iterator[int]:
    """A program for the length of the block; its process id."""
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def dnsmasq(address: str, port: int, *options: str) -> contextlib.AbstractContextManager[int]:
    """A dnsmasq that knows what `options` say and nothing else."""
    fixed = ("--no-daemon", "--conf-file=/dev/null", "--bind-interfaces", "--no-resolv", "--no-hosts", "--user=root")
    return program("dnsmasq", *fixed, f"--listen-address={address}", f"--port={port}", *options)


@contextlib.contextmanager
def resolvers() -> Iterator[dict[str, int]]:
    """Ours, theirs, and the one behind them, answering; the process ids of the first two by their addresses."""
    upstream = f"{UPSTREAM}#{UPSTREAM_PORT}"
    kept = [f"--host-record=n{number}.kept.example,192.0.2.1,86400" for number in range(NAMES)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            dnsmasq(UPSTREAM, UPSTREAM_PORT, *kept, "--address=/fleeting.example/192.0.2.1", "--dns-forward-max=1000")
        )
        own = "--host-record=pixlsrve.home.arpa,10.100.0.1"
        theirs = (f"--server={upstream}", own, "--cache-size=5000", "--dns-forward-max=1000")
        pids = {THEIRS: stack.enter_context(dnsmasq(THEIRS, PORT, *theirs))}
        command = (sys.executable, "-c", SERVE, NETWORK, f"{UPSTREAM}:{UPSTREAM_PORT}", str(PORT))
        pids[OURS] = stack.enter_context(program(*command))
        for address, port in ((UPSTREAM, UPSTREAM_PORT), (THEIRS, PORT), (OURS, PORT)):
            wait_for(address, port)
        yield pids


def wait_for(address: str, port: int) -> None:
    """Until somebody listens there."""
    until_s = time.monotonic() + START_LIMIT_S
    while True:
        try:
            socket.create_connection((address, port), 1, source_address=(CLIENT, 0)).close()
        except OSError:
            assert time.monotonic() < until_s, f"nobody listens at {address}"
            time.sleep(0.05)
            continue
        return


def dnsperf(server: str, file: Path, *options: str) -> str:
    """What dnsperf prints; fails when questions got lost or were refused."""
    command = ["dnsperf", "-s", server, "-p", str(PORT), "-a", CLIENT, "-d", str(file), "-e", *options]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.search(r"Response codes:\s+NOERROR \d+ \(100\.00%\)", out), out[-2_000:]
    return out


class Pace(NamedTuple):
    """Answers per second by the clock, and per second of the resolver's processor time."""

    per_second: float
    per_cpu_second: float


def pace(server: str, pid: int, file: Path, seconds: int) -> Pace:
    """With 100 questions on the way all the time."""
    before_s = cpu_s(pid)
    out = dnsperf(server, file, "-l", str(seconds), "-c", "10", "-q", "100")
    used_s = cpu_s(pid) - before_s
    found, count = re.search(r"Queries per second:\s+([\d.]+)", out), re.search(r"Queries completed:\s+(\d+)", out)
    assert found, out
    assert count, out
    return Pace(float(found[1]), int(count[1]) / used_s)


def p99_ms(server: str, file: Path, seconds: int) -> float:
    """The 99th percentile of the answers' times at a steady rate."""
    out = dnsperf(server, file, "-l", str(seconds), "-Q", str(STEADY_QPS), "-v")
    times = sorted(float(value) for value in re.findall(r"^> NOERROR \S+ A ([\d.]+)$", out, re.M))
    assert times, out[:500]
    return times[len(times) * 99 // 100] * 1_000


def compare(pids: dict[str, int], file: Path, seconds: int, count: int) -> dict[str, object]:
    """Both, in turn."""
    for server in (OURS, THEIRS):
        dnsperf(server, file, "-n", "1")
    paces = rounds(
        count,
        ours=partial(pace, OURS, pids[OURS], file, seconds),
        dnsmasq=partial(pace, THEIRS, pids[THEIRS], file, seconds),
    )
    times = rounds(count, ours=partial(p99_ms, OURS, file, seconds), dnsmasq=partial(p99_ms, THEIRS, file, seconds))
    pairs = list(zip(paces["ours"], paces["dnsmasq"], strict=True))
    return {
        **{f"{name}_per_second": median([each.per_second for each in found], 0) for name, found in paces.items()},
        **{f"{name}_p99_ms": median(values, 3) for name, values in times.items()},
        "ratio": median([ours.per_second / theirs.per_second for ours, theirs in pairs]),
        "ratio_by_processor_time": median([ours.per_cpu_second / theirs.per_cpu_second for ours, theirs in pairs]),
        "rounds": rounded([each.per_second for each in paces["ours"]], 0),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print one JSON object."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=5)
    given = options.parse_args(argv)
    missing = [name for name in ("dnsmasq", "dnsperf") if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        sys.exit(f"needs root and {', '.join(missing) or 'nothing more'}")
    with scratch() as folder, resolvers() as pids:
        found = {name: compare(pids, file, given.seconds, given.rounds) for name, file in questions(folder).items()}
    report(benchmark="dns", wanted_ratio=WANTED, steady_qps=STEADY_QPS, **found)


if __name__ == "__main__":
    main()
