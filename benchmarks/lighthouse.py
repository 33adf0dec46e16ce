"""Lighthouse's scores of the timeline for somebody who is signed in: `python -m benchmarks.lighthouse`.

Prints JSON: a phone as Lighthouse emulates it (its slow 4G and slowed processor), each round's scores and what lost
points in the best one. A real daemon serves a small library that is made here. Needs Debian's chromium, Node, and
`npm ci --prefix tests/tools/lighthouse`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.daemon import Daemon
from tests.web.household import fill, wait_for_thumbnails

TOOL = Path(__file__).parents[1] / "tests" / "tools" / "lighthouse"


def rate(path: str, rounds: int) -> list[dict[str, Any]]:
    """What Lighthouse says of this path, round by round."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder / "photos")
        limits = {f"PIXLSRVE_RATE_LIMITS__{kind}": "off" for kind in ("AUTH", "BROWSE", "OTHER", "THUMBNAILS")}
        daemon = Daemon(folder / "data", "--photos", str(folder / "photos"), env=limits).start()
        try:
            wait_for_thumbnails(daemon)
            return _in_browser(daemon, folder / "profile", path, rounds)
        finally:
            daemon.stop()


def _in_browser(daemon: Daemon, profile: Path, path: str, rounds: int) -> list[dict[str, Any]]:
    """Pair a browser, then let Lighthouse drive it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=shutil.which("chromium"),
            chromium_sandbox=os.geteuid() != 0,
            args=[f"--remote-debugging-port={port}"],
        )
        offer = json.loads(daemon.cli("pair", "--json", "--no-wait"))
        page = context.pages[0]
        page.goto(f"{daemon.url}/pair#" + offer["url"].partition("#")[2])
        page.get_by_role("heading", name="You are in").wait_for()
        command = ["node", "rate.mjs", daemon.url + path, str(port)]
        answers = []
        for _ in range(rounds):
            done = subprocess.run(command, cwd=TOOL, capture_output=True, text=True, check=True)
            answers.append(json.loads(done.stdout))
        context.close()
    return answers


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--path", default="/")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    answers = rate(arguments.path, arguments.rounds)
    best = max(answers, key=lambda each: sum(each["scores"].values()))
    print(
        json.dumps({"load": os.getloadavg()[0], "scores": [each["scores"] for each in answers], "best": best}, indent=1)
    )


if __name__ == "__main__":
    main()
