"""Where a program lies, whether another user can run it, and how the system's own commands are called."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pixlsrve.errors import StartError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LIMIT_S = 120.0
Run = Callable[[list[str]], None]
"""Runs a command of the system's. Raises StartError with its words."""


def program() -> Path:
    """The file that was started. Raises StartError where there is none that a service could start."""
    if getattr(sys, "frozen", False):
        return Path(sys.executable).resolve()
    beside = Path(sys.executable).with_name("pixlsrve")
    if not beside.is_file():
        raise StartError(f"There is no command pixlsrve beside {sys.executable}; install pixlsrve first.")
    return beside.absolute()


def check_reachable(file: Path, user: str) -> None:
    """Raises StartError where `user` could not start `file`: its folders are closed to others."""
    if user == "root":
        return
    facts = pwd.getpwnam(user)
    for part in (*reversed(file.resolve().parents), file.resolve()):
        mode = part.stat()
        bit = stat.S_IXUSR if mode.st_uid == facts.pw_uid else stat.S_IXOTH
        if mode.st_gid == facts.pw_gid and mode.st_uid != facts.pw_uid:
            bit = stat.S_IXGRP
        if not mode.st_mode & bit:
            raise StartError(
                f"The user {user} can't reach {file}, because {part} is closed to it. Move pixlsrve to a place that is "
                f"open to all, such as /opt, or run the service as yourself: --run-as {_somebody()}."
            )


def run(command: list[str]) -> None:
    """Run a command with a clean environment. Raises StartError."""
    found = shutil.which(command[0], path=PATH)
    if found is None:
        raise StartError(f"The command {command[0]} is missing on this system.")
    done = subprocess.run(  # noqa: S603  # fixed commands, no shell
        [found, *command[1:]],
        env={"PATH": PATH, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    if done.returncode != 0:
        raise StartError(f"`{' '.join(command)}` failed: {(done.stderr or done.stdout).strip()}")


def _somebody() -> str:
    return os.environ.get("SUDO_USER") or "YOUR_NAME"
