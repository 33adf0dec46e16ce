"""A progress bar of bytes on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar_of_bytes(what: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """A bar for the length of the block; what is yielded is told how many more bytes are done."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # imported late: it costs more than most commands do
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total_bytes or None)
        yield lambda count: bar.advance(task, count)
