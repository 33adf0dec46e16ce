"""The metadata stage against `exiftool -fast2 -json`: `python -m benchmarks.metadata [--files N]`.

Prints JSON. Files are small JPEGs with the Exif of a phone (dates with offset, exposure, lens, position, 12 kB of
maker's note). `stage` is the real daemon's header stage: reading by the worker processes, place names, search words and
commits; its seconds are those that the daemon spends in the stage `reading`. `reader` is the reading alone, in this
process. exiftool gets all files in one call, which spares it its start.
"""

from __future__ import annotations

import subprocess
import time
from datetime import UTC
from pathlib import Path

from benchmarks import harness
from pixlsrve.index.metadata import read_facts
from pixlsrve.model import Facts

PER_FOLDER = 250


def make_files(folder: Path, count: int) -> None:
    """Small pictures with large headers."""
    for first in range(0, count, PER_FOLDER):
        harness.make_photos(folder / f"{first:06}", min(PER_FOLDER, count - first), (640, 480), scenes=4, first=first)


def run_exiftool(folder: Path) -> float:
    """Seconds for all files."""
    command = ["exiftool", "-fast2", "-json", "-r", "-q", str(folder)]
    return harness.timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))


def run_reader(folder: Path) -> float:
    """Seconds for all files in one process, nothing but the reading."""
    paths = sorted(folder.rglob("*.jpg"))
    started = time.perf_counter()
    for path in paths:
        with path.open("rb", buffering=0) as file:
            assert isinstance(read_facts(file, path.name, zone=UTC, max_pixels=10**9), Facts)
    return time.perf_counter() - started


def run_stage(folder: Path, staged: Path, count: int) -> float:
    """Seconds that the daemon's header stage takes."""
    root = folder / "root"
    root.mkdir(parents=True)
    with harness.serving(folder / "data", root) as daemon:
        daemon.wait_idle()
        staged.rename(root / "photos")
        daemon.scan()
        seconds = daemon.time_stages(photos=count)["reading"]
    (root / "photos").rename(staged)
    return seconds


def main() -> None:
    """Measure and print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--files", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    count = arguments.files
    with harness.scratch() as folder:
        make_files(folder / "photos", count)
        numbers = iter(range(1_000))
        seconds = harness.rounds(
            arguments.rounds,
            stage=lambda: run_stage(folder / f"run{next(numbers)}", folder / "photos", count),
            reader=lambda: run_reader(folder / "photos"),
            exiftool=lambda: run_exiftool(folder / "photos"),
        )
    pace = {name: harness.median([count / value for value in values], 0) for name, values in seconds.items()}
    harness.report(
        files=count,
        files_per_s=pace,
        times_exiftool=round(pace["stage"] / pace["exiftool"], 1),
        wanted={"times_exiftool": 10, "files_per_s": 1000},
    )


if __name__ == "__main__":
    main()
