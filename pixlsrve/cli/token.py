"""`pixlsrve token`: bearer tokens for scripts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from pixlsrve.cli.control import Control
from pixlsrve.cli.options import DaemonGroup, data_dir_option, json_option, local_time, print_json, print_table
from pixlsrve.config import find_data_dir

_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}


class Duration(click.ParamType[int]):
    """A number with a unit, such as 90s, 30m, 1h, 7d or 2w; in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Seconds, at least one."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([1-9][0-9]{0,8})([smhdw])", str(value).strip(), re.ASCII)
        if match is None:
            self.fail(
                f"{value!r} is no duration; write a number and a unit, such as 90s, 30m, 1h, 7d or 2w.", param, ctx
            )
        return int(match[1]) * _UNITS_S[match[2]]


@click.group(cls=DaemonGroup, invoke_without_command=True)
@data_dir_option
@click.option("--admin", is_flag=True, help="May do what an admin may; a member otherwise.")
@click.option(
    "--expires", type=Duration(), default="1h", metavar="TIME", help="How long it works: 30m, 1h, 7d ... [1h]"
)
@click.pass_context
def token(context: click.Context, data_dir: Path | None, admin: bool, expires: int) -> None:
    """Print a bearer token for scripts, and nothing else.

    It can be listed and withdrawn at any time; `list` and `revoke` below.

    \b
    Example:
      curl -H "Authorization: Bearer $(pixlsrve token --expires 1h)" http://127.0.0.1:8080/api/v1/albums
    """
    control = context.obj = Control(find_data_dir(data_dir))
    if context.invoked_subcommand is None:
        role = "admin" if admin else "member"
        click.echo(control.post("/tokens", {"role": role, "expires_in": expires})["token"])


@token.command("list")
@json_option
@click.pass_obj
def list_(control: Control, as_json: bool) -> None:
    """List the tokens that work; the tokens themselves are not kept anywhere.

    \b
    Example:
      pixlsrve token list --json
    """
    tokens = control.get("/tokens")["tokens"]
    if as_json:
        print_json(tokens)
        return
    print_table(
        ["id", "role", "made", "expires"],
        [[row["id"], row["role"], local_time(row["created_at"]), local_time(row["expires_at"])] for row in tokens],
    )


@token.command()
@click.argument("token_id", metavar="ID")
@click.pass_obj
def revoke(control: Control, token_id: str) -> None:
    """Withdraw the token with this ID; it fails from the next request on.

    \b
    Example:
      pixlsrve token revoke 0f3a5c7e9b1d2f4a6c8e0a1b2c3d4e5f
    """
    if not re.fullmatch(r"[0-9a-f]{32}", token_id):
        raise click.BadParameter("write the id that `pixlsrve token list` shows, not the token itself.")
    control.delete(f"/tokens/{token_id}")
