"""Run Autobahn's fuzzing client (25.10.1) against the product's websocket stack, and say what failed.

    python -m tests.campaigns.autobahn.run --python2 /usr/bin/python2.7

The suite runs under Python 2.7 or PyPy 2 only, which systems have ceased to ship; any interpreter with pip
does, such as one made by pyenv. It is installed into a folder of its own, kept between runs. Cases 12 and 13 are about
compression, which these websockets do not offer: the suite counts them as unimplemented.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SUITE = "autobahntestsuite==25.10.1"
GOOD = frozenset({"OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED"})
GOOD_CLOSE = frozenset({"OK", "INFORMATIONAL", "UNIMPLEMENTED"})


@contextlib.contextmanager
def serving() -> Iterator[int]:
    """The echo server's port, for the length of the block."""
    command = [sys.executable, "-m", "tests.campaigns.autobahn.server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.send_signal(signal.SIGTERM)


def install(python2: str, folder: Path) -> None:
    """Install the suite below `folder` unless it is there."""
    if not (folder / "autobahntestsuite").exists():
        subprocess.run([python2, "-m", "pip", "install", "--quiet", "--target", str(folder), SUITE], check=True)


def run_suite(python2: str, folder: Path, port: int, cases: list[str]) -> dict[str, Any]:
    """Run the cases; the suite's index of results."""
    with tempfile.TemporaryDirectory() as reports:
        spec = Path(reports) / "spec.json"
        servers = [{"agent": "pixlsrve", "url": f"ws://127.0.0.1:{port}"}]
        spec.write_text(json.dumps({"outdir": reports, "servers": servers, "cases": cases, "exclude-cases": []}))
        # Not by PYTHONPATH: one of its parts is found by a .pth file only.
        start = "import site, sys; site.addsitedir(sys.argv.pop(1)); from autobahntestsuite.wstest import run; run()"
        command = [python2, "-c", start, str(folder), "-m", "fuzzingclient", "-s", str(spec)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found: dict[str, Any] = json.loads((Path(reports) / "index.json").read_text())["pixlsrve"]
        return found


def main() -> int:
    """Run all; 1 when a case failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python2", required=True, help="a Python 2.7 or PyPy 2 with pip")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "pixlsrve-autobahn")
    parser.add_argument("--case", action="append", default=[], help="such as 1.*; all unless given")
    options = parser.parse_args()
    install(options.python2, options.folder)
    with serving() as port:
        results = run_suite(options.python2, options.folder, port, options.case or ["*"])
    counts = collections.Counter(result["behavior"] for result in results.values())
    failed = sorted(
        case
        for case, result in results.items()
        if result["behavior"] not in GOOD or result["behaviorClose"] not in GOOD_CLOSE
    )
    unusual = sorted(case for case, result in results.items() if result["behavior"] in {"NON-STRICT", "INFORMATIONAL"})
    print(
        json.dumps(
            {"cases": len(results), **counts, "not strict or informational": unusual, "failed": failed}, indent=1
        )
    )
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
