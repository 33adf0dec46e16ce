"""`pixlsrve devices` and `pixlsrve revoke`: who has joined, and taking access away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pixlsrve.cli.control import Control
from pixlsrve.cli.numbers import WholeNumber
from pixlsrve.cli.options import DaemonGroup, data_dir_option, json_option, local_time, plain, print_json, print_table
from pixlsrve.config import find_data_dir


@click.group(cls=DaemonGroup, invoke_without_command=True)
@data_dir_option
@json_option
@click.pass_context
def devices(context: click.Context, data_dir: Path | None, as_json: bool) -> None:
    """List the devices that have joined, when each was last heard of, and how its tunnel is.

    \b
    Example:
      pixlsrve devices
    """
    control = context.obj = Control(find_data_dir(data_dir))
    if context.invoked_subcommand is not None:
        return
    rows = control.get("/devices")["devices"]
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


@devices.command()
@json_option
@click.option("--address", required=True, metavar="A", help="Its IP address or name on this network.")
@click.option("--port", required=True, type=WholeNumber(1, 65535), metavar="N", help="The port it listens on.")
@click.option("--song", "songs", multiple=True, metavar="PATH", help="A file it has, as it calls it; may be repeated.")
@click.argument("name", metavar="NAME")
@click.pass_obj
def add(control: Control, name: str, address: str, port: int, songs: tuple[str, ...], as_json: bool) -> None:
    """Add a mini-server of somebody else's making, which can't register itself.

    It is asked for the songs named here, or told later with POST /api/device/DEVICE/songs/.

    \b
    Example:
      pixlsrve devices add Jukebox --address 192.168.1.20 --port 8766 --song music/song123.mp3
    """
    body = {"name": name, "address": address, "port": port, "songs": list(songs)}
    added = control.post("/devices/mini-servers", body)
    if as_json:
        print_json(added)
        return
    click.echo(f"{plain(added['device_name'])} is device {added['id']}; its device_id is {added['device_id']}.")
    for song in added["songs"]:
        click.echo(f"{song['song_id']}  {plain(song['path'])}")


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
