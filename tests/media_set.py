"""The large set of real photos, films and songs that is no part of the project: where it is, and a copy to index."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import pytest

SET = os.environ.get("PIXLSRVE_TEST_MEDIA", "")
needs_set = pytest.mark.skipif(not SET, reason="PIXLSRVE_TEST_MEDIA does not name a folder of media")


def copy_set(root: Path) -> Path:
    """The set at `root`, writable, with the names that no other system could hold unpacked."""
    shutil.copytree(SET, root)
    for path in (root, *root.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    with tarfile.open(root / "awkward-names.tar") as archive:
        archive.extractall(root, filter="data")
    return root
