"""The way back from an upgrade: what was copied before the databases were changed, and whether the new start came up.

`upgrading.json` is written before the first change and removed when the start has come up. While it is there, starts
are counted; a program that has not come up in three of them, or says that it can't, gets its databases put back as the
older program left them. `upgrade-failed.json` then says so, to the older program and to the package. All of it blocks.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import structlog

from pixlsrve.errors import StorageError
from pixlsrve.store.durable import sync, write_whole

log = structlog.get_logger(__name__)

MARK = "upgrading.json"
FAILED_MARK = "upgrade-failed.json"
MOST_STARTS = 3
COMPANIONS = ("-wal", "-shm")
"""What SQLite puts beside a database: ends of names."""


class _Journal(msgspec.Struct, kw_only=True):
    """`copies` maps a database to the copy of its older self, both by name. `goes_back` once that was decided."""

    program: str
    starts: int = 0
    copies: dict[str, str] = {}
    goes_back: bool = False


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An upgrade that was taken back: of which program, when, and why."""

    program: str
    at_s: int
    cause: str


class Upgrade:
    """The upgrade of one data directory, if there is one. The caller holds the data directory's lock."""

    def __init__(self, data_dir: Path, program: str) -> None:
        self._data_dir = data_dir
        self._program = program
        self._journal = self._load()

    @property
    def is_pending(self) -> bool:
        """Whether databases were changed, or are about to be, by a start that has not come up."""
        return self._journal is not None

    @property
    def starts(self) -> int:
        """How many starts there have been since, this one included."""
        return 0 if self._journal is None else self._journal.starts

    def begin(self) -> str | None:
        """Count this start, or finish going back; the sentence that says so when it went back. Raises OSError."""
        journal = self._journal
        if journal is None:
            return None
        if journal.goes_back:
            self._restore(journal)
            return "An upgrade that was being taken back when the power went is taken back now."
        if journal.starts >= MOST_STARTS:
            cause = f"it did not come up in {journal.starts} starts"
            self.take_back(cause)
            return (
                f"pixlsrve {journal.program} did not come up in {journal.starts} starts after the upgrade; "
                "the databases are as the version before left them. Install that version again, or look into the log "
                "for what went wrong; the next start tries the upgrade anew."
            )
        journal.starts += 1
        self._save(journal)
        return None

    def note(self, path: Path, copy: Path) -> None:
        """`copy` is what `path` was; said before `path` is changed. An older copy of an unfinished upgrade stays."""
        journal = self._journal or _Journal(program=self._program, starts=1)
        journal.copies.setdefault(path.name, copy.name)
        self._save(journal)
        self._journal = journal

    def take_back(self, cause: str) -> bool:
        """Put the databases back; whether there was anything to. No connection may be open. Raises OSError."""
        journal = self._journal
        if journal is None:
            return False
        journal.goes_back = True
        self._save(journal)
        failure = Failure(program=journal.program, at_s=int(time.time()), cause=cause)
        write_whole(self._data_dir / FAILED_MARK, msgspec.json.encode(failure))
        log.error("the upgrade is taken back", program=journal.program, cause=cause)
        self._restore(journal)
        return True

    def came_up(self) -> None:
        """The new start came up: this upgrade's copies stay until the next one, older ones go."""
        failure = read_failure(self._data_dir)
        if failure is not None and failure.program == self._program:
            (self._data_dir / FAILED_MARK).unlink(missing_ok=True)
        if self._journal is None:
            return
        kept = set(self._journal.copies.values())
        (self._data_dir / MARK).unlink(missing_ok=True)
        sync(self._data_dir)
        for name in self._journal.copies:
            for old in self._data_dir.glob(f"{name}.before-*"):
                if old.name not in kept:
                    old.unlink(missing_ok=True)
        self._journal = None

    def _restore(self, journal: _Journal) -> None:
        """Put each copy back; done again after a kill, it ends the same."""
        for name, copied in journal.copies.items():
            path, copy = self._data_dir / name, self._data_dir / copied
            if not copy.exists():
                continue
            # The log goes first: it must never be played into the older database.
            for suffix in COMPANIONS:
                Path(f"{path}{suffix}").unlink(missing_ok=True)
            sync(self._data_dir)
            copy.replace(path)
            sync(self._data_dir)
        (self._data_dir / MARK).unlink(missing_ok=True)
        sync(self._data_dir)
        self._journal = None

    def _load(self) -> _Journal | None:
        """The journal of an upgrade that has not come up."""
        try:
            return msgspec.json.decode((self._data_dir / MARK).read_bytes(), type=_Journal)
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, ValueError) as error:
            raise StorageError(f"{self._data_dir / MARK} is damaged; put back a backup, or remove it.") from error

    def _save(self, journal: _Journal) -> None:
        write_whole(self._data_dir / MARK, msgspec.json.encode(journal))


def read_failure(data_dir: Path) -> Failure | None:
    """The upgrade that was taken back last, until that program comes up after all."""
    try:
        return msgspec.json.decode((data_dir / FAILED_MARK).read_bytes(), type=Failure)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None
