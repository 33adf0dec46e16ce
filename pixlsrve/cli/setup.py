"""`pixlsrve setup`: the first run. Two questions, each with an answer that Enter takes."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import platformdirs

from pixlsrve import config, instance
from pixlsrve.cli import likely_folders, settings_file
from pixlsrve.cli.options import plain
from pixlsrve.config import SERVICE_CONFIG, SERVICE_DATA_DIR
from pixlsrve.errors import ConfigError

SERVICE_USER = "pixlsrve"
UNITS = tuple(Path(folder) / "pixlsrve.service" for folder in ("/etc/systemd/system", "/lib/systemd/system"))


@click.command()
@click.option("--photos", multiple=True, metavar="DIR", help="A folder of photos; may be given several times.")
@click.option("--data-dir", metavar="DIR", help="Where the index, thumbnails and keys are kept.")
@click.option("--storage-dir", metavar="DIR", help="Where uploads are kept.")
@click.option("--config", "file", type=click.Path(path_type=Path), metavar="FILE", help="The settings file to write.")
@click.option("--yes", is_flag=True, help="Ask nothing: take the default of each question, and start nothing.")
def setup(photos: tuple[str, ...], data_dir: str | None, storage_dir: str | None, file: Path | None, yes: bool) -> int:
    """Choose the photo folders, write the settings, and let the first phone in as administrator.

    A settings file that is there keeps all it says beside what is chosen here, and a copy of it is kept.

    \b
    Example:
      pixlsrve setup
      pixlsrve setup --yes --photos /srv/photos
    """
    if not yes and not is_terminal():
        raise click.UsageError("There is no terminal to ask questions at; give --yes, and --photos for each folder.")
    given = {"data_dir": data_dir, "storage_dir": storage_dir}
    path = file or settings_path()
    wanted = {key: str(Path(value).expanduser().absolute()) for key, value in given.items() if value}
    _write(path, _choose(path, list(photos), wanted, ask=not yes), wanted)
    restart = _restart(path)
    if yes:
        click.echo(f"Next: {shlex.join(restart)}, then: pixlsrve pair --admin" if restart else _next(file))
        return 0
    return start_and_pair(path, is_named=file is not None, restart=restart)


def first_run() -> int:
    """What `serve` does on a terminal where nothing is set up; its exit code."""
    click.echo("Nothing is set up yet; two questions, and Enter takes what stands in brackets.")
    path = settings_path()
    _write(path, _choose(path, [], {}, ask=True), {})
    return start_and_pair(path, is_named=False, restart=_restart(path))


def is_terminal() -> bool:
    """Whether somebody can be asked."""
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def is_first_run() -> bool:
    """Whether nothing has been set up for this user: no settings, no data, and somebody to ask."""
    if not is_terminal() or any(name.startswith("PIXLSRVE_") for name in os.environ):
        return False
    return config.default_config_file() is None and not config.default_data_dir().exists()


def settings_path() -> Path:
    """The settings file that the daemon reads without being told: the service's for root, else the user's."""
    if os.geteuid() == 0:
        return SERVICE_CONFIG
    return Path(platformdirs.user_config_dir("pixlsrve", appauthor=False)) / "pixlsrve.toml"


def start_and_pair(path: Path, *, is_named: bool, restart: list[str] | None) -> int:
    """The second question; then start, and show the pairing code of an administrator's device."""
    if not click.confirm("Start now, and let your phone in as administrator?", default=True):
        click.echo(_next(path if is_named else None))
        return 0
    from pixlsrve.cli import first_start

    data_dir = config.load(file=path).data_path
    if restart:
        subprocess.run(restart, check=True)  # noqa: S603  # a command of ours, without any input
        return first_start.pair_admin(data_dir)
    running = instance.running_pid(data_dir) if instance.is_running(data_dir) else None
    if running:
        os.kill(running, signal.SIGHUP)  # it takes the new settings
        return first_start.pair_admin(data_dir)
    return first_start.serve_and_pair(path if is_named else None, data_dir)


