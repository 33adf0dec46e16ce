"""Start to the line `listening on`, with an empty library: `python -m benchmarks.listening [--program PATH]`.

Prints JSON: seconds by the clock and of processor time, from the start of the process until the line is read, of the
sources with their bytecode and of a packed program where one is named. HTTPS is on; nothing is announced on the LAN
and no tunnel is made, which the line does not wait for. The reference is the same Python, which imports what aiohttp
serves with, answers nothing and ends: what no daemon on it can do without. Starts alternate.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks import harness

REFERENCE = "import aiohttp.web; print('listening on nothing', flush=True); input()"
WANTED_S = 0.5


class Start(NamedTuple):
    """What one start took, in seconds."""

    clock_s: float
    cpu_s: float


def start(command: list[str], folder: Path) -> Start:
    """Start a program, read its line, end it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIXLSRVE_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed daemon has its bytecode
    with (folder / "log").open("a") as log:
        began_s = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**kept, "HOME": str(folder)},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        line = process.stdout.readline()
        took = Start(time.perf_counter() - began_s, harness.cpu_s(process.pid))
        process.send_signal(signal.SIGTERM)
        process.wait()
        process.stdin.close()
        process.stdout.close()
    assert line.startswith("listening on "), f"it did not start; see {folder / 'log'}"
    return took


def main() -> None:
    """Measure and print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--program", type=Path, help="a packed program, such as dist/pixlsrve/pixlsrve")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    commands = {"sources": [sys.executable, "-m", "pixlsrve"]}
    if arguments.program is not None:
        commands["program"] = [str(arguments.program.absolute())]
    with harness.scratch() as folder:

        def serve(name: str) -> Callable[[], Start]:
            place = folder / name
            (place / "photos").mkdir(parents=True)
            options = ["--photos", str(place / "photos"), "--data-dir", str(place / "data"), "--port", "0"]
            return lambda: start([*commands[name], "serve", *options, "--no-mdns", "--no-vpn"], place)

        calls = {name: serve(name) for name in commands}
        for call in calls.values():
            call()  # makes the keys and databases, and the bytecode
        calls["reference"] = lambda: start([sys.executable, "-c", REFERENCE], folder)
        found = harness.rounds(arguments.rounds, **calls)
    harness.report(
        clock_s={name: harness.median([one.clock_s for one in starts]) for name, starts in found.items()},
        cpu_s={name: harness.median([one.cpu_s for one in starts]) for name, starts in found.items()},
        quietest_clock_s={name: round(min(one.clock_s for one in starts), 2) for name, starts in found.items()},
        least_cpu_s={name: round(min(one.cpu_s for one in starts), 2) for name, starts in found.items()},
        wanted={"clock_s": WANTED_S},
    )


if __name__ == "__main__":
    main()
