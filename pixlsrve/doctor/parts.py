"""The parts that the daemon is made of, and the system's clock and time zones."""

from __future__ import annotations

import datetime as dt
import sqlite3
import time
import zoneinfo
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pixlsrve.doctor.finding import Finding
from pixlsrve.version import version_text

SQLITE_FLOOR = (3, 40, 1)
LIBRARY_FLOORS = {
    "pillow": (12, 2, 0),
    "pillow-heif": (1, 3, 0),
    "av": (16, 0, 0),
    "aiohttp": (3, 14, 1),
    "zeroconf": (0, 149, 12),
}
"""Older releases have published holes in what they read (THREATS T40)."""
DECODERS = {"PIL._imaging": "pillow", "pillow_heif": "pillow-heif", "av": "av"}
BUILT_IN_S = 1_767_225_600
"""2026-01-01: no clock that is right shows an earlier time."""
_UPGRADE = "Install pixlsrve again from its newest package."


def check_parts() -> Iterator[Finding]:
    """Libraries: there, loadable, not older than the last hole known."""
    if sqlite3.sqlite_version_info < SQLITE_FLOOR:
        yield Finding(
            check="sqlite",
            severity="warning",
            message=f"SQLite {sqlite3.sqlite_version} is older than {_dotted(SQLITE_FLOOR)}.",
            remedy="Upgrade the system's packages.",
        )
    for name, floor in LIBRARY_FLOORS.items():
        yield from _check_library(name, floor)
    for module, name in DECODERS.items():
        yield from _check_loadable(module, name)
    yield from _check_parser()


def _check_library(name: str, floor: tuple[int, ...]) -> Iterator[Finding]:
    """A library's version against its floor."""
    try:
        found = version(name)
    except PackageNotFoundError:
        yield Finding(check="library", message=f"The library {name} is missing.", remedy=_UPGRADE)
        return
    numbers = tuple(int(part) for part in found.split(".")[:3] if part.isdigit())
    if numbers < floor:
        yield Finding(
            check="library",
            severity="warning",
            message=f"The library {name} {found} is older than {_dotted(floor)} and has known holes.",
            remedy=_UPGRADE,
        )


def _check_loadable(module: str, name: str) -> Iterator[Finding]:
    """A library with compiled parts can be installed and still not load."""
    try:
        import_module(module)
    except (ImportError, OSError) as error:
        yield Finding(check="library", message=f"The library {name} can't be loaded: {error}.", remedy=_UPGRADE)


def _check_parser() -> Iterator[Finding]:
    """Whether HTTP is parsed by the compiled parser."""
    parser = import_module("aiohttp.http_parser")
    if parser.HttpRequestParser is parser.HttpRequestParserPy:
        yield Finding(
            check="http_parser",
            severity="warning",
            message="HTTP is parsed by the slow pure-Python parser, which is more lenient than the compiled one.",
            remedy="Unset AIOHTTP_NO_EXTENSIONS, or install aiohttp from a wheel for this machine.",
        )


def check_clock(data_dir: Path, now_s: float | None = None) -> Iterator[Finding]:
    """The wall clock and the time zone data."""
    now_s = time.time() if now_s is None else now_s
    began_s = max(BUILT_IN_S, _built_s())
    remedy = "Set it right, and keep it right with a time service, such as systemd-timesyncd."
    if now_s < began_s:
        yield Finding(
            check="clock", message=f"The clock shows {time.strftime('%Y-%m-%d', time.gmtime(now_s))}.", remedy=remedy
        )
    else:
        yield from _check_went_back(data_dir, now_s, remedy)
    if not zoneinfo.available_timezones():
        yield Finding(
            check="time_zones",
            severity="warning",
            message="The time zone data is missing, so that capture times without an offset may be wrong by hours.",
            remedy="Install the package tzdata.",
        )


def _built_s() -> float:
    """The day on which a packed program was built; 0 elsewhere."""
    _, _, day = version_text().rstrip(")").partition("built ")
    try:
        return dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC).timestamp()
    except ValueError:
        return 0.0


def _check_went_back(data_dir: Path, now_s: float, remedy: str) -> Iterator[Finding]:
    """A state that was written in the future."""
    try:
        written_s = (data_dir / "state.db").stat().st_mtime
    except OSError:
        return
    if written_s > now_s + 86_400:
        yield Finding(
            check="clock",
            severity="warning",
            message="The clock is more than a day behind the last time that the daemon saw.",
            remedy=remedy,
        )


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in numbers)