def _choose(path: Path, given: list[str], more: dict[str, str], *, ask: bool) -> list[str]:
    """The photo folders: as given, else as answered, else as set, else the likely ones. Raises ConfigError."""
    if given:
        return _checked(path, given, more)
    known = [str(folder) for folder in settings_file.read(path).get("photos", [])]
    likely = [likely_folders.Likely(Path(folder), -1) for folder in known] or likely_folders.find(_home())
    folders = [str(folder.path) for folder in likely]
    if not ask:
        return _checked(path, folders, more)
    _show(likely, are_set=bool(known))
    while True:
        answer = _ask(folders)
        try:
            return _checked(path, answer, more)
        except ConfigError as error:
            click.echo(plain(error.message))


def _show(likely: list[likely_folders.Likely], *, are_set: bool) -> None:
    click.echo("Which folders hold your photos? They are read, and never changed.")
    for number, folder in enumerate(likely, 1):
        click.echo(f"  {number}  {plain(str(folder.path))}   {'set already' if are_set else folder}")


def _ask(folders: list[str]) -> list[str]:
    """One answer: numbers of the list, folders, or Enter. Asked again until all of it is there."""
    default = " ".join(str(number + 1) for number in range(len(folders))) or "none"
    while True:
        answer = click.prompt("Numbers or folders, several with spaces between", default=default).strip()
        if answer == "none":
            return []
        try:
            words = [answer] if Path(answer).expanduser().is_dir() and not answer.isdigit() else shlex.split(answer)
        except ValueError:
            click.echo("A quotation mark is missing there.")
            continue
        chosen = [folders[int(word) - 1] if word in _numbers(folders) else word for word in words]
        missing = [word for word in chosen if not Path(word).expanduser().is_dir()]
        if chosen and not missing:
            return chosen
        click.echo(f"There is no folder {plain(', '.join(missing))}.")


def _numbers(folders: list[str]) -> set[str]:
    return {str(number + 1) for number in range(len(folders))}


def _checked(path: Path, folders: list[str], more: dict[str, str]) -> list[str]:
    """The folders with their whole names, once they fit the rest of the settings. Raises ConfigError."""
    checked = config.load(flags={"photos": folders, **more}, file=path if path.is_file() else None)
    return checked.photos


def _write(path: Path, photos: list[str], more: dict[str, str]) -> None:
    values: dict[str, Any] = {"photos": photos, **more}
    if path.exists() and all(settings_file.read(path).get(key) == value for key, value in values.items()):
        click.echo(f"Nothing has changed in {path}.")
        return
    copy = settings_file.write(path, values)
    kept = f"; the old ones are in {copy}" if copy else ""
    click.echo(f"The settings are in {path}{kept}.")
    _warn(path, photos)


def _warn(path: Path, photos: list[str]) -> None:
    """Say it now when the service won't be able to read a folder."""
    if path != SERVICE_CONFIG:
        return
    from pixlsrve.doctor.rights import can_read, run_as

    closed = [folder for folder in photos if not can_read(Path(folder), _service_user())]
    if closed:
        click.echo(f"The service may not read {plain(', '.join(closed))}. Next: {run_as(Path(closed[0]))}")


def _service_user() -> str:
    """Whom the service runs as: the owner of its data, once there is some."""
    try:
        return SERVICE_DATA_DIR.owner()
    except (OSError, KeyError):
        return SERVICE_USER


def _home() -> Path:
    """The home of the person at the keyboard, also below sudo."""
    behind_sudo = os.environ.get("SUDO_USER", "")
    if os.geteuid() == 0 and behind_sudo:
        try:
            return Path(pwd.getpwnam(behind_sudo).pw_dir)
        except KeyError:
            pass
    return Path.home()


def _restart(path: Path) -> list[str] | None:
    """The command that has an installed service read its settings again; None without one."""
    systemctl = shutil.which("systemctl")
    if path != SERVICE_CONFIG or systemctl is None or not any(unit.exists() for unit in UNITS):
        return None
    return ["systemctl", "restart", "pixlsrve"]


def _next(file: Path | None) -> str:
    """The one line that says what to do."""
    named = f" --config {shlex.quote(str(file))}" if file else ""
    data_dir = f" --data-dir {shlex.quote(str(config.load(file=file).data_path))}" if file else ""
    return f"Next: pixlsrve serve{named}, and in a second terminal: pixlsrve pair --admin{data_dir}"
