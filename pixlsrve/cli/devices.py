"""`pixlsrve devices` and `pixlsrve revoke`: who has joined, and taking access away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pixlsrve.cli.control import Control
from pixlsrve.cli.options import data_dir_option, json_option, local_time, plain, print_json, print_table
from pixlsrve.config import find_data_dir


@click.command()
@data_dir_option
@json_option
def devices(data_dir: Path | None, as_json: bool) -> None:
    """List the devices that have joined, when each was last heard of, and how its tunnel is.

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
            _tunnel(row["tunnel"]),
        ]
        for row in rows
    ]
    print_table(["id", "name", "type", "belongs to", "role", "joined", "last seen", "tunnel"], cells)


def _tunnel(tunnel: dict[str, Any] | None) -> str:
    """A device's tunnel in a few words."""
    if tunnel is None or tunnel["address"] is None:
        return "none"
    if tunnel["state"] != "allowed":
        why = f": {tunnel['revoked_reason']}" if tunnel["revoked_reason"] else ""
        return f"ended {local_time(tunnel['revoked_at'])}{why}"
    words = [tunnel["address"]]
    if tunnel["is_connected"]:
        traffic = tunnel["received_bytes"] + tunnel["sent_bytes"]
        words.append(f"connected, {traffic / 1_000_000:.1f} MB")
    elif tunnel["last_handshake"] is not None:
        words.append(f"last {local_time(tunnel['last_handshake'])}")
    if tunnel["is_outdated"]:
        words.append("needs its configuration anew")
    return ", ".join(words)


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
