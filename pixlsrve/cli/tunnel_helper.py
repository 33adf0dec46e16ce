"""`pixlsrve tunnel-helper`: the process that has the tunnel's rights; its unit starts it, nobody else needs to."""

from __future__ import annotations

import pwd
from pathlib import Path

import click

from pixlsrve.cli.lean import import_lean


@click.command("tunnel-helper", hidden=True)
@click.option("--user", "name", required=True, metavar="NAME", help="The service's user; nobody else is served.")
@click.option(
    "--socket",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Listen here; else systemd's socket is used.",
)
def tunnel_helper(name: str, path: Path | None) -> int:
    """Have the tunnel's interface, its rules and port 53 for the service, which needs no rights of its own then.

    \b
    Example:
      pixlsrve tunnel-helper --user pixlsrve
    """
    import_lean("structlog")
    from pixlsrve import logs
    from pixlsrve.instance import forbid_core_dumps
    from pixlsrve.wg.helper.server import serve

    try:
        uid = int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid
    except KeyError as error:
        raise click.BadParameter(f"there is no user {name}.", param_hint="--user") from error
    forbid_core_dumps()
    logs.configure("info", "auto")
    serve(uid, path)
    return 0
