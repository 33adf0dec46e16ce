"""One daemon per data directory: preparing the directory, its lock, and the place of its control socket."""

from __future__ import annotations

import codecs
import contextlib
import errno
import fcntl
import os
import pwd
import resource
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pixlsrve.errors import StartError

LOCK_FILE = "lock"
SOCKET_FILE = "control.sock"
UMASK = 0o077
SOCKET_PATH_LIMIT_BYTES = 103
"""Longest socket address that every system takes: 104 bytes with the closing NUL on macOS, 108 on Linux."""


def prepare_data_dir(path: Path) -> None:
    """Create the data directory with mode 0700, or take away what others may do there (THREATS T36).

    Raises StartError when it can't be made or written.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_mode & 0o077:
            path.chmod(0o700)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StartError(f"The disk that holds the data directory {path} is full; free some space.") from error
        raise StartError(
            f"The data directory {path} can't be written ({error.strerror}); "
            "mend its rights, or name another with --data-dir."
        ) from error


def forbid_core_dumps() -> None:
    """Keep what is in memory, keys among it, out of core files (THREATS T36)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A system that pipes dumps to a collector ignores that limit, but not which memory is left out: core(5).
    with contextlib.suppress(OSError):
        Path("/proc/self/coredump_filter").write_text("0")


@contextlib.contextmanager
def as_owner(folder: Path) -> Iterator[None]:
    """Have root do what is in the block with no more rights than the owner of `folder`, groups included (THREATS T38).

    Its owner may have been taken over, and where he can write, links and files lead root wherever he likes. For others
    than root, and for a folder that is root's or not there, nothing changes. Rights are the whole process's: for
    commands, never where other threads are at work.
    """
    owner = folder.stat() if os.geteuid() == 0 and folder.exists() else None
    if owner is None or owner.st_uid == 0:
        yield
        return
    codecs.lookup("ascii")  # found now: the owner may not be able to read where Python is
    most = os.sysconf("SC_NGROUPS_MAX")  # macOS tells of more than it takes
    group, groups = os.getegid(), os.getgroups()[:most]
    try:
        its_groups = os.getgrouplist(pwd.getpwuid(owner.st_uid).pw_name, owner.st_gid)
    except KeyError:
        its_groups = [owner.st_gid]
    try:
        os.setgroups(its_groups[:most])
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


@contextlib.contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the data directory for the length of the block.

    The kernel frees the lock when the process ends, however it ends. Raises StartError naming the process that has it.
    """
    path = data_dir / LOCK_FILE
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = running_pid(data_dir)
            who = f"process {pid}" if pid else "another process"
            raise StartError(
                f"pixlsrve already runs on {data_dir} ({who}); stop it first, or name another folder with --data-dir."
            ) from error
        with contextlib.suppress(OSError):  # a full disk: the lock holds without the number in it
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def running_pid(data_dir: Path) -> int | None:
    """The process id that the lock file names, or None."""
    try:
        pid = int((data_dir / LOCK_FILE).read_text("ascii").strip())
    except (OSError, ValueError):
        return None
    return pid if pid > 0 else None  # kill(2): others are whole groups of processes


def is_running(data_dir: Path) -> bool:
    """Whether a daemon holds the data directory."""
    try:
        descriptor = os.open(data_dir / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def socket_path(data_dir: Path) -> Path:
    """Where the control socket is."""
    return data_dir / SOCKET_FILE


@contextlib.contextmanager
def short_address(path: Path) -> Iterator[str]:
    """An address of the socket at `path` that fits into `sockaddr_un`, good for the length of the block.

    A path that is too long is reached through its folder's open handle; where there is no /proc, by working in the
    folder meanwhile.
    """
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if sys.platform == "linux":
            yield f"/proc/self/fd/{folder}/{path.name}"
        else:
            with contextlib.chdir(path.parent):
                yield path.name
    finally:
        os.close(folder)


def bind_control_socket(data_dir: Path) -> socket.socket:
    """A bound, not yet listening control socket with mode 0600, in place of one that a dead daemon left.

    The caller holds the lock, so nobody else uses the old one. Raises StartError.
    """
    path = socket_path(data_dir)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        with short_address(path) as address:
            control.bind(address)
        path.chmod(0o600)
    except OSError as error:
        control.close()
        raise StartError(
            f"The control socket {path} can't be made ({error.strerror}); the data directory must be on a local disk."
        ) from error
    control.setblocking(False)
    return control
