"""Backups: made lately, and on a second disk where one is named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pixlsrve.config import Config
from pixlsrve.doctor.finding import Finding
from pixlsrve.store.backup.daily import overdue


def check_backups(settings: Config, *, is_running: bool) -> Iterator[Finding]:
    """What a running daemon reports of the second disk by itself is not said twice."""
    if not settings.backup.enabled:
        return
    age = overdue(settings.data_path, datetime.now(UTC))
    if age is not None:
        yield Finding(
            check="backup_old",
            severity="warning",
            message=f"The newest backup in {settings.data_path / 'backups'} is {age.days} days old, or there is none.",
            remedy="Keep pixlsrve running, which makes one a day; `pixlsrve status` says what keeps it from doing so.",
        )
    second = settings.backup.directory
    if second and not is_running and not Path(second).expanduser().is_dir():
        yield Finding(
            check="backup_directory",
            severity="warning",
            message=f"The folder {second} for backups is not there.",
            remedy="Connect that disk, or correct backup.directory in the settings.",
        )
