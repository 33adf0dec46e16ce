"""Where the packed program begins: a worker where the daemon starts one, else the command line."""

from __future__ import annotations

import multiprocessing
import sys


def begin() -> int:
    """Run what the command line names."""
    if sys.argv[1:] == ["worker"]:
        from pixlsrve.index.worker import main as worker

        return worker()
    from pixlsrve.cli.main import run

    return run()


if __name__ == "__main__":
    multiprocessing.freeze_support()
    sys.exit(begin())
