"""The disks that the folders of the daemon are on: how large, how full."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from pixlsrve.config import UploadsConfig

Use = Literal["photos", "uploads", "state"]


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """A disk, or a share on the network; `folders` are ours on it, `holds` what they are for."""

    folders: list[str]
    holds: list[Use]
    total_bytes: int
    free_bytes: int
    """What the daemon's user may still fill."""
    is_low: bool
    """Less is left than uploads leave free, of what the daemon writes to."""


def find_disks(folders: Iterable[tuple[Use, Path]], uploads: UploadsConfig) -> list[Disk]:
    """The disks of these folders, each once; a folder that is not there has none. Blocks."""
    found: dict[int, Disk] = {}
    for use, path in folders:
        try:
            number, usage = path.stat().st_dev, shutil.disk_usage(path)
        except OSError:
            continue
        known = found.get(number)
        holds = [] if known is None else known.holds
        found[number] = Disk(
            folders=[*([] if known is None else known.folders), os.fsencode(path).decode("utf-8", "replace")],
            holds=holds if use in holds else [*holds, use],
            total_bytes=usage.total,
            free_bytes=usage.free,
            is_low=(use != "photos" and usage.free < uploads.reserve_bytes(usage.total))
            or (known is not None and known.is_low),
        )
    return list(found.values())
