"""Seconds from a photo on the disk to its tile in an open page: `python -m benchmarks.appearing [--rounds N]`.

Prints JSON. A real daemon, a real browser at the timeline; a new photo is moved into the folder, newer than all others.
Needs the built gallery and Debian's chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from tests.daemon import Daemon
from tests.web.browsing import browser
from tests.web.household import fill, picture, receive, wait_for_thumbnails


def measure(rounds: int) -> list[float]:
    """Seconds, round by round."""
    seconds = []
    with tempfile.TemporaryDirectory() as name:
        photos = Path(name) / "photos"
        fill(photos)
        daemon = Daemon(Path(name) / "data", "--photos", str(photos)).start()
        try:
            wait_for_thumbnails(daemon)
            with browser() as chromium, receive(chromium, daemon) as visitor:
                page = visitor.go("/")
                page.locator(".picture-there").first.wait_for()
                for number in range(rounds):
                    made = picture(Path(name) / f"new-{number}.jpg", f"2030:01:{number + 1:02} 10:00:00")
                    started = time.perf_counter()
                    made.rename(photos / made.name)
                    page.locator(f".tile a[aria-label*='new-{number}.jpg']").wait_for()
                    seconds.append(time.perf_counter() - started)
        finally:
            daemon.stop()
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    found = measure(parser.parse_args().rounds)
    result = {"median_s": round(statistics.median(found), 2), "worst_s": round(max(found), 2)}
    print(json.dumps({"load": round(os.getloadavg()[0], 1), **result, "each_s": [round(each, 2) for each in found]}))


if __name__ == "__main__":
    main()
