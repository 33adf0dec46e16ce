"""What a backup archive holds: the names of its members, its first and its last one (pure).

A backup is a tar archive, compressed with gzip unless it holds uploads. The first member, `pixlsrve-backup.json`, says
what it is; the last, `manifest.json`, has size and SHA-256 of all between, so that a backup that was cut off is known.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from pixlsrve.errors import StorageError
from pixlsrve.store.recovery import INDEX, STATE

FORMAT = 1
HEADER, MANIFEST = "pixlsrve-backup.json", "manifest.json"
SETTINGS, CONFIG_FILE = "settings.toml", "pixlsrve.toml"
KEYS, STORAGE = "keys/", "storage/"
OURS_IN_STORAGE = ("uploads", "store")
"""The folders of the storage directory that hold what was uploaded (DESIGN section 9, Paths and roots)."""
SMALL_BYTES = 1 << 20
"""Most that a key, the settings or the header may have."""
MANIFEST_BYTES = 1 << 30
SLACK_BYTES, MOST_EXPANSION = 64 << 20, 250
"""An archive may expand to so much plus so many times its size: databases reach a tenth of that, bombs a multiple."""
_KEY = re.compile(r"keys/[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class BackupRefused(StorageError):
    """The archive is damaged, cut off, hostile, of a newer program, or no backup at all."""

    reason = "bad_backup"


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first member. Times are microseconds since the epoch; `schemas` are the databases' versions."""

    format: int
    program: str
    created_us: int
    host_id: str
    schemas: dict[str, int]
    has_uploads: bool = False


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the manifest. `sha256` is hexadecimal, `mtime_ns` that of the file that was saved."""

    name: str
    size_bytes: int
    sha256: str
    mtime_ns: int


Kind = Literal["database", "small", "upload"]


def kind_of(name: str) -> Kind:
    """What a member is by its name. Raises BackupRefused for a name that no backup has (THREATS T19)."""
    if name in (STATE, INDEX):
        return "database"
    if name in (SETTINGS, CONFIG_FILE) or _KEY.fullmatch(name):
        return "small"
    first, *parts = name.split("/")
    is_plain = "\0" not in name and all(part not in ("", ".", "..") for part in parts)
    if f"{first}/" == STORAGE and len(parts) > 1 and parts[0] in OURS_IN_STORAGE and is_plain:
        return "upload"
    raise BackupRefused(f"The backup holds {name!r}, which no backup of pixlsrve has; it is not used.")
