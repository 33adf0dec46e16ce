"""Options that several commands share, and the way they print."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def data_dir_option(function: FunctionT) -> FunctionT:
    """--data-dir, for a command that talks to the daemon."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="The daemon's data directory; also PIXLSRVE_DATA_DIR.",
    )(function)


def json_option(function: FunctionT) -> FunctionT:
    """--json, for a command that prints a table."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(function)


def print_json(value: Any) -> None:
    """One line of JSON."""
    click.echo(json.dumps(value, ensure_ascii=not _is_unicode()))


def _is_unicode() -> bool:
    """Whether standard output can take any character."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def print_table(columns: list[str], rows: list[list[str]]) -> None:
    """A plain table, its text escaped and never wrapped where the output is not a terminal."""
    from rich.console import Console  # imported late: it costs more than most commands do
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 500)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    console.print(table)


def local_time(moment: str | None) -> str:
    """An RFC 3339 time on this computer's clock; `never` without one."""
    return "never" if moment is None else datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")


def plain(text: str) -> str:
    """`text` without characters that steer a terminal, and printable in the terminal's encoding."""
    encoding = sys.stdout.encoding or "ascii"
    visible = "".join(
        part if part.isprintable() else part.encode("unicode_escape", "replace").decode() for part in text
    )
    return visible.encode(encoding, "backslashreplace").decode(encoding)
