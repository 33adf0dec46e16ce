"""`pixlsrve devices` and `pixlsrve revoke`: who has joined, and taking access away."""

from __future__ import annotations

from pathlib import Path

import click

from pixlsrve.cli.control import Control
from pixlsrve.cli.options import data_dir_option, json_option, local_time, plain, print_json, print_table
from pixlsrve.config import find_data_dir


@click.command()
@data_dir_option
@json_option
def devices(data_dir: Path | None, as_json: bool) -> None:
    """List the devices that have joined, and when each was last heard of.

    \b
    Example:
      pixlsrve devices
    """
    rows = Control(find_data_dir(data_dir)).get("/devices")["devices"]
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo("No device has joined yet; `pixlsrve pair` lets one in.")
        return
    cells = [
        [
            str(row["id"]),
            row["device_name"],
            row["device_type"],
            row["username"] or "(household)",
            row["role"],
            local_time(row["paired_at"]),
            local_time(row["last_seen_at"]),
        ]
        for row in rows
    ]
    print_table(["id", "name", "type", "belongs to", "role", "joined", "last seen"], cells)


@click.command()
@data_dir_option
@click.argument("device", metavar="DEVICE")
def revoke(data_dir: Path | None, device: str) -> None:
    """Take a device's access away at once; DEVICE is its number, its id or its name.

    \b
    Example:
      pixlsrve revoke 3
      pixlsrve revoke "Anna's phone"
    """
    gone = Control(find_data_dir(data_dir)).post("/devices/revoke", {"device": device})
    click.echo(
        f"{plain(gone['device_name'])} (device {gone['id']}) is shut out; `pixlsrve pair` would let it in again."
    )
