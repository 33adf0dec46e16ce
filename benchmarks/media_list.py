"""`/list` of a library of 100,000 files: seconds, and by how much the daemon grows meanwhile.

A real daemon over the library of benchmarks/rescan.py, which is kept in the cache folder; the pictures have no dates,
so that every file is asked for its ctime. The reference, in a process of its own, is the same object made at once in
memory from a file of its entries, by the same encoder: what a server that doesn't stream takes at least. Memory is PSS
in 10^6 bytes.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import harness
from benchmarks.harness import Daemon, median, parser, report, rounded, scratch, serving
from benchmarks.memory import Peak

MOST_GROWTH_MB = 16.0
LIMIT_S = 300.0
READ_BYTES = 65_536
REFERENCE = '''
import json, sys, time
from pathlib import Path
import msgspec
from pixlsrve.media.contents import Entry
def resident_mb():
    """Of this process, without what its parent had before (as ru_maxrss counts it)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
before = resident_mb()
entries = {}
started = time.perf_counter()
with open(sys.argv[1], "rb") as file:
    for line in file:
        digest, entry = msgspec.json.decode(line, type=tuple[str, Entry])
        entries[digest] = entry
whole = msgspec.json.encode(entries)
print(json.dumps({"seconds": time.perf_counter() - started, "grown_mb": resident_mb() - before, "bytes": len(whole)}))
'''


def fetch(daemon: Daemon, token: str, target: Path | None = None) -> tuple[float, float]:
    """Seconds to the first byte and to the last; nothing is kept unless `target` says where."""
    request = urllib.request.Request(f"{daemon.url}/list", headers={"Authorization": f"Bearer {token}"})
    started = time.perf_counter()
    with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
        pieces = [answer.read(1)]
        first = time.perf_counter() - started
        while piece := answer.read(READ_BYTES):
            if target is not None:
                pieces.append(piece)
    if target is not None:
        target.write_bytes(b"".join(pieces))
    return first, time.perf_counter() - started


def at_once(listed: Path) -> dict[str, float]:
    """Seconds and growth of making the same object in memory."""
    out = subprocess.run([sys.executable, "-c", REFERENCE, str(listed)], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(out.stdout)
    return found


def _split(listed: Path, rows: Path) -> tuple[int, Path]:
    """How many entries there are, and a file with one in each line."""
    entries = msgspec.json.decode(listed.read_bytes())
    rows.write_bytes(b"".join(msgspec.json.encode(pair) + b"\n" for pair in entries.items()))
    return len(entries), rows


def measure(folder: Path, files: int, rounds: int) -> dict[str, Any]:
    """Streams and references in turn."""
    library, data, listed = harness.indexed_tree(files), folder / "data", folder / "list.json"
    shutil.copytree(library / "data", data, ignore=shutil.ignore_patterns("*.sock", "log"))
    with serving(data, library / "photos", RATE_LIMITS__OTHER="off") as daemon:
        daemon.wait_idle(photos=files, every_s=0.5)
        token = daemon.token()
        fetch(daemon, token, listed)
        entries, rows = _split(listed, folder / "rows.json")
        before, streams, references, grown = daemon.pss_mb(), [], [], []
        for _ in range(rounds):
            peak = Peak(daemon)
            streams.append(fetch(daemon, token))
            grown.append(peak.end() - before)
            references.append(at_once(rows))
    return {
        "entries": entries,
        "megabytes": round(listed.stat().st_size / 1e6, 1),
        "first_byte_s": median([first for first, _ in streams], 3),
        "seconds": median([last for _, last in streams], 2),
        "rounds_s": rounded([last for _, last in streams]),
        "grown_mb": median(grown, 1),
        "wanted_grown_mb": MOST_GROWTH_MB,
        "at_once_grown_mb": median([each["grown_mb"] for each in references], 1),
        "at_once_s": median([each["seconds"] for each in references], 2),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print one JSON object."""
    options = parser(__doc__)
    options.add_argument("--files", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args(argv)
    with scratch() as folder:
        found = measure(folder, given.files, given.rounds)
    report(benchmark="media_list", **found)


if __name__ == "__main__":
    main()
