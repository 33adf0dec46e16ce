"""The host's own time zone, with its daylight-saving rules."""

from __future__ import annotations

import os
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def host_zone() -> tzinfo:
    """The zone of TZ, else of /etc/localtime, else UTC."""
    name = os.environ.get("TZ", "").removeprefix(":")
    if name:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            return datetime.now().astimezone().tzinfo or UTC
    try:
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file, key="localtime")
    except (OSError, ValueError):
        return UTC


def zone_name(zone: tzinfo) -> str:
    """Its name in the zone database, UTC where it has none there; a worker can be sent that, and no zone."""
    key = str(zone)
    if "/" in key:
        return key
    return os.path.realpath("/etc/localtime").partition("zoneinfo/")[2] or "UTC"


def local_day(instant_us: int, zone: tzinfo) -> int:
    """The day of an instant (microseconds since the epoch) on the host's wall, days since 1970-01-01."""
    try:
        return datetime.fromtimestamp(instant_us / 1_000_000, zone).toordinal() - _EPOCH_ORDINAL
    except (OverflowError, ValueError, OSError):
        return instant_us // 86_400_000_000


_EPOCH_ORDINAL = datetime(1970, 1, 1, tzinfo=UTC).toordinal()
