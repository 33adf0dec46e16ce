"""What a running daemon's status tells about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pixlsrve import __version__
from pixlsrve.doctor.finding import Finding

MANY_BROKEN, BROKEN_SHARE = 20, 0.05


def check_running(status: Mapping[str, Any]) -> Iterator[Finding]:
    """Its version against this program's, and how many files it could not read."""
    if status["version"] != __version__:
        yield Finding(
            check="old_daemon",
            severity="warning",
            message=f"The daemon that runs is version {status['version']}, and this program is {__version__}.",
            remedy="Restart it: sudo systemctl restart pixlsrve, or end it and run pixlsrve serve again.",
        )
    indexing = status["indexing_status"]
    broken, sound = indexing["quarantined"], indexing["photos_indexed"]
    if broken >= MANY_BROKEN and broken > (broken + sound) * BROKEN_SHARE:
        yield Finding(
            check="quarantine",
            severity="warning",
            message=f"{broken} of {broken + sound} files can't be read.",
            remedy="GET /api/v1/host/quarantine lists them with reasons; if they open elsewhere, check the disk.",
        )
    for notice in status["notices"]:
        yield Finding(check="daemon", severity="warning", message=notice["message"], remedy=notice["remedy"])
