"""Options that several commands share, and the way they print."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from pixlsrve import config
from pixlsrve.cli.control import Control
from pixlsrve.config import Config, find_data_dir

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


_DATA_DIR: dict[str, Any] = {
    "type": click.Path(path_type=Path),
    "metavar": "DIR",
    "help": "The daemon's data directory; also PIXLSRVE_DATA_DIR.",
}


def data_dir_option(function: FunctionT) -> FunctionT:
    """--data-dir, for a command that talks to the daemon."""
    return click.option("--data-dir", **_DATA_DIR)(function)


def config_option(function: FunctionT) -> FunctionT:
    """--config, for a command that reads the settings itself."""
    option = click.option(
        "--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="Settings in TOML."
    )
    return option(function)


def load_settings(data_dir: Path | None, config_file: Path | None) -> Config:
    """The settings that these options mean. Raises ConfigError."""
    return config.load(flags={"data_dir": str(data_dir)} if data_dir else {}, file=config_file)


class DaemonGroup(click.Group):
    """A group whose object is a Control, and whose sub-commands take --data-dir too: most people write it last."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a sub-command that uses the group's Control, or the one of its own --data-dir."""
        cmd.params.append(click.Option(["--data-dir"], expose_value=False, callback=_use_data_dir, **_DATA_DIR))
        super().add_command(cmd, name)


def _use_data_dir(context: click.Context, _: click.Parameter, data_dir: Path | None) -> None:
    if data_dir is not None:
        context.obj = Control(find_data_dir(data_dir))


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
