"""`pixlsrve restore`: put a backup in place."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from pixlsrve import instance
from pixlsrve.cli.options import config_option, data_dir_option, json_option, load_settings, plain, print_json
from pixlsrve.cli.progress import bar_of_bytes
from pixlsrve.cli.status import size_text
from pixlsrve.config import Config
from pixlsrve.errors import Conflict, StorageError

if TYPE_CHECKING:
    from pixlsrve.store.backup.restoring import Plan


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check the backup and say what would be done.")
@config_option
@data_dir_option
@json_option
def restore(file: Path, dry_run: bool, config_file: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """Put a backup in place of what is there; that is kept aside. The daemon must be stopped.

    The host is the one that it was when the backup was made: devices go on without pairing again.

    \b
    Example:
      pixlsrve restore --dry-run /mnt/stick/photos-host.backup
      pixlsrve restore /mnt/stick/photos-host.backup
    """
    from pixlsrve.store.backup import restoring

    archive = file.expanduser().absolute()
    settings = load_settings(data_dir, config_file)
    if instance.is_running(settings.data_path):
        pid = instance.running_pid(settings.data_path)
        raise Conflict(
            f"pixlsrve runs on {settings.data_path} (process {pid}); stop it first: a service with "
            "`systemctl stop pixlsrve`, else with Control-C where it was started.",
            reason="running",
        )
    total = archive.stat().st_size if archive.is_file() else 0
    with archive.open("rb") if archive.is_file() else contextlib.nullcontext() as opened:  # only root may, perhaps
        with bar_of_bytes("checking", total) as progress, instance.as_owner(settings.data_path):
            plan = restoring.examine(archive, settings.data_path, progress, opened)
        if not dry_run:
            plan = _restore(archive, settings, plan, opened)
    if as_json:
        print_json(_facts(plan, is_done=not dry_run))
    else:
        for line in _sentences(plan, settings, is_done=not dry_run):
            click.echo(plain(line))


def _restore(archive: Path, settings: Config, plan: Plan, opened: BinaryIO | None) -> Plan:
    """Do it, with the rights of the one whose data it is."""
    from pixlsrve.store.backup import restoring

    data_dir, storage = settings.data_path, settings.storage_path
    instance.prepare_data_dir(data_dir)
    with bar_of_bytes("restoring", plan.contents.size_bytes) as progress, instance.as_owner(data_dir):
        try:
            restoring.make_storage(storage, data_dir)
        except PermissionError as error:  # root won't: where that is may be said by a file of the owner's
            owner = data_dir.stat().st_uid
            raise StorageError(
                f"The storage directory {storage} can't be made; run `install -d -o {owner} -m 0750 {storage}` as root."
            ) from error
        with instance.locked(data_dir):
            return restoring.restore(archive, data_dir, storage, progress, opened)


def _facts(plan: Plan, *, is_done: bool) -> dict[str, Any]:
    header = plan.contents.header
    return {
        "restored": is_done,
        "host_id": header.host_id,
        "created_at": _moment(header.created_us).isoformat().replace("+00:00", "Z"),
        "program": header.program,
        "size_bytes": plan.contents.size_bytes,
        "uploads": plan.uploads,
        "replaces_host_id": plan.present_host or None,
        "kept_aside": str(plan.aside) if plan.aside else None,
        "still_revoked": plan.still_revoked,
        "knows_revocations": plan.knows_revocations,
    }


def _sentences(plan: Plan, settings: Config, *, is_done: bool) -> list[str]:
    """What a person is to know, most important first."""
    header = plan.contents.header
    made = _moment(header.created_us).astimezone().strftime("%Y-%m-%d %H:%M")
    done = "Restored" if is_done else "The backup is sound. It would restore"
    lines = [
        f"{done} {settings.data_path} as it was on {made}: host {header.host_id}, "
        f"{len(plan.contents.members)} files, {size_text(plan.contents.size_bytes)}, {plan.uploads} uploads."
    ]
    if plan.is_other_host:
        lines.append(f"The installation that was there is another host ({plan.present_host}).")
    if plan.aside is not None:
        lines.append(f"What was there before is kept in {plan.aside}.")
    elif plan.present_host:
        lines.append(f"What is there now would be kept in a folder of {settings.data_path}.")
    if plan.still_revoked:
        lines.append(f"Revoked since then, and still so: {', '.join(plan.still_revoked)}.")
    if not plan.knows_revocations:
        lines.append(
            f"Devices and passwords that were withdrawn after {made} work again: look at `pixlsrve devices` and "
            "`pixlsrve user list`, and revoke them once more."
        )
    if is_done:
        lines.append("Start pixlsrve now; devices that were paired by then go on without pairing again.")
    return lines


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC)
