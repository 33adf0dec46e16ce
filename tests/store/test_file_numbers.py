"""Numbers of files in the index's columns."""

from __future__ import annotations

import os

import pytest

from pixlsrve.store.file_numbers import inode_of


@pytest.mark.parametrize(("inode", "stored"), [(0, 0), (2**63 - 1, 2**63 - 1), (2**63, -(2**63)), (2**64 - 1, -1)])
def test_inodes_of_64_bits_fit_and_stay_apart(inode: int, stored: int) -> None:
    """Whatever number a file system gives, SQLite can hold it."""
    assert inode_of(os.stat_result((0o100644, inode, 1, 1, 0, 0, 0, 0, 0, 0))) == stored
