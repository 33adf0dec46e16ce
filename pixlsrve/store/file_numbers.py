"""What a file system says of a file, as the index can hold it: SQLite's integers have 64 bits, one of them the sign."""

from __future__ import annotations

import os

_MOST = 2**63 - 1


def mtime_ns_of(status: os.stat_result) -> int:
    """The modification time, nanoseconds since the epoch; beyond the years 1677 to 2262 the last that there is."""
    return min(max(status.st_mtime_ns, -_MOST), _MOST)


def inode_of(status: os.stat_result) -> int:
    """The inode's number, negative where it takes all 64 bits: mergerfs and CIFS spread theirs over them."""
    return status.st_ino if status.st_ino <= _MOST else status.st_ino - 2**64
