"""`pixlsrve scan`: look at the photo folders now."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from pixlsrve.cli.control import Control
from pixlsrve.cli.options import data_dir_option, json_option, print_json
from pixlsrve.config import find_data_dir

POLL_S = 0.25


@click.command()
@data_dir_option
@click.option("--full", is_flag=True, help="Compare every file, also in folders that look unchanged.")
@click.option("--wait", is_flag=True, help="Wait until everything is indexed, thumbnails included.")
@click.option("--accept-removals", is_flag=True, help="What is gone was meant to go, however much it is.")
@json_option
def scan(data_dir: Path | None, full: bool, wait: bool, accept_removals: bool, as_json: bool) -> None:
    """Look for new, changed and removed photos now.

    \b
    Example:
      pixlsrve scan --wait
    """
    control = Control(find_data_dir(data_dir))
    started = control.post("/scan", {"full_scan": full, "accept_removals": accept_removals})
    if not wait:
        if as_json:
            print_json(started)
        else:
            click.echo("The scan has started; `pixlsrve status` shows how far it is.")
        return
    state = _wait(control, started["scan_id"])
    if as_json:
        print_json({**started, "status": "finished", "indexing_status": state})
    else:
        click.echo(f"{state['photos_indexed']:,} photos and videos are indexed.")


def _wait(control: Control, scan_id: str) -> dict[str, Any]:
    """Poll until the scan and all that follows from it is done; the last state."""
    with _progress() as show:
        while True:
            state: dict[str, Any] = control.get(f"/scan/{scan_id}")
            show(state)
            if not state["in_progress"]:
                return state
            time.sleep(POLL_S)


@contextmanager
def _progress() -> Iterator[Callable[[dict[str, Any]], None]]:
    """A bar on a terminal, nothing elsewhere; what is yielded is given each state."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # imported late: it costs more than most commands do
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("walking", total=None)

        def show(state: dict[str, Any]) -> None:
            bar.update(
                task,
                description=str(state.get("stage") or "walking"),
                completed=state.get("done") or 0,
                total=state.get("total") or None,
            )

        yield show
