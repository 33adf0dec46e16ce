"""Writes the man page from the commands themselves: `python packaging/man.py dist`, for `man pixlsrve`.

One page for all commands, in roff's man macros (man(7)); its date is SOURCE_DATE_EPOCH's, so that it can be made again.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from pixlsrve import __version__
from pixlsrve.cli.main import cli

FILE = "pixlsrve.1"
_FILES = (
    ("/etc/pixlsrve/pixlsrve.toml", "settings of the service"),
    ("~/.config/pixlsrve/pixlsrve.toml", "settings of a user's own"),
    ("/var/lib/pixlsrve", "index, thumbnails, keys and uploads of the service"),
)
_EXITS = (("0", "done"), ("1", "failed"), ("2", "wrong command line or settings"), ("3", "the daemon is not running"))


def render() -> str:
    """The whole page."""
    day = dt.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH") or dt.datetime.now().timestamp()), dt.UTC)
    return "\n".join(_page(day.date())) + "\n"


def _page(day: dt.date) -> Iterator[str]:
    yield f'.TH PIXLSRVE 1 "{day}" "pixlsrve {_text(__version__)}" "User Commands"'
    yield from (".SH NAME", "pixlsrve \\- a photo server for a household")
    yield from (".SH SYNOPSIS", ".B pixlsrve", ".I COMMAND", "[\\fIOPTION\\fR]...", ".SH DESCRIPTION")
    yield "Serves the photos in the folders that it is pointed at, and never changes them."
    yield "Begin with \\fBpixlsrve setup\\fR; when something is wrong, ask \\fBpixlsrve doctor\\fR."
    yield ".SH COMMANDS"
    context = click.Context(cli, info_name="pixlsrve")
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if command is not None:
            yield from _command(command, click.Context(command, info_name=name, parent=context))
    yield ".SH EXIT STATUS"
    for code, words in _EXITS:
        yield from (".TP", f".B {code}", words)
    yield ".SH FILES"
    for file, words in _FILES:
        yield from (".TP", f".I {_text(file)}", words)
    yield ".SH ENVIRONMENT"
    yield from (".TP", ".B PIXLSRVE_DATA_DIR", "the daemon's data directory")
    yield from (".TP", ".B PIXLSRVE_SECTION__KEY", "any setting, such as PIXLSRVE_HTTP__PORT; stronger than the file")


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    """One command with its options and examples; below a group, its commands."""
    words, _, examples = (command.help or "").partition("Example:")
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS {_text(context.command_path)} {_text(usage)}"
    for paragraph in textwrap.dedent("    " + words.replace("\b", "")).strip().split("\n\n"):
        yield from (".PP", _text(" ".join(paragraph.split())))
    for option in command.get_params(context):
        record = option.get_help_record(context) if isinstance(option, click.Option) else None
        if record is not None and "--help" not in record[0]:
            yield from (".TP", f".B {_text(record[0])}", _text(record[1]) or "\\&")
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    if lines:
        yield from (".PP", "Example:", ".PP", ".nf", ".RS", *(_text(line) for line in lines), ".RE", ".fi")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _command(below, click.Context(below, info_name=name, parent=context))


def _text(words: str) -> str:
    """Words that roff takes for nothing else."""
    escaped = words.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def main() -> None:
    """Write the page into the folder that is named."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(render(), "utf-8")


if __name__ == "__main__":
    main()
