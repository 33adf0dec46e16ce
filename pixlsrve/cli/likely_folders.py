"""Where a household's photos probably are: the pictures folder of the user, and disks that hold many pictures."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

COUNT_LIMIT_S = 1.0
"""Longest time for counting in one folder; a large one is only said to have more than was counted."""
FEW = 20
"""A disk without a folder that is named for pictures is offered from this many on."""
MOST = 8
_MEDIA = re.compile(r"(?i)[^.].*\.(jpe?g|hei[cf]|avif|png|webp|tiff?|dng|cr[23]|nef|arw|orf|rw2|raf|gif|mp4|mov|m4v)")
_NAMES = frozenset({"dcim", "pictures", "photos", "bilder", "fotos", "images", "photographs"})
_MOUNTS = Path("/proc/self/mounts")
_BELOW = ("/media/", "/mnt/", "/run/media/", "/srv/", "/Volumes/")
_ON_THE_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "autofs", "davfs", "ceph"})


@dataclass(frozen=True)
class Likely:
    """A folder with what was counted in it; `is_more` when counting was cut short."""

    path: Path
    count: int
    is_more: bool = False

    def __str__(self) -> str:
        more = "more than " if self.is_more else ""
        return f"{more}{self.count:,} photo{'' if self.count == 1 and not self.is_more else 's'} and films"


def find(home: Path, mounts: Iterable[Path] | None = None) -> list[Likely]:
    """The likely folders, the user's own first, none inside another; those without a picture only where all are so."""
    found: list[Likely] = []
    for path in (*_at_home(home), *_on_disks(_mounted() if mounts is None else mounts)):
        real = path.resolve()
        if any(real.is_relative_to(other.path) or other.path.is_relative_to(real) for other in found):
            continue
        found.append(count(real))
    filled = [likely for likely in found if likely.count]
    return (filled or found[:1])[:MOST]


def count(folder: Path) -> Likely:
    """How many pictures and films are in `folder`, as far as can be told in a second."""
    until_s = time.monotonic() + COUNT_LIMIT_S
    number = 0
    for _, names, files in os.walk(folder):
        names[:] = [name for name in names if not name.startswith(".")]
        number += sum(_MEDIA.fullmatch(name) is not None for name in files)
        if time.monotonic() > until_s:
            return Likely(folder, number, is_more=True)
    return Likely(folder, number)


def _at_home(home: Path) -> Iterator[Path]:
    """The desktop's pictures folder (XDG user-dirs), and the names that people give theirs."""
    try:
        told = (home / ".config" / "user-dirs.dirs").read_text("utf-8", "replace")
    except OSError:
        told = ""
    named = re.search(r'^XDG_PICTURES_DIR="(?:\$HOME/)?([^"]+)"', told, re.M)
    names = [*([named[1]] if named else []), "Pictures", "Photos", "Bilder", "Fotos"]
    for path in dict.fromkeys(home / name for name in names):
        if path.is_dir() and path.resolve() != home.resolve():
            yield path


def _mounted() -> Iterator[Path]:
    """Disks that are mounted where people mount theirs; shares on the network may not answer and are left out."""
    try:
        lines = _MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:  # macOS
        volumes = Path("/Volumes")
        yield from (path for path in volumes.iterdir() if path.is_dir()) if volumes.is_dir() else ()
        return
    for line in lines:
        _, where, kind, *_ = line.split(" ")
        where = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), where)
        if where.startswith(_BELOW) and kind not in _ON_THE_NETWORK:
            yield Path(where)


def _on_disks(mounts: Iterable[Path]) -> Iterator[Path]:
    """The folders of a disk that are named for pictures, else the whole disk when it holds many."""
    for mount in mounts:
        try:
            folders = sorted(path for path in mount.iterdir() if path.name.lower() in _NAMES and path.is_dir())
        except OSError:
            continue
        if folders:
            yield from folders
        elif count(mount).count >= FEW:
            yield mount
