"""Memory of the daemon and its workers together: `python -m benchmarks.memory [idle] [indexing]`.

Prints JSON; figures are sums of PSS (each shared page counted once) in 10^6 bytes. `idle`: 100,000 photos indexed, some
lists and thumbnails served, the workers gone; the library is the one of benchmarks/rescan.py, kept in the cache folder.
`indexing`: the highest of samples taken every 30 ms while 12-megapixel JPEGs and pictures of 100 megapixels are read.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.error
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.harness import Daemon

GIANT = (11_552, 8_656)
IDLE_AFTER_S = 30.0


def idle(files: int) -> dict[str, Any]:
    """At rest, some requests after the start."""
    library = harness.indexed_tree(files)
    with harness.serving(library / "data", library / "photos") as daemon:
        daemon.wait_idle(photos=files)
        at_start = daemon.pss_mb()
        token = daemon.token()
        for path in (
            "photos?limit=500",
            "albums?limit=200",
            "timeline",
            "photos/search?q=img&limit=100",
            "host/status",
        ):
            daemon.get(path, token)
        daemon.scan()
        daemon.wait_idle()
        time.sleep(IDLE_AFTER_S)
        return {
            "photos": files,
            "after_the_start_mb": round(at_start, 1),
            "after_requests_and_a_rescan_mb": round(daemon.pss_mb(), 1),
            "processes": len(daemon.processes()),
        }


class Peak:
    """Samples a daemon's memory beside whatever else happens."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.highest_mb = 0.0
        self._thread.start()

    def _sample(self) -> None:
        while not self._stop.wait(0.03):
            self.highest_mb = max(self.highest_mb, self._daemon.pss_mb())

    def end(self) -> float:
        """The highest sample."""
        self._stop.set()
        self._thread.join()
        return round(self.highest_mb, 1)


def indexing(folder: Path, giant: dict[str, Any]) -> dict[str, Any]:
    """Two dozen photos and one giant."""
    staged, root = folder / "staged", folder / "root"
    harness.make_photos(staged, 24, scenes=4)
    picture = harness.scene((GIANT[0] // 4, GIANT[1] // 4), 5).resize(GIANT)
    picture.save(staged / f"giant.{giant['format'].lower()}", **giant)
    del picture
    root.mkdir()
    with harness.serving(folder / "data", root) as daemon:
        daemon.wait_idle()
        before = daemon.pss_mb()
        peak = Peak(daemon)
        staged.rename(root / "photos")
        daemon.scan()
        daemon.time_stages(photos=24)
        peak_mb = peak.end()
        token = daemon.token()
        found = json.loads(daemon.get("photos/search?q=giant", token))["photos"]
        has_thumbnail = False
        with contextlib.suppress(urllib.error.HTTPError):
            has_thumbnail = bool(daemon.get(f"photos/{found[0]['id']}/thumbnail", token))
        return {
            "giant_has_thumbnail": has_thumbnail,
            "before_mb": round(before, 1),
            "peak_mb": peak_mb,
            "quarantined": daemon.state()["quarantined"],
        }


def main() -> None:
    """Measure and print."""
    parser = harness.parser(__doc__)
    parser.add_argument("what", nargs="*", default=["idle", "indexing"])
    parser.add_argument("--files", type=int, default=100_000)
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    if "indexing" in arguments.what:
        giants: dict[str, dict[str, Any]] = {
            "jpeg": {"format": "JPEG", "quality": 88},
            "progressive_jpeg": {"format": "JPEG", "quality": 88, "progressive": True},
            "png": {"format": "PNG", "compress_level": 1},
        }
        for name, giant in giants.items():
            with harness.scratch() as folder:
                found[f"indexing_with_{name}_of_100_megapixels"] = indexing(folder, giant)
    if "idle" in arguments.what:
        found["idle"] = idle(arguments.files)
    harness.report(**found, wanted={"idle_mb": 100, "peak_mb": 350})


if __name__ == "__main__":
    main()
