"""Bytes written to the disk per indexed photo, beside those of its thumbnails: `python -m benchmarks.writes`.

Prints JSON. A memory card wears out by what is written to it. Counted is what the kernel sends towards the disk for the
daemon and its workers (`write_bytes` of /proc/PID/io, less what was withdrawn before it got there), from the start on
an empty data directory until every photo has its thumbnails. The reference is what must be written in any case: the
thumbnails themselves. Needs Linux, and a scratch folder on a disk: nothing is counted in memory (tmpfs).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from benchmarks import harness

SIZE = (2_016, 1_512)


def written_bytes(pid: int) -> int:
    """What a process has written to the disk so far."""
    pairs = (line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    counts = {name: int(value) for name, value in pairs}
    return counts["write_bytes"] - counts["cancelled_write_bytes"]


def thumbnail_bytes(data_dir: Path) -> int:
    """What all thumbnails have together."""
    with closing(sqlite3.connect(data_dir / "thumbnails.db")) as connection:
        ((total,),) = connection.execute("SELECT sum(length(jpeg)) FROM thumbnail")
    return int(total)


def main() -> None:
    """Measure and print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--photos", type=int, default=500)
    arguments = parser.parse_args()
    with harness.scratch() as folder:
        harness.make_photos(folder / "photos", arguments.photos, SIZE)
        with harness.serving(folder / "data", folder / "photos") as daemon:
            daemon.wait_idle(photos=arguments.photos, every_s=0.5)
            written = {pid: written_bytes(pid) for pid in daemon.processes()}
        thumbnails = thumbnail_bytes(folder / "data")
        sizes = {file.name: file.stat().st_size for file in (folder / "data").glob("*.db*")}
    harness.report(
        photos=arguments.photos,
        written_per_photo=round(sum(written.values()) / arguments.photos),
        thumbnails_per_photo=round(thumbnails / arguments.photos),
        times_thumbnails=round(sum(written.values()) / thumbnails, 2),
        by_the_daemon_itself=round(written[daemon.pid] / arguments.photos),
        databases=sizes,
    )


if __name__ == "__main__":
    main()
