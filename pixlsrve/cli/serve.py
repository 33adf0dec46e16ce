"""`pixlsrve serve`: the daemon."""

from __future__ import annotations

import contextlib
import gc
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import platformdirs

from pixlsrve.cli.lean import import_lean
from pixlsrve.cli.numbers import WholeNumber
from pixlsrve.settings import Sources


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
@click.option("--port", type=WholeNumber(0, 65535), metavar="N", help="Port of HTTP, 0 for any free one [8080].")
@click.option("--rescan-interval", type=WholeNumber(0), metavar="S", help="Seconds between full walks, 0 for none.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="Settings in TOML.")
@click.option("--no-mdns", is_flag=True, help="Don't announce the service on the LAN.")
@click.option("--no-vpn", is_flag=True, help="Don't run the WireGuard tunnel.")
@click.option("--no-tls", is_flag=True, help="Don't serve HTTPS beside HTTP.")
@click.option("--demo", is_flag=True, help="Serve a small generated library, apart from your own, to look around.")
def serve(config_file: Path | None, *, demo: bool, **options: Any) -> int:
    """Serve the photos until told to stop.

    Prints one line, `listening on http://ADDR:PORT`, as soon as it answers; everything else goes to standard error.
    Settings come from these options, PIXLSRVE_... variables and the settings file, in this order. At SIGHUP they are
    read anew, certificates too, and the photo folders are scanned.

    \b
    Example:
      pixlsrve serve --photos ~/Pictures --photos /mnt/old-disk/photos --port 8080
    """
    if demo:
        return _serve_demo(config_file, options)
    with _loading():
        from pixlsrve.cli import setup
        from pixlsrve.daemon import run_daemon

    flags = _flags(options)
    if not flags and config_file is None and setup.is_first_run():
        return setup.first_run()
    return run_daemon(Sources(flags=flags, file=config_file))


def _serve_demo(config_file: Path | None, options: dict[str, Any]) -> int:
    """Serve the demo from a data directory of its own, whatever the settings say of the real one."""
    with _loading():
        from pixlsrve.daemon import run_daemon
        from pixlsrve.media import demo

    if options["photos"]:
        raise click.UsageError("--demo brings its own photos: leave out --photos, or --demo.")
    named = options["data_dir"] or os.environ.get("PIXLSRVE_DATA_DIR")
    data_dir = Path(named or platformdirs.user_data_dir("pixlsrve-demo", appauthor=False)).expanduser().absolute()
    photos = demo.make(data_dir)
    storage = options["storage_dir"] or str(data_dir / "storage")
    flags = _flags({**options, "photos": [str(photos)], "data_dir": str(data_dir), "storage_dir": storage})
    command = shlex.join(["pixlsrve", "pair", "--data-dir", str(data_dir)])
    click.echo(f"The demo's library is in {photos}; let a phone or browser in with: {command}", err=True)
    return run_daemon(Sources(flags=flags, file=config_file), seed=demo.give_ids)


@contextlib.contextmanager
def _loading() -> Iterator[None]:
    """Load the daemon's modules without what only takes time: docs/decisions/0012-quick-start.md."""
    gc.disable()  # they stay to the end, and looking for garbage is a tenth of the start
    try:
        import_lean("structlog", "aiohttp")
        yield
    finally:
        gc.freeze()
        gc.enable()


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
