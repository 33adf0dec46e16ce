"""The computer and its system: memory, limits, character set, time service, and the service's unit."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pixlsrve.doctor.finding import Finding

LEAST_MEMORY_BYTES = 350 << 20
"""What the daemon takes while it indexes, its workers included, and some for the system."""
LEAST_FILES = 1024
ANSWER_LIMIT_S = 10.0
_UNSYNCHRONISED = 0x40
"""STA_UNSYNC of adjtimex(2)."""
_MEMORY = Path("/proc/meminfo")
_GROUPS = Path("/sys/fs/cgroup")
_SYSTEMD = Path("/run/systemd/system")
_UNIT = "pixlsrve.service"


def check_computer(daemon: int | None) -> Iterator[Finding]:
    """What the daemon, a process id, has to live with. Free memory counts for one that is still to be started."""
    yield from _check_memory(daemon)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < LEAST_FILES:
        yield Finding(
            check="open_files",
            severity="warning",
            message=f"A program may have only {most} files open here; phones wait when there are many.",
            remedy="Raise it: `ulimit -Hn 65536` as root before the start, or LimitNOFILE=65536 in the service's unit.",
        )
    if sys.getfilesystemencoding().lower().replace("-", "") != "utf8":
        yield Finding(
            check="locale",
            severity="warning",
            message=f"File names are taken for {sys.getfilesystemencoding()} here; those with umlauts look wrong.",
            remedy="Set a UTF-8 locale: LANG=C.UTF-8 in the environment of pixlsrve, or `dpkg-reconfigure locales`.",
        )


def _check_memory(daemon: int | None) -> Iterator[Finding]:
    total, free = _memory("MemTotal"), _memory("MemAvailable")
    limit = _group_limit("self" if daemon is None else str(daemon))
    if limit is not None and limit < LEAST_MEMORY_BYTES:
        yield Finding(
            check="memory_limit",
            severity="warning",
            message=f"pixlsrve may have at most {limit >> 20} MB of memory here; it needs {LEAST_MEMORY_BYTES >> 20}.",
            remedy="Raise MemoryMax= of its unit (`systemctl edit pixlsrve`), or the limit of its container.",
        )
    if total is not None and total < LEAST_MEMORY_BYTES:
        yield Finding(
            check="memory",
            severity="warning",
            message=f"This computer has {total >> 20} MB of memory; pixlsrve needs {LEAST_MEMORY_BYTES >> 20}.",
            remedy="Set index.workers = 1 in the settings and add swap space, or use a board with 512 MB or more.",
        )
    elif free is not None and free < LEAST_MEMORY_BYTES and daemon is None:
        yield Finding(
            check="memory",
            severity="warning",
            message=f"Only {free >> 20} MB of memory are free; indexing needs {LEAST_MEMORY_BYTES >> 20}.",
            remedy="End other programs, or set index.workers = 1 in the settings; `free -h` shows where memory is.",
        )


def _memory(name: str) -> int | None:
    """A figure of /proc/meminfo, bytes."""
    try:
        lines = _MEMORY.read_text("ascii").splitlines()
    except OSError:
        return None
    figures = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return next((int(figure) << 10 for figure in figures), None)


def _group_limit(process: str) -> int | None:
    """The smallest memory limit of the control groups that a process is in (cgroup v2), bytes."""
    try:
        told = Path("/proc", process, "cgroup").read_text("utf-8")
        path = next(line.removeprefix("0::") for line in told.splitlines() if line.startswith("0::")).strip("/")
    except (OSError, StopIteration):
        return None
    group = _GROUPS / path
    limits = []
    for folder in (group, *group.parents):
        if not folder.is_relative_to(_GROUPS):
            break
        try:
            limits.append(int((folder / "memory.max").read_text("ascii")))
        except (OSError, ValueError):  # the topmost has none, and "max" is no number
            continue
    return min(limits, default=None)


def check_time_service() -> Iterator[Finding]:
    """Whether anything keeps the clock right; asked of the kernel, where systemd runs."""
    if not _SYSTEMD.is_dir() or _is_synchronised():
        return
    yield Finding(
        check="time_sync",
        severity="warning",
        message="Nothing keeps this computer's clock right; pairing and certificates need the right time.",
        remedy="Run: sudo timedatectl set-ntp true (it needs the package systemd-timesyncd).",
    )


def _is_synchronised() -> bool:
    """What adjtimex(2) says; True where it can't be asked."""
    if sys.platform != "linux":
        return True
    import ctypes

    timex = (ctypes.c_long * 64)()  # larger than struct timex; modes, its first field, is 0: only asking
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex)) < 0:
        return True
    # modes, offset, freq, maxerror, esterror, status: an int that is padded to the next long before and after.
    return not timex[5] & 0xFFFF_FFFF & _UNSYNCHRONISED


def check_service() -> Iterator[Finding]:
    """What systemd says of the unit, where it is installed."""
    told = _ask_systemd()
    if told.get("LoadState") != "loaded":
        return
    result, restarts = told.get("Result", ""), int(told.get("NRestarts") or 0)
    if told.get("ActiveState") == "failed":
        yield Finding(
            check="service_failed",
            message=f"The service does not run; it ended with: {result}.",
            remedy="`journalctl -u pixlsrve -n 50` says why; after mending it: sudo systemctl restart pixlsrve",
        )
    elif restarts or told.get("SubState") == "auto-restart":
        yield Finding(
            check="service_restarting",
            severity="warning",
            message=f"The service had to be started again {restarts} times since it was started by hand.",
            remedy="`journalctl -u pixlsrve -n 200` says why; sudo systemctl restart pixlsrve counts from zero again.",
        )
    if told.get("UnitFileState") == "disabled":
        yield Finding(
            check="service_disabled",
            severity="warning",
            message="The service is not started with the computer.",
            remedy="Run: sudo systemctl enable --now pixlsrve",
        )


def _ask_systemd() -> dict[str, str]:
    """The unit's properties; none without systemd."""
    systemctl = shutil.which("systemctl")
    if systemctl is None or not _SYSTEMD.is_dir():
        return {}
    wanted = "--property=LoadState,ActiveState,SubState,Result,NRestarts,UnitFileState"
    try:
        done = subprocess.run(  # noqa: S603  # a command without any input
            [systemctl, "show", _UNIT, wanted],
            capture_output=True,
            text=True,
            timeout=ANSWER_LIMIT_S,
            check=False,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
