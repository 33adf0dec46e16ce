"""Whether a worker, which reads strangers' files, starts here and is locked in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from pixlsrve.config import IndexConfig
from pixlsrve.doctor.finding import Finding
from pixlsrve.errors import PixlsrveError
from pixlsrve.index.frames import Settings
from pixlsrve.index.process import Process

WALLS = {"memory": "memory", "system_calls": "system calls"}
"""The measures that every Linux has; others are for newer kernels."""


def check_worker(config: IndexConfig) -> Iterator[Finding]:
    """Start one, ask what is in force, and end it."""
    try:
        sandbox = asyncio.run(_start(config))
    except PixlsrveError:
        yield Finding(
            check="worker",
            message="The process that decodes photos does not start.",
            remedy=f"Set index.worker_memory_mb to 192 or more if it is less (now {config.worker_memory_mb}); "
            "else install pixlsrve again.",
        )
        return
    open_ = [words for measure, words in WALLS.items() if sandbox.get(measure, "no").startswith("no:")]
    if open_ and "system_calls" in sandbox:
        yield Finding(
            check="sandbox",
            severity="warning",
            message=f"Processes that decode photos can't be kept within limits here: {' and '.join(open_)}.",
            remedy="Use a kernel with seccomp, and a container that lets it be used.",
        )


async def _start(config: IndexConfig) -> dict[str, str]:
    """What a worker says is in force. Raises Unavailable."""
    process = await Process.start(Settings(config.worker_memory_mb, config.max_pixels, "UTC"))
    try:
        return process.sandbox
    finally:
        await process.end()
