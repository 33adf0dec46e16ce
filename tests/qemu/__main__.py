"""The slower stage: the tests of the kernel's WireGuard, in an emulated machine whose kernel has it.

    python -m tests.qemu [-- PYTEST_ARGUMENTS]

Needs root and x86-64 Linux. The first run builds a small Debian (two to four minutes) and keeps it in the cache folder.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from pathlib import Path

import platformdirs

from pixlsrve.media.places.build import ensure_places
from tests.qemu.machine import run
from tests.qemu.root import ensure_root, why_not

TESTS = [f"tests/wg/test_kernel{part}.py" for part in ("", "_missing", "_tunnel")]
BENCHMARK = "python -m benchmarks.kernel_peers"


def main() -> int:
    """Build what is missing, run, and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path(platformdirs.user_cache_dir("pixlsrve-tests")) / "qemu")
    parser.add_argument("--mirror", default="", help="the Debian mirror for debootstrap, when not its default")
    parser.add_argument("--limit", type=float, default=1_800.0, help="seconds for the machine's whole life")
    parser.add_argument("--figures", action="store_true", help="run benchmarks.kernel_peers instead of the tests")
    parser.add_argument("arguments", nargs="*", help=f"for pytest; {' '.join(TESTS)} without any")
    options = parser.parse_args()
    reason = why_not(is_root=os.geteuid() == 0)
    if reason:
        print(f"THE EMULATED MACHINE DOES NOT RUN: {reason}", file=sys.stderr)
        return 2
    started = time.monotonic()
    root = ensure_root(options.cache, options.mirror)
    places = ensure_places(options.cache)
    built = time.monotonic()
    tests = "python -m pytest -p no:cacheprovider --color=no --tb=short -v " + shlex.join(options.arguments or TESTS)
    code = run(root, places, BENCHMARK if options.figures else f"PIXLSRVE_TEST_COMPLETE=1 {tests}", options.limit)
    print(f"exit code {code}; root {built - started:.0f} s, machine {time.monotonic() - built:.0f} s")
    return code


sys.exit(main())
