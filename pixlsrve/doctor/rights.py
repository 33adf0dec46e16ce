"""Whether a user other than the one who asks may read a folder, and what mends it."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
from pathlib import Path


def can_read(folder: Path, user: str) -> bool:
    """Whether `user` may go into `folder` and list it, by the mode of it and of all above; True for an unknown user."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return True
    groups = {entry.pw_gid, *(group.gr_gid for group in grp.getgrall() if user in group.gr_mem)}
    if not _may(folder, entry.pw_uid, groups, 0o5):
        return False
    return all(_may(above, entry.pw_uid, groups, 0o1) for above in folder.resolve().parents)


def run_as(folder: Path) -> str:
    """The command that lets the service run as the owner of `folder`."""
    try:
        owner = pwd.getpwuid(folder.stat().st_uid).pw_name
    except (OSError, KeyError):
        owner = "USER"
    return f"sudo pixlsrve install --run-as {shlex.quote(owner)}"


def _may(path: Path, uid: int, groups: set[int], wanted: int) -> bool:
    """Whether the mode gives these rights (octal, as for others)."""
    try:
        facts = path.stat()
    except OSError:
        return True  # what is not there is another finding
    if uid in (0, facts.st_uid):
        return uid == 0 or facts.st_mode >> 6 & wanted == wanted
    shift = 3 if facts.st_gid in groups else 0
    return facts.st_mode >> shift & wanted == wanted or _has_acl(path)


def _has_acl(path: Path) -> bool:
    """Whether an access list says more than the mode does."""
    try:
        return "system.posix_acl_access" in os.listxattr(path)
    except (OSError, AttributeError):  # no such lists there, or macOS
        return False
