"""A rescan of 100,000 unchanged files against `find -printf '%s %T@'`: `python -m benchmarks.rescan [--files N]`.

Prints JSON. The library is made and indexed by the daemon at the first run, which takes minutes, and kept in the cache
folder. A rescan is timed from the request until the daemon has finished it; find runs over the same tree in turn.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from benchmarks import harness
from benchmarks.harness import Daemon


def run_find(tree: Path) -> float:
    """Seconds."""
    command = ["find", str(tree), "-printf", "%s %T@\\n"]
    return harness.timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))


def run_rescan(daemon: Daemon) -> float:
    """Seconds from the request to the end."""
    started = time.perf_counter()
    daemon.scan()
    daemon.wait_idle(every_s=0.01)
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    library = harness.indexed_tree(arguments.files)
    with harness.serving(library / "data", library / "photos") as daemon:
        daemon.wait_idle(photos=arguments.files)
        cpu_s = daemon.cpu_s()
        seconds = harness.rounds(
            arguments.rounds, pixlsrve=lambda: run_rescan(daemon), find=lambda: run_find(library / "photos")
        )
        cpu_s = (daemon.cpu_s() - cpu_s) / arguments.rounds
    ratios = [mine / other for mine, other in zip(seconds["pixlsrve"], seconds["find"], strict=True)]
    harness.report(
        files=arguments.files,
        seconds={name: harness.median(values, 3) for name, values in seconds.items()},
        cpu_s_a_rescan=round(cpu_s, 3),
        times_find=harness.median(ratios),
        times_find_each=harness.rounded(ratios),
        wanted={"times_find": 3},
    )


if __name__ == "__main__":
    main()
