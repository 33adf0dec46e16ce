"""What the service needs of a board's memory: 100,000 photos after a boot, and new ones being indexed in 512 MB.

    python -m tests.campaigns.small_machine DEB --cache DIR [--photos N] [--fresh N] [--memory MB]

boots a Debian with the package in QEMU with so much memory and no swap, without the processor's help; prints a line a
step and one JSON object; exit code 1 when the memory at rest is above its limit, or the kernel killed anything. The
photos were indexed by the packaged program before, outside (the disk is kept in DIR). Real photos, HEICs, RAWs and
films come from PIXLSRVE_TEST_MEDIA; without it they are made. Needs root, x86-64 Linux, and Debian's packages
debootstrap, e2fsprogs and qemu-system-x86.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.campaigns.small_machine.disk import PHOTOS, ensure_disk
from tests.campaigns.small_machine.guest import Guest
from tests.campaigns.small_machine.media import make_media
from tests.campaigns.steps import failed_of
from tests.qemu.root import why_not

MEMORY_MB = 512
AT_REST_MB = 100.0
QUIET_S = 60.0
"""How long it is left alone before its memory at rest is read; workers that have nothing to do are gone by then."""
BOOT_LIMIT_S, SCAN_LIMIT_S, INDEXING_LIMIT_S = 1_200.0, 3_600.0, 7_200.0
UNITS = ("pixlsrve.service", "pixlsrve-tunnel.service")


class Memory:
    """What `measure.sh` says of one unit; sizes in 10^6 bytes."""

    def __init__(self, text: str) -> None:
        self.values: dict[str, int] = {}
        self.rss_mb = self.pss_mb = 0.0
        self.processes = 0
        for line in text.splitlines():
            name, *words = line.split()
            if name == "process" and len(words) == 3 and int(words[2]):
                self.rss_mb += int(words[1]) * 1024 / 1e6
                self.pss_mb += int(words[2]) * 1024 / 1e6
                self.processes += 1
            elif len(words) == 1:
                self.values[name] = int(words[0])

    def mb(self, name: str, unit: int = 1) -> float:
        """A value of `unit` bytes."""
        return round(self.values.get(name, 0) * unit / 1e6, 1)

    def report(self) -> dict[str, Any]:
        """What is printed of it."""
        return {
            "pss_mb": round(self.pss_mb, 1),
            "rss_mb": round(self.rss_mb, 1),
            "processes": self.processes,
            "cgroup_current_mb": self.mb("current"),
            "of_it_anonymous_mb": self.mb("stat.anon"),
            "of_it_file_cache_mb": self.mb("stat.file"),
            "of_it_reclaimable_slab_mb": self.mb("stat.slab_reclaimable"),
            "of_it_other_kernel_mb": round(self.mb("stat.kernel") - self.mb("stat.slab_reclaimable"), 1),
        }


class Highest:
    """The most that was seen, of samples."""

    def __init__(self) -> None:
        self.pss_mb = self.rss_mb = 0.0
        self.processes = self.samples = 0
        self.available_mb = float("inf")

    def add(self, memory: Memory) -> None:
        """One sample."""
        self.samples += 1
        self.pss_mb = round(max(self.pss_mb, memory.pss_mb), 1)
        self.rss_mb = round(max(self.rss_mb, memory.rss_mb), 1)
        self.processes = max(self.processes, memory.processes)
        self.available_mb = min(self.available_mb, memory.mb("machine.MemAvailable", 1024))


class Board:
    """The steps, in their order, and their figures."""

    def __init__(self, guest: Guest, photos: int, fresh: int) -> None:
        self.guest, self.photos, self.fresh = guest, photos, fresh
        self.figures: dict[str, Any] = {"photos": photos, "fresh_files": fresh}

    def boot(self) -> None:
        """Until the pages come and the scan of the start has ended."""
        self.guest.wait_shell(BOOT_LIMIT_S)
        self.guest.until(self.guest.is_serving, "the first page", BOOT_LIMIT_S)
        self.figures["power_to_page_s"] = round(self.guest.age_s)
        self.guest.token = self.guest.run("pixlsrve token --admin --expires 1d").strip()
        self.guest.until(self._is_idle, "the end of the first scan", SCAN_LIMIT_S)
        self.figures["power_to_scanned_s"] = round(self.guest.age_s)
        assert self._indexed() == self.photos, self._indexed()

    def rest(self) -> None:
        """Its memory when it has nothing to do; then after what a phone asks first."""
        time.sleep(QUIET_S)
        self.figures["after_boot"] = {unit: self.measure(unit).report() for unit in UNITS if self._is_active(unit)}
        for path in ("photos?limit=500", "albums?limit=200", "timeline", "photos/search?q=img&limit=100"):
            self.guest.ask(f"/api/v1/{path}")
        self.figures["after_requests"] = self.measure().report()

    def index(self) -> None:
        """New files come, and have their thumbnails in the end; the most that was held meanwhile."""
        began_s, highest = time.monotonic(), Highest()
        self.guest.run("mount -o ro /dev/vdb /mnt")
        self.guest.run(f"cp -r /mnt /{PHOTOS}/new", 1_200.0)
        scan = self.guest.ask("/api/v1/host/scan", {})
        assert scan["status"] == "started"

        def is_done() -> bool:
            highest.add(self.measure())
            return self._is_idle()

        self.guest.until(is_done, "the end of the indexing", INDEXING_LIMIT_S)
        self.figures["indexing"] = {
            "seconds": round(time.monotonic() - began_s),
            "added": self._indexed() - self.photos,
            "set_aside": self._status()["quarantined"],
            "highest_of_samples": vars(highest),
            "cgroup_peak_mb": self.measure().mb("peak"),
        }

    def kills(self) -> None:
        """What the kernel ended, and what systemd had to start again."""
        values = {unit: self.measure(unit).values for unit in UNITS if self._is_active(unit)}
        said = self.guest.run("dmesg | grep -iE 'out of memory|oom-kill' || true").splitlines()
        self.figures["kills"] = {
            "by_the_units_limits": sum(found["events.oom_kill"] for found in values.values()),
            "in_the_machine": max(found["machine.oom_kill"] for found in values.values()),
            "kernel_log": said,
            "restarts": int(self.guest.run(f"systemctl show {UNITS[0]} -P NRestarts")),
            "over_memory_high": values[UNITS[0]]["events.high"],
        }
        self.figures["stalled_for_memory"] = self.guest.run("grep full /proc/pressure/memory || true").strip()

    def measure(self, unit: str = UNITS[0]) -> Memory:
        """A unit's memory now."""
        return Memory(self.guest.run(f"measure {unit}"))

    def faults(self) -> list[str]:
        """What is over a limit."""
        kills = self.figures["kills"]
        found = [name for name in ("by_the_units_limits", "in_the_machine", "kernel_log", "restarts") if kills[name]]
        if self.figures["after_boot"][UNITS[0]]["pss_mb"] > AT_REST_MB:
            found.append("after_boot")
        return found

    def _is_active(self, unit: str) -> bool:
        return self.guest.run(f"systemctl is-active {unit} || true").strip() == "active"

    def _status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.guest.ask("/api/v1/host/status")["indexing_status"]
        return found

    def _indexed(self) -> int:
        return int(self._status()["photos_indexed"])

    def _is_idle(self) -> bool:
        status = self._status()
        return not status["in_progress"] and status["last_completed"] is not None


