"""`pixlsrve doctor`: what is wrong, and what to do about it."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from pixlsrve import instance
from pixlsrve.cli.control import Control
from pixlsrve.cli.main import FAILED
from pixlsrve.cli.options import config_option, data_dir_option, json_option, load_settings, plain, print_json
from pixlsrve.config import Config
from pixlsrve.doctor.finding import Finding
from pixlsrve.errors import ConfigError, PixlsrveError
from pixlsrve.model import HomeReach


@click.command()
@data_dir_option
@config_option
@json_option
def doctor(data_dir: Path | None, config_file: Path | None, as_json: bool) -> int:
    """Find out what is wrong and say how to mend it; with or without a running daemon.

    Exits with 1 when something is wrong.

    \b
    Example:
      pixlsrve doctor
    """
    try:
        settings = load_settings(data_dir, config_file)
    except ConfigError as error:
        wrong = Finding(check="settings", message=error.message, remedy="Mend the settings, and ask again.")
        return _tell([wrong, *_examine_rest()], None, as_json=as_json)
    findings = list(_examine(settings))
    outside = _from_outside(settings)
    findings += [Finding(**finding) for finding in outside["findings"]]
    return _tell(findings, outside["verdict"], as_json=as_json)


def _tell(findings: list[Finding], verdict: dict[str, Any] | None, *, as_json: bool) -> int:
    """Print the findings; the exit code."""
    if as_json:
        rows = [{name: getattr(finding, name) for name in Finding.__struct_fields__} for finding in findings]
        print_json({"ok": not findings, "findings": rows, "reachability": verdict})
        return FAILED if findings else 0
    if not findings:
        click.echo("all fine")
    for finding in findings:
        click.echo(f"{finding.severity}: {plain(finding.message)}\n  {plain(finding.remedy)}")
    if verdict is not None:
        click.echo(f"from outside: {plain(verdict['message'])}")
        if verdict["remedy"]:
            click.echo(f"  {plain(verdict['remedy'])}")
    return FAILED if findings else 0


def _examine(settings: Config) -> Iterator[Finding]:
    """Every check; what a running daemon knows better is asked of it."""
    from pixlsrve.doctor import as_owner, backups, computer, folders, leftovers, parts, storage
    from pixlsrve.doctor.running import check_running

    data_dir = settings.data_path
    running = _ask(data_dir) if instance.is_running(data_dir) else None
    if isinstance(running, Finding):
        yield running
    roots = [Path(root) for root in settings.photos]
    if isinstance(running, dict):
        yield from check_running(running)
        roots = [Path(root["path"]) for root in running["photo_roots"] if not root["is_uploads"]]
    for folder in storage.one_each((data_dir, settings.storage_path)):
        yield from storage.check_disk(folder)
    yield from leftovers.check_contents(settings)

    def look_at_folders() -> Iterator[Finding]:
        yield from folders.check_data_dir(data_dir)
        yield from folders.check_storage_dir(settings.storage_path)
        yield from folders.check_photos(roots)

    yield from as_owner.look(data_dir, look_at_folders)
    if running is None:
        yield from leftovers.check_ended(data_dir)
        yield from _examine_what_it_will_need(settings)
    yield from backups.check_backups(settings, is_running=running is not None)
    yield from parts.check_clock(data_dir)
    yield from computer.check_computer(instance.running_pid(data_dir) if running is not None else None)
    yield from _examine_rest()


def _examine_what_it_will_need(settings: Config) -> Iterator[Finding]:
    """Ports, networks, the certificate and workers of a daemon that is still to be started."""
    from pixlsrve.cli.worker_check import check_worker
    from pixlsrve.doctor import checkups, lan, ports
    from pixlsrve.mdns.interfaces import lan_interfaces
    from pixlsrve.tls import checkup as certificate
    from pixlsrve.wg import checkup

    yield from ports.check_ports(settings)
    yield from lan.check_lan(settings, lan_interfaces())
    yield from checkups.told(checkup.faults(settings.wireguard))
    yield from checkups.told(certificate.faults(settings.http, dt.datetime.now(dt.UTC)))
    yield from check_worker(settings.index)


def _examine_rest() -> Iterator[Finding]:
    """What no setting changes."""
    from pixlsrve.doctor import computer, parts

    yield from computer.check_time_service()
    yield from computer.check_service()
    yield from parts.check_parts()


def _ask(data_dir: Path) -> dict[str, Any] | Finding:
    """The running daemon's status, or why there is none."""
    try:
        status: dict[str, Any] = Control(data_dir).get("/status")
    except PixlsrveError as error:
        return Finding(
            check="daemon",
            message=f"The daemon holds {data_dir} and does not answer: {error.message}",
            remedy="Wait a minute if it has just been started; else restart it and look into its log.",
        )
    return status


def _from_outside(settings: Config) -> dict[str, Any]:
    """Whether home can be reached from outside: as the daemon knows it, else as far as the settings tell."""
    from pixlsrve.doctor import reachability
    from pixlsrve.wg.endpoint import endpoint, lan_address

    if instance.is_running(settings.data_path):
        with contextlib.suppress(PixlsrveError):  # said already: it does not answer
            answer: dict[str, Any] = Control(settings.data_path).get("/reachability")
            return answer
    tunnel = settings.wireguard
    facts = HomeReach(
        is_running=False,
        is_on=tunnel.enabled,
        endpoint=endpoint(tunnel.endpoint, tunnel.port),
        source="setting" if tunnel.endpoint else "lan",
        port=tunnel.port,
        lan_address=lan_address(),
        asks_router=tunnel.port_mapping,
    )
    return {"verdict": msgspec.to_builtins(reachability.judge(facts)), "findings": []}
