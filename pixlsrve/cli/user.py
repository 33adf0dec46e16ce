"""`pixlsrve user`: the people who sign in with a name and a password."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from pixlsrve.cli.control import Control
from pixlsrve.cli.invite import invite
from pixlsrve.cli.options import (
    DaemonGroup,
    data_dir_option,
    json_option,
    local_time,
    plain,
    print_json,
    print_table,
)
from pixlsrve.config import find_data_dir

LONGEST_INPUT_BYTES = 16 * 1024
name_argument = click.argument("name", metavar="NAME")
password_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input instead of asking for it."
)


@click.group(cls=DaemonGroup)
@data_dir_option
@click.pass_context
def user(context: click.Context, data_dir: Path | None) -> None:
    """Manage accounts: the people who sign in with a name and a password.

    \b
    Example:
      pixlsrve user add anna
    """
    context.obj = Control(find_data_dir(data_dir))


user.add_command(invite)


@user.command()
@name_argument
@click.option("--admin", is_flag=True, help="An administrator; a member otherwise.")
@password_option
@click.pass_obj
def add(control: Control, name: str, admin: bool, password_stdin: bool) -> None:
    """Make an account; it sees the whole library until `user allow` says otherwise.

    \b
    Example:
      pixlsrve user add anna
      pixlsrve user add --admin --password-stdin anna < password.txt
    """
    control.get("/users")  # nobody is asked for a password in vain
    body = {"username": name, "password": _password(from_stdin=password_stdin), "admin": admin}
    account = control.post("/users", body)
    click.echo(f"{plain(account['username'])} can sign in now, as {_article(account['role'])}.")


@user.command("list")
@json_option
@click.pass_obj
def list_(control: Control, as_json: bool) -> None:
    """List the accounts, what each sees of the library, and when each last signed in.

    \b
    Example:
      pixlsrve user list
    """
    rows = control.get("/users")["users"]
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo("There is no account yet; `pixlsrve user add NAME` makes one.")
        return
    cells = [
        [row["username"], row["role"], _seen(row), str(row["devices"]), local_time(row["last_login_at"])]
        for row in rows
    ]
    print_table(["name", "role", "sees", "devices", "last signed in"], cells)


@user.command()
@name_argument
@password_option
@click.pass_obj
def passwd(control: Control, name: str, password_stdin: bool) -> None:
    """Give an account another password; it is signed out everywhere, its devices stay.

    \b
    Example:
      pixlsrve user passwd anna
    """
    known = control.post("/users/find", {"username": name})
    body = {"username": known["username"], "password": _password(from_stdin=password_stdin)}
    account = control.post("/users/password", body)
    click.echo(f"{plain(account['username'])} has a new password and is signed out everywhere.")


@user.command()
@name_argument
@click.pass_obj
def remove(control: Control, name: str) -> None:
    """Remove an account, and shut out its devices.

    \b
    Example:
      pixlsrve user remove anna
    """
    account = control.post("/users/remove", {"username": name})
    count = account["devices"]
    devices = {0: "", 1: ", and so is 1 device"}.get(count, f", and so are {count} devices")
    click.echo(f"{plain(account['username'])} is removed{devices}.")


@user.command()
@name_argument
@click.option("--root", "roots", multiple=True, metavar="R", help="Only this folder, by name or path; may be repeated.")
@click.option("--none", "nothing", is_flag=True, help="Close the library to this account again.")
@click.pass_obj
def allow(control: Control, name: str, roots: tuple[str, ...], nothing: bool) -> None:
    """Open the whole library to an account, or only some of its folders.

    \b
    Example:
      pixlsrve user allow anna
      pixlsrve user allow anna --root Family --root Holidays
    """
    if nothing and roots:
        raise click.UsageError("--none and --root exclude each other.")
    library = "none" if nothing else "some" if roots else "all"
    account = control.post("/users/allow", {"username": name, "library": library, "roots": list(roots)})
    click.echo(f"{plain(account['username'])} now sees {plain(_seen(account))}.")


@user.command()
@name_argument
@click.argument("role", metavar="ROLE", type=click.Choice(["admin", "member"]))
@click.pass_obj
def role(control: Control, name: str, role: str) -> None:
    """Make an account an administrator's (admin) or a member's (member); it is signed out everywhere.

    \b
    Example:
      pixlsrve user role anna admin
    """
    account = control.post("/users/role", {"username": name, "role": role})
    click.echo(f"{plain(account['username'])} is {_article(account['role'])} now.")


def _password(*, from_stdin: bool) -> str:
    """The password from standard input, or typed twice without being shown. Raises UsageError, Abort."""
    if not from_stdin:
        if not sys.stdin.isatty():
            raise click.UsageError("There is no terminal to ask for the password; give it with --password-stdin.")
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt="The same again", err=True)
        return password
    content = sys.stdin.buffer.read(LONGEST_INPUT_BYTES)
    try:
        return content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise click.UsageError("The password on standard input is not UTF-8.") from error


def _seen(account: dict[str, Any]) -> str:
    """What an account sees of the library, in words."""
    if account["library"] == "some":
        return ", ".join(account["roots"])
    return "the whole library" if account["library"] == "all" else "nothing of the library"


def _article(role: str) -> str:
    return "an administrator" if role == "admin" else "a member"
