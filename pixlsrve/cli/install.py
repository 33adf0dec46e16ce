"""`pixlsrve install` and `uninstall`: the program as a service of the system."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from pixlsrve.errors import StartError
from pixlsrve.installation import launchd, place
from pixlsrve.installation.systemd import OWN_USER, Systemd


@click.command()
@click.option(
    "--run-as", metavar="USER", help="The service's user, who can read the photos; one of its own by default."
)
@click.option(
    "--photos", multiple=True, metavar="DIR", type=click.Path(), help="A folder of photos; may be given several times."
)
@click.option(
    "--root", type=click.Path(path_type=Path), metavar="DIR", help="Write the files below DIR, and start nothing."
)
def install(run_as: str | None, photos: tuple[str, ...], root: Path | None) -> None:
    """Make a service of this program: it starts with the computer, and again when it fails.

    Settings are in /etc/pixlsrve/pixlsrve.toml afterwards, everything else in /var/lib/pixlsrve.

    \b
    Example:
      sudo pixlsrve install --photos /srv/photos
      sudo pixlsrve install --run-as anna --photos /home/anna/Pictures
    """
    folders = [str(Path(folder).expanduser().absolute()) for folder in photos]
    if root is not None:
        Systemd(root=root.absolute()).install(place.program(), run_as or OWN_USER, folders)
        return
    _need_root()
    if sys.platform == "darwin":
        launchd.install(place.program(), run_as or os.environ.get("SUDO_USER") or "root", folders)
    else:
        Systemd().install(place.program(), run_as or OWN_USER, folders)
    click.echo("pixlsrve runs. Next: `sudo pixlsrve pair` lets the first phone in.")


@click.command()
@click.option("--root", type=click.Path(path_type=Path), metavar="DIR", help="Remove the files below DIR only.")
def uninstall(root: Path | None) -> None:
    """Stop the service and remove it. Uploads, accounts and keys stay; where they are is said.

    \b
    Example:
      sudo pixlsrve uninstall
    """
    if root is None:
        _need_root()
    if root is None and sys.platform == "darwin":
        launchd.uninstall()
        click.echo("The service is removed; uploads, accounts, keys and settings stay where they are.")
        return
    system = Systemd() if root is None else Systemd(root=root.absolute())
    system.uninstall()
    for line in system.said:
        click.echo(line)


def _need_root() -> None:
    """Raises StartError for everybody else."""
    if os.geteuid() != 0:
        raise StartError("Only root may change the system's services; run it with sudo.")
