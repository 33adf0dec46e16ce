"""`pixlsrve user invite`: letting a person in who has no account yet."""

from __future__ import annotations

import click

from pixlsrve.cli.control import Control
from pixlsrve.cli.numbers import WholeNumber
from pixlsrve.cli.options import json_option, local_time, plain, print_json, print_table
from pixlsrve.cli.token import Duration


@click.command()
@click.option("--email", metavar="E", help="Let in whoever a login provider says has this address; no code is needed.")
@click.option(
    "--expires", type=Duration(), default="7d", metavar="TIME", help="How long it can be used: 30m, 1h, 7d ... [7d]"
)
@click.option("--list", "shows", is_flag=True, help="List the invitations that nobody has used yet.")
@click.option("--withdraw", type=WholeNumber(min=1), metavar="N", help="Take back the invitation of that number.")
@json_option
@click.pass_obj
def invite(control: Control, email: str | None, expires: int, shows: bool, withdraw: int | None, as_json: bool) -> None:
    """Invite one person to make an account, which sees nothing of the library until `user allow`.

    \b
    Example:
      pixlsrve user invite
      pixlsrve user invite --email anna@example.org --expires 2d
      pixlsrve user invite --list
    """
    if withdraw is not None:
        control.delete(f"/invitations/{withdraw}")
    elif shows:
        _print_open(control, as_json=as_json)
    else:
        _create(control, email, expires, as_json=as_json)


def _create(control: Control, email: str | None, expires: int, *, as_json: bool) -> None:
    body = {"expires_in": expires, **({} if email is None else {"email": email})}
    made = control.post("/invitations", body)
    if as_json:
        print_json(made)
        return
    until = f"once, until {local_time(made['expires_at'])}"
    if made["code"] is None:
        click.echo(f"{plain(made['email'])} can sign in {until}:")
    else:
        click.echo(f"Invitation code, good {until}: {made['code']}")
    for link in made["links"]:
        click.echo(f"  {plain(link)}")


def _print_open(control: Control, *, as_json: bool) -> None:
    rows = control.get("/invitations")["invitations"]
    if as_json:
        print_json(rows)
        return
    cells = [
        [str(row["id"]), row["email"] or "", local_time(row["created_at"]), local_time(row["expires_at"])]
        for row in rows
    ]
    print_table(["number", "e-mail", "made", "ends"], cells)