def main() -> int:
    """Build what is missing, boot, measure; 0 when all is within its limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="where the Debian and the disk are kept between runs")
    parser.add_argument("--photos", type=int, default=100_000, help="in the library before [100000]")
    parser.add_argument("--fresh", type=int, default=150, help="files of the test media that are added [150]")
    parser.add_argument("--memory", type=int, default=MEMORY_MB, help="MB of the machine [512]")
    options = parser.parse_args()
    reason = why_not(is_root=os.geteuid() == 0)
    if reason:
        print(f"THE EMULATED MACHINE DOES NOT RUN: {reason}", file=sys.stderr)
        return 2
    media = os.environ.get("PIXLSRVE_TEST_MEDIA")
    with contextlib.ExitStack() as stack:
        root = ensure_disk(options.cache.absolute(), options.package, options.photos)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.cache)))
        image, fresh = make_media(folder, Path(media) if media else None, options.fresh)
        guest = Guest(root, image, folder, memory_mb=options.memory)
        stack.callback(guest.close)
        board = Board(guest, options.photos, fresh)
        failed = failed_of((board.boot, board.rest, board.index, board.kills))
    faults = [] if failed else board.faults()
    print(
        json.dumps({"memory_mb": options.memory, **board.figures, "over_the_limit": faults, "failed": failed}, indent=1)
    )
    return 1 if faults or failed else 0


if __name__ == "__main__":
    sys.exit(main())
