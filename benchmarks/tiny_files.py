"""Whole indexing of many tiny files, end to end: `python -m benchmarks.tiny_files [--files N]`.

Prints JSON: files a second through the real daemon from the appearance of the tree to the last commit, and how long
each stage took. What other programs reach is in RESULTS.md.
"""

from __future__ import annotations

import time

from benchmarks import harness


def main() -> None:
    """Measure and print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    arguments = parser.parse_args()
    with harness.scratch() as folder:
        staged, root = folder / "staged", folder / "root"
        harness.make_tiny_tree(staged, arguments.files)
        root.mkdir()
        with harness.serving(folder / "data", root) as daemon:
            daemon.wait_idle()
            started = time.perf_counter()
            staged.rename(root / "photos")
            daemon.scan()
            stages = daemon.time_stages(photos=arguments.files)
            seconds = time.perf_counter() - started
            peak = daemon.pss_mb()
    harness.report(
        files=arguments.files,
        seconds=round(seconds, 2),
        files_per_s=round(arguments.files / seconds),
        seconds_by_stage={name: round(value, 2) for name, value in stages.items()},
        memory_mb_at_end=round(peak, 1),
    )


if __name__ == "__main__":
    main()
