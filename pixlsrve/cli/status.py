"""`pixlsrve status`: what the daemon is doing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from pixlsrve.cli.control import Control
from pixlsrve.cli.options import data_dir_option, json_option, plain, print_json, print_table
from pixlsrve.config import find_data_dir


@click.command()
@data_dir_option
@json_option
def status(data_dir: Path | None, as_json: bool) -> None:
    """Show addresses, folders, counts and how far the indexing is.

    \b
    Example:
      pixlsrve status --json
    """
    answer = Control(find_data_dir(data_dir)).get("/status")
    if as_json:
        print_json(answer)
        return
    for name, value in _facts(answer):
        click.echo(f"{name:<10} {plain(value)}")
    if answer["photo_roots"]:
        click.echo()
        print_table(
            ["folder", "state", "photos", "size", "last scan"], [_root_row(root) for root in answer["photo_roots"]]
        )
    for notice in answer["notices"]:
        click.echo(f"\n{plain(notice['message'])}\n  {plain(notice['remedy'])}")


def _facts(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """The lines above the table."""
    return [
        ("pixlsrve", f"{answer['version']}, process {answer['pid']}, up {_span(answer['uptime_seconds'])}"),
        ("listening", ", ".join(answer["urls"])),
        ("https", _https(answer["tls"])),
        ("mdns", _mdns(answer["mdns"])),
        ("broadcast", _broadcast(answer["websocket"])),
        ("wireguard", _wireguard(answer["wireguard"])),
        ("dns", _dns(answer["dns"])),
        ("outside", answer["reachability"]["message"]),
        ("host", f"{answer['host_name']} ({answer['host_id']})"),
        ("indexing", _indexing(answer["indexing_status"])),
        ("backup", _backup(answer["backup"])),
    ]


def _https(state: dict[str, Any]) -> str:
    """The certificate's fingerprints, or why there is no HTTPS."""
    if not state["enabled"]:
        return f"off, {state['reason']}"
    authority = f", authority {state['ca_fingerprint']}" if state["ca_fingerprint"] else ""
    return f"certificate {state['fingerprint']} until {state['expires_at'][:10]}{authority}"


def _mdns(state: dict[str, Any]) -> str:
    """The name under which phones find the host on the LAN, or why they don't."""
    if not state["enabled"]:
        return f"off, {state['reason']}"
    return f"announced as {state['name']} on {', '.join(state['interfaces'])}"


def _wireguard(state: dict[str, Any]) -> str:
    """The tunnel, or why there is none."""
    if not state["enabled"]:
        return f"off, {state['reason']}"
    lan = ", the LAN is open" if state["lan_access"] else ""
    return (
        f"{state['backend']} ({state['why']}), interface {state['interface']}, {state['address']}, "
        f"UDP port {state['listening_port']}, {state['connected_peers']} of {state['peers']} devices connected{lan}"
    )


def _dns(state: dict[str, Any]) -> str:
    """The tunnel's resolver and those behind it, or why there is none."""
    if not state["enabled"]:
        return f"off, {state['reason']}"
    return f"{state['address']} in the tunnel, asking {', '.join(state['upstream']) or 'nobody'}"


def _broadcast(state: dict[str, Any]) -> str:
    """Where the broadcast websocket is, or why it is off."""
    if not state["enabled"]:
        return f"off, {state['reason']}"
    clients = "1 client" if state["clients"] == 1 else f"{state['clients']:,} clients"
    return f"{state['host'] or 'all addresses'}, port {state['port']}, {clients}"


def _backup(state: dict[str, Any]) -> str:
    """How old the newest backup is, and whether the second disk has one."""
    if not state["enabled"]:
        return "off, by the settings"
    age_s = state["age_seconds"]
    made = "none yet" if age_s is None else f"{_span(age_s)} old, {state['kept']} kept"
    if not state["directory"]:
        return f"{made}, on this disk only"
    return f"{made}, in {state['directory']} too" if state["directory_last_at"] else f"{made}, on this disk only so far"


def _indexing(state: dict[str, Any]) -> str:
    """How far the indexing is, in words."""
    quarantined = f", {state['quarantined']:,} quarantined" if state.get("quarantined") else ""
    if not state["in_progress"]:
        return f"{state['photos_indexed']:,} photos and videos, all done{quarantined}"
    eta_s = state.get("eta_seconds")
    left = f", about {_span(eta_s)} left" if eta_s is not None else ""
    return f"{state.get('stage') or 'walking'}: {state['done']:,} of {state['total']:,}{left}{quarantined}"


def _root_row(root: dict[str, Any]) -> list[str]:
    """One row of the table."""
    last = root["last_scan"]
    when = datetime.fromisoformat(last).replace(tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M") if last else "-"
    return [root["path"], root["state"], f"{root['total_photos']:,}", size_text(root["size_bytes"]), when]


def size_text(size_bytes: int) -> str:
    """A size for people."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _span(seconds: float) -> str:
    """A length of time for people."""
    minutes, hours, days = int(seconds) // 60, int(seconds) // 3_600, int(seconds) // 86_400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"
