"""`pixlsrve agent`: the mini-server on a device whose files the host shall have."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from pixlsrve.cli.numbers import WholeNumber
from pixlsrve.config import default_data_dir
from pixlsrve.errors import InvalidInput, StartError


@click.command()
@click.option("--server", required=True, metavar="URL", help="The host, such as http://192.168.1.2:8080.")
@click.option(
    "--root", required=True, metavar="DIR", type=click.Path(path_type=Path), help="The folder to share with it."
)
@click.option("--port", type=WholeNumber(0, 65535), default=8766, metavar="N", help="Port to listen on [8766].")
@click.option("--data-dir", type=click.Path(path_type=Path), metavar="DIR", help="Where the pairing is kept.")
@click.option("--pair", "code", metavar="CODE", help="One-time code of `pixlsrve pair` on the host, or its whole URL.")
def agent(server: str, root: Path, port: int, data_dir: Path | None, code: str | None) -> int:
    """Share a folder with a pixlsrve host, which fetches what it does not have yet.

    The first start joins the host with a code; later ones need none. The host may read what is below the folder, and
    nothing else.

    \b
    Example:
      pixlsrve agent --server http://192.168.1.2:8080 --root ~/Music --pair ABCD2345
    """
    from pixlsrve.devices.agent.pair import parse_server
    from pixlsrve.devices.agent.run import Options, run_agent
    from pixlsrve.http.mini_server import listen
    from pixlsrve.index.metadata import EXTENSIONS

    try:
        parse_server(server)
    except InvalidInput as error:
        raise click.BadParameter(error.message, param_hint="'--server'") from error
    options = Options(
        server=server,
        root=root.expanduser().absolute(),
        port=port,
        data_dir=(data_dir or _default_dir()).expanduser().absolute(),
        code=code,
        ask_code=_ask_code,
        extensions=frozenset(EXTENSIONS),
    )
    return run_agent(options, listen)


def _default_dir() -> Path:
    """Beside the directory that a daemon on this computer would use."""
    named = os.environ.get("PIXLSRVE_DATA_DIR")
    if named:
        return Path(named)
    host = default_data_dir()
    return host.with_name(f"{host.name}-agent")


def _ask_code() -> str:
    """Ask the person at the terminal. Raises StartError without one."""
    if not sys.stdin.isatty():
        raise StartError("This device is not paired yet: run `pixlsrve pair` on the host and give --pair CODE.")
    text: str = click.prompt("Code that `pixlsrve pair` shows on the host", err=True)
    return text
