"""Whether a file is what a backup has of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pixlsrve.store.backup.layout import Member


def same_content(path: Path, member: Member) -> bool:
    """Whether an ordinary file of this size and content is there."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size != member.size_bytes:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == member.sha256
    except OSError:
        return False
