"""What ten minutes of malformed and flooding multicast DNS packets cost a daemon, and whether it is still found.

A real daemon, a real avahi-daemon and somebody who means harm (tests/mdns/flood.py: noise, broken names, records to be
kept for ever, questions that each want an answer, and in the second half somebody who claims our name) on one LAN of
network namespaces. Needs root. CPU is the share of one core, memory the resident set; `idle` is the same daemon
before the flood. Meanwhile dig asks the host itself; in the end a new avahi-daemon does, which has heard nothing yet.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness import cache_dir, median, parser, report, rounded, scratch

from pixlsrve.media.places.build import ensure_places
from tests.mdns.lan import Lan, Lines, lan_in, run, why_not

ENDLESS = "1000000000"
SAMPLE_S = 5.0
ASK_S = 30.0
IDLE_S = 20.0
MOST_GROWTH_MB = 64.0
_TICKS = os.sysconf("SC_CLK_TCK")


def usage(pid: int) -> tuple[float, float]:
    """Processor time in seconds, resident memory in MB."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    resident = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return (int(fields[11]) + int(fields[12])) / _TICKS, resident / 1e6


class Samples:
    """The daemon's use, taken every few seconds for `seconds`."""

    def __init__(self, pid: int, seconds: float) -> None:
        self.cpu: list[float] = []
        self.memory: list[float] = []
        self._pid, self._until = pid, time.monotonic() + seconds
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        used, at = usage(self._pid)[0], time.monotonic()
        while at < self._until:
            time.sleep(min(SAMPLE_S, max(0.1, self._until - at)))
            now, (total, memory) = time.monotonic(), usage(self._pid)
            self.cpu.append((total - used) / (now - at))
            self.memory.append(memory)
            used, at = total, now

    def wait(self) -> None:
        """Until the last one is taken."""
        self._thread.join()

    def figures(self) -> dict[str, object]:
        """In the report."""
        return {
            "cpu_share": {"median": median(self.cpu), "most": max(rounded(self.cpu))},
            "memory_mb": {
                "first": rounded(self.memory)[0],
                "last": rounded(self.memory)[-1],
                "most": max(rounded(self.memory)),
            },
        }


def is_found(namespace: str) -> bool:
    """Whether `dig`, which keeps no cache that a flood could fill, is told of the service within seconds."""
    question = ("dig", "+short", "+time=3", "+tries=3", "-p", "5353", "@192.0.2.10", "_pixlsrve._tcp.local", "PTR")
    command = ("ip", "netns", "exec", namespace, *question)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return any(line.startswith("attic") for line in done.stdout.splitlines())


def half(lan: Lan, evil: str, eyes: str, pid: int, seconds: float, name: str = "") -> tuple[Samples, int, int]:
    """A flood of that length; the use, and how often of how many times the service was found meanwhile."""
    flood = lan.start(evil, sys.executable, "-m", "tests.mdns.flood", "192.0.2.66", ENDLESS, *([name] if name else []))
    samples, found, asked = Samples(pid, seconds), 0, 0
    until = time.monotonic() + seconds
    while time.monotonic() < until - ASK_S / 2:
        found += is_found(eyes)
        asked += 1
        time.sleep(max(0.0, min(ASK_S, until - time.monotonic())))
    samples.wait()
    flood.send_signal(signal.SIGKILL)
    flood.wait(30)
    return samples, found, asked


def sent(lan: Lan, namespace: str) -> int:
    """Packets that have left the interface of a namespace."""
    return int(run("ip", "netns", "exec", namespace, "cat", "/sys/class/net/eth0/statistics/tx_packets"))


def main() -> None:
    """Measure, and print one JSON object."""
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=10.0)
    minutes = max(0.5, options.parse_args().minutes)
    reason = why_not() or ("" if shutil.which("dig") else "dig is missing: install dnsutils")
    if reason:
        raise SystemExit(reason)
    with scratch() as folder, lan_in(folder) as lan:
        host, evil = lan.host("host", "192.0.2.10/24"), lan.host("evil", "192.0.2.66/24")
        eyes = lan.host("eyes", "192.0.2.200/24")
        data = folder / "data"
        data.mkdir(mode=0o700)
        places = ensure_places(cache_dir())
        shutil.copyfile(places, data / places.name)
        command = (
            sys.executable,
            "-m",
            "pixlsrve",
            "serve",
            "--data-dir",
            str(data),
            "--port",
            "0",
            "--no-vpn",
            "--no-tls",
        )
        daemon = lan.start(host, *command, env={"HOME": str(data), "PIXLSRVE_MDNS__NAME": "attic"})
        Lines(daemon.stdout).wait(lambda line: line.startswith("listening on "))
        lan.avahi(lan.host("early", "192.0.2.199/24"), "early").ask_until(bool)
        idle = Samples(daemon.pid, IDLE_S)
        idle.wait()
        before = sent(lan, evil)
        noise = half(lan, evil, eyes, daemon.pid, minutes * 30)
        lies = half(lan, evil, eyes, daemon.pid, minutes * 30, "attic")
        packets = sent(lan, evil) - before
        fresh = lan.avahi(lan.host("late", "192.0.2.201/24"), "late")
        rows = fresh.ask_until(bool)
        daemon.terminate()
        code = daemon.wait(60)
    growth = max(*noise[0].memory, *lies[0].memory) - idle.memory[-1]
    report(
        minutes=minutes,
        packets=packets,
        packets_per_second=round(packets / (minutes * 60)),
        idle=idle.figures(),
        noise=noise[0].figures() | {"found": noise[1], "asked": noise[2]},
        lies=lies[0].figures() | {"found": lies[1], "asked": lies[2]},
        growth_mb=round(growth, 1),
        found_in_the_end=[row[3] for row in rows],
        exit_code=code,
        promises_kept=growth <= MOST_GROWTH_MB and bool(rows) and code == 0,
    )


if __name__ == "__main__":
    main()
