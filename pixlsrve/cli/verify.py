"""`pixlsrve verify`: is everything still what it was?"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from pixlsrve.cli.main import FAILED
from pixlsrve.cli.options import config_option, data_dir_option, json_option, load_settings, plain, print_json
from pixlsrve.cli.progress import bar_of_bytes
from pixlsrve.cli.status import size_text
from pixlsrve.config import Config
from pixlsrve.errors import NotFound, PixlsrveError


@click.command()
@click.option("--read-data", is_flag=True, help="Read all uploads and photos again, which takes hours.")
@config_option
@data_dir_option
@json_option
def verify(read_data: bool, config_file: Path | None, data_dir: Path | None, as_json: bool) -> int:
    """Check databases and backups, and with --read-data every file against its hash; nothing is ever written to them.

    Works while the daemon runs, leaves disk and processor to others, and can be interrupted. Exits with 1 when
    something is wrong.

    \b
    Example:
      pixlsrve verify --read-data
    """
    from pixlsrve.store import rereading
    from pixlsrve.store.recovery import STATE

    settings = load_settings(data_dir, config_file)
    if not (settings.data_path / STATE).exists():
        raise NotFound(f"There is no pixlsrve in {settings.data_path}; name its folder with --data-dir.")
    rereading.be_polite()
    databases, backups = list(_databases(settings.data_path)), list(_backups(settings))
    files = _read_data(settings) if read_data else None
    is_ok = all(entry["ok"] for entry in (*databases, *backups)) and (
        files is None or (not files["bad"] and files["complete"])
    )
    if as_json:
        print_json({"ok": is_ok, "databases": databases, "backups": backups, "files": files})
    else:
        for line in _lines(databases, backups, files):
            click.echo(plain(line))
    return 0 if is_ok else FAILED


def _databases(data_dir: Path) -> Iterator[dict[str, Any]]:
    """Each database and the verified copy of the state."""
    from pixlsrve.store.migrate import check
    from pixlsrve.store.recovery import COPY_FOLDER, INDEX, STATE, THUMBNAILS

    for name in (STATE, INDEX, THUMBNAILS, f"{COPY_FOLDER}/{STATE}"):
        if not (data_dir / name).exists():
            continue
        try:
            check(data_dir / name)
        except PixlsrveError as error:
            yield {"name": name, "ok": False, "message": error.message}
        else:
            yield {"name": name, "ok": True, "message": None}


def _backups(settings: Config) -> Iterator[dict[str, Any]]:
    """Each backup that the daemon has made, on both disks."""
    from pixlsrve.store.backup.reading import read_archive
    from pixlsrve.store.backup.shelf import FOLDER, on_shelf

    folders = [
        settings.data_path / FOLDER,
        *([Path(settings.backup.directory).expanduser()] if settings.backup.directory else []),
    ]
    for kept in itertools.chain.from_iterable(on_shelf(folder) for folder in folders):
        entry = {"file": str(kept.path), "created_at": _text(int(kept.made_at.timestamp() * 1_000_000))}
        try:
            read_archive(kept.path)
        except (PixlsrveError, OSError) as error:
            yield {**entry, "ok": False, "message": getattr(error, "message", str(error))}
        else:
            yield {**entry, "ok": True, "message": None}


def _read_data(settings: Config) -> dict[str, Any]:
    """Read every file again. Raises PixlsrveError."""
    from pixlsrve.store import rereading, verifying

    total_bytes, unread = verifying.totals(settings.data_path)
    with bar_of_bytes("reading", total_bytes) as progress:
        found = rereading.read_again(verifying.everything(settings.data_path), settings.data_path, progress)
    return {
        "complete": found.is_complete,
        "good": found.counts[rereading.Verdict.GOOD],
        "good_bytes": found.size_bytes,
        "changed": found.counts[rereading.Verdict.CHANGED],
        "missing": found.counts[rereading.Verdict.MISSING],
        "offline": found.counts[rereading.Verdict.OFFLINE],
        "not_indexed": unread,
        "bad": [
            {"file": str(bad.path), "kind": bad.verdict.value, "last_good_at": _text(bad.last_good_us)}
            for bad in found.bad
        ],
    }


_REMEDIES = {
    "bit_rot": "has other content than before, though nobody has written to it",
    "unreadable": "can't be read",
}
_COUNTED = {
    "changed": "were changed since they were indexed; the next scan reads them",
    "missing": "are not there any more",
    "offline": "are on disks that are not there",
    "not_indexed": "have not been indexed far enough to be compared",
}


def _lines(
    databases: list[dict[str, Any]], backups: list[dict[str, Any]], files: dict[str, Any] | None
) -> Iterator[str]:
    """What was found, for people."""
    for entry in databases:
        yield f"database {entry['name']}: {'sound' if entry['ok'] else entry['message']}"
    for entry in backups:
        yield f"backup {entry['file']}: {'sound' if entry['ok'] else entry['message']}"
    if not backups:
        yield "backups: none yet; pixlsrve makes one a day while it runs"
    if files is None:
        return
    for bad in files["bad"]:
        yield f"{bad['file']} {_REMEDIES[bad['kind']]}; it was last good on {bad['last_good_at'][:10]}"
    yield f"{files['good']:,} files are what they were, {size_text(files['good_bytes'])}"
    for name, meaning in _COUNTED.items():
        if files[name]:
            yield f"{files[name]:,} files {meaning}"
    if files["bad"]:
        yield "Put those files back from a backup of your photos, and check the disk's health."
    if not files["complete"]:
        yield "Interrupted; not everything was read."


def _text(at_us: int) -> str:
    """A time for programs."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
