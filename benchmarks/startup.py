"""Start to first answered request with a million photos against an empty library: `python -m benchmarks.startup`.

Prints JSON. The clock runs from the start of the process until the first page of `/api/v1/photos` is there. The big
index is made by benchmarks/big_library.py (a minute and 1.6 GB, kept in the cache folder); its files do not exist, so
that the daemon finds the root offline, which it finds out beside answering. Starts alternate.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from benchmarks import harness
from benchmarks.big_library import build


def first_answer(data_dir: Path, root: Path, token: str, photos: int) -> float:
    """Seconds to the first page."""
    started = time.perf_counter()
    with harness.serving(data_dir, root) as daemon:
        page = json.loads(daemon.get("photos?limit=100", token))
        seconds = time.perf_counter() - started
        assert page["pagination"]["total"] == photos, page["pagination"]
    return seconds


def prepare(data_dir: Path, root: Path, index: Path | None) -> str:
    """A data directory that was used before, with `index` in it; a token for it."""
    root.mkdir(parents=True)
    with harness.serving(data_dir, root) as daemon:
        daemon.wait_idle()
        token = daemon.token()
    if index is not None:
        with closing(sqlite3.connect(data_dir / "state.db")) as connection:
            ((found,),) = connection.execute("SELECT id FROM library_root WHERE path = ?", (str(root).encode(),))
        assert found == 1, "the big index has its photos in root 1"
        shutil.copyfile(index, data_dir / "index.db")
    return token


def main() -> None:
    """Measure and print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    index = harness.cache_dir() / f"index-{arguments.photos}.db"
    if not index.exists():
        build(index, arguments.photos)
    with harness.scratch() as folder:
        tokens = {
            "empty": prepare(folder / "empty" / "data", folder / "empty" / "photos", None),
            "full": prepare(folder / "full" / "data", folder / "full" / "photos", index),
        }
        counts = {"empty": 0, "full": arguments.photos}

        def start(which: str) -> float:
            place = folder / which
            return first_answer(place / "data", place / "photos", tokens[which], counts[which])

        start("full")  # its pages are in the system's cache from here on, as those of the empty one are
        seconds = harness.rounds(arguments.rounds, empty=lambda: start("empty"), full=lambda: start("full"))
    medians = {name: harness.median(values, 3) for name, values in seconds.items()}
    harness.report(
        photos=arguments.photos,
        seconds=medians,
        each={name: harness.rounded(values, 3) for name, values in seconds.items()},
        times_empty=round(medians["full"] / medians["empty"], 2),
        wanted={"times_empty": 2},
    )


if __name__ == "__main__":
    main()
