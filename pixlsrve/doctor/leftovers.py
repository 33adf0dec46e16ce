"""What is in the data directory: whose it is, who could read its secrets, and what an unhappy end left there."""

from __future__ import annotations

import os
import pwd
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from pixlsrve import instance
from pixlsrve.config import Config
from pixlsrve.doctor.finding import Finding
from pixlsrve.errors import PixlsrveError
from pixlsrve.store import migrate, recovery
from pixlsrve.store.keyfiles import FOLDER as KEYS


def check_contents(config: Config) -> Iterator[Finding]:
    """The files of the data directory, as far as they can be seen, while a daemon runs or not."""
    data_dir = config.data_path
    if not data_dir.is_dir() or not os.access(data_dir, os.R_OK | os.X_OK):
        return
    yield from _check_owner(data_dir)
    yield from _check_secrets(_secrets(config))


def check_ended(data_dir: Path) -> Iterator[Finding]:
    """What is left of a daemon that does not run any more."""
    if not data_dir.is_dir() or not os.access(data_dir, os.R_OK | os.X_OK):
        return
    if instance.socket_path(data_dir).exists():
        yield Finding(
            check="not_ended",
            severity="warning",
            message="pixlsrve did not end in order the last time: it was killed, or the power failed.",
            remedy="Start it; it mends what is to be mended by itself. If this comes again, look into its log.",
        )
    state = data_dir / recovery.STATE
    if not state.is_file():
        return
    try:
        migrate.check(state)
    except PixlsrveError as error:
        yield Finding(
            check="database",
            message=f"The state database is damaged ({error.message}).",
            remedy="Start pixlsrve; it restores the state from its verified copy. Then check the disk's health.",
        )


def _check_owner(data_dir: Path) -> Iterator[Finding]:
    """Files of another user than the directory's: somebody ran pixlsrve on it as root."""
    owner = data_dir.stat().st_uid
    if os.geteuid() not in (0, owner):
        yield Finding(
            check="data_dir_owner",
            message=f"The data directory {data_dir} belongs to {_name(owner)}, and you are {_name(os.geteuid())}.",
            remedy=f"Run pixlsrve as {_name(owner)}, or name another folder with --data-dir.",
        )
        return
    strange = [path for path in _files(data_dir) if path.lstat().st_uid != owner]
    if strange:
        yield Finding(
            check="data_dir_owner",
            message=f"{strange[0]} belongs to {_name(strange[0].lstat().st_uid)}, and the data directory to "
            f"{_name(owner)}: pixlsrve was run there as another user.",
            remedy=f"Run: sudo chown -R {_name(owner)}: {shlex.quote(str(data_dir))}",
        )


def _files(data_dir: Path) -> Iterator[Path]:
    """What the daemon must be able to change: the files at the top, and its keys."""
    yield from (path for path in sorted(data_dir.iterdir()) if not path.is_symlink())
    keys = data_dir / KEYS
    if keys.is_dir() and os.access(keys, os.R_OK | os.X_OK):
        yield from sorted(keys.iterdir())


def _secrets(config: Config) -> Iterator[Path]:
    """Every file that holds a secret."""
    keys = config.data_path / KEYS
    if keys.is_dir() and os.access(keys, os.R_OK | os.X_OK):
        yield from sorted(path for path in keys.iterdir() if path.is_file())
    named = [config.http.tls_key, *(provider.client_secret_file for provider in config.social.values())]
    yield from (path for name in named if name and (path := Path(name).expanduser()).is_file())


def _check_secrets(files: Iterable[Path]) -> Iterator[Finding]:
    """Keys are for their owner alone (THREATS T36)."""
    open_ = [path for path in files if path.stat().st_mode & 0o077]
    if open_:
        names = " ".join(shlex.quote(str(path)) for path in open_)
        yield Finding(
            check="secrets",
            message=f"Other users of this computer can read the key {open_[0]}.",
            remedy=f"Run: chmod 600 {names}",
        )


def _name(uid: int) -> str:
    """A user's name, or number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
