"""`pixlsrve serve`: the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pixlsrve.config import load


@click.command()
@click.option(
    "--photos",
    multiple=True,
    metavar="DIR",
    type=click.Path(path_type=str),
    help="A folder of photos, read only; may be given several times.",
)
@click.option("--data-dir", metavar="DIR", help="Where the index, thumbnails and keys are kept.")
@click.option("--storage-dir", metavar="DIR", help="Where uploads are kept.")
@click.option("--host", metavar="ADDR", help="Address to listen on; all, unless given.")
@click.option("--port", type=click.IntRange(0, 65535), metavar="N", help="Port of HTTP, 0 for any free one [8080].")
@click.option("--rescan-interval", type=click.IntRange(0), metavar="S", help="Seconds between full walks, 0 for none.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="Settings in TOML.")
@click.option("--no-mdns", is_flag=True, help="Don't announce the service on the LAN.")
@click.option("--no-vpn", is_flag=True, help="Don't run the WireGuard tunnel.")
@click.option("--no-tls", is_flag=True, help="Don't serve HTTPS beside HTTP.")
def serve(config_file: Path | None, **options: Any) -> int:
    """Serve the photos until told to stop.

    Prints one line, `listening on http://ADDR:PORT`, as soon as it answers; everything else goes to standard error.
    Settings come from these options, PIXLSRVE_... variables and the settings file, in this order.

    \b
    Example:
      pixlsrve serve --photos ~/Pictures --photos /mnt/old-disk/photos --port 8080
    """
    from pixlsrve.daemon import run_daemon

    return run_daemon(load(flags=_flags(options), file=config_file))


def _flags(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, nested like the settings file."""
    flags: dict[str, Any] = {}
    if options["photos"]:
        flags["photos"] = list(options["photos"])
    for option, key in (
        ("data_dir", "data_dir"),
        ("storage_dir", "storage_dir"),
        ("rescan_interval", "rescan_interval_s"),
    ):
        if options[option] is not None:
            flags[key] = options[option]
    http = {key: options[key] for key in ("host", "port") if options[key] is not None}
    if options["no_tls"]:
        http["tls"] = False
    if http:
        flags["http"] = http
    if options["no_mdns"]:
        flags["mdns"] = {"enabled": False}
    if options["no_vpn"]:
        flags["wireguard"] = {"enabled": False}
    return flags
