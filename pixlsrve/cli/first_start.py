"""A daemon that is started by hand for the first time: it runs below this process while the first phone is let in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click

from pixlsrve import instance
from pixlsrve.cli.main import FAILED

START_LIMIT_S = 60.0
LOOK_S = 0.1


def serve_and_pair(file: Path | None, data_dir: Path) -> int:
    """Serve, let an administrator's device in, and go on serving until told to stop; the daemon's exit code."""
    named = ["--config", str(file)] if file else []
    quiet = {"PIXLSRVE_LOG__LEVEL": "warning", **os.environ}  # the code is not torn apart by the log
    # In a process group of its own: the Ctrl-C that ends the code does not end the daemon.
    daemon = subprocess.Popen([*own_command(), "serve", *named], env=quiet, process_group=0)  # noqa: S603  # ourselves
    signal.signal(signal.SIGTERM, lambda *_: daemon.terminate())
    try:
        if not _wait_started(daemon, data_dir):
            return daemon.wait()
        code = pair_admin(data_dir)
        if daemon.poll() is None:
            word = "" if code == 0 else "No phone is in yet; `pixlsrve pair --admin` in a second terminal does it. "
            click.echo(f"{word}pixlsrve serves until Ctrl-C. Every later time: pixlsrve serve")
        return daemon.wait()
    except KeyboardInterrupt:
        daemon.terminate()
        return daemon.wait()
    finally:
        if daemon.poll() is None:
            daemon.terminate()
            daemon.wait()


def pair_admin(data_dir: Path) -> int:
    """`pixlsrve pair --admin`; its exit code. Ctrl-C ends only this."""
    from pixlsrve.cli.pair import pair

    try:
        code: int = pair.main(
            ["--admin", "--data-dir", str(data_dir)], prog_name="pixlsrve pair", standalone_mode=False
        )
    except (click.Abort, KeyboardInterrupt):
        click.echo()
        return FAILED
    return code or 0


def own_command() -> list[str]:
    """What starts this program again, packed or not."""
    return [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "pixlsrve"]


def _wait_started(daemon: subprocess.Popen[bytes], data_dir: Path) -> bool:
    """Whether the daemon holds its data directory; False when it has ended or takes too long."""
    until_s = time.monotonic() + START_LIMIT_S
    while daemon.poll() is None and time.monotonic() < until_s:
        if instance.running_pid(data_dir) == daemon.pid and instance.is_running(data_dir):
            return True
        time.sleep(LOOK_S)
    return False
