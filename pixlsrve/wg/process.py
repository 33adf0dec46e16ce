"""One process of wireguard-go: started clean, ended with us."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import shutil
import signal
import sys
from collections import deque
from collections.abc import Callable

PROGRAM = "wireguard-go"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin:/opt/local/bin"
"""Not the daemon's own: a service's may be short, and nobody else shall choose what runs with its rights."""
_END_LIMIT_S = 3.0
_PR_SET_PDEATHSIG = 1
_KEPT_LINES = 20
_LINE_BYTES = 4_096
_STAMP = re.compile(r"^\w+: \([^)]*\) [\d/]+ [\d:]+ ")
"""What wireguard-go puts before its words; with a time in it every failure would be a new one."""


def find(program: str) -> str | None:
    """The full path of a program of the system's."""
    return shutil.which(program, path=PATH)


class Process:
    """A running wireguard-go, in the foreground."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._reading = [
            asyncio.create_task(self._read(stream), name="wireguard-go's words")
            for stream in (process.stdout, process.stderr)
            if stream is not None
        ]

    @classmethod
    async def start(cls, program: str, arguments: list[str], environment: dict[str, str]) -> Process:
        """Start it with nothing of the daemon's environment. Raises OSError."""
        process = await asyncio.create_subprocess_exec(
            program,
            "-f",
            *arguments,
            env={"PATH": PATH, "LOG_LEVEL": "error", **environment},
            cwd="/",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_dies_with_parent(),
        )
        return cls(process)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    def last_words(self) -> str:
        """What it said about its end."""
        return _STAMP.sub("", self._lines[-1]).rstrip(".") if self._lines else "it said nothing"

    async def ended(self) -> None:
        """Wait for its end, and for what it had to say."""
        await self._process.wait()
        await asyncio.wait(self._reading, timeout=_END_LIMIT_S)

    async def end(self) -> None:
        """End it: gently, so that it removes its socket, then by force."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_LIMIT_S):
                    await self.ended()
                    return

    async def _read(self, stream: asyncio.StreamReader) -> None:
        """Keep the last lines; without a reader it would stand still one day."""
        while piece := await stream.read(_LINE_BYTES):
            self._lines.extend(line for line in piece.decode(errors="replace").splitlines() if line.strip())


def _dies_with_parent() -> Callable[[], None] | None:
    """What a child calls before it becomes wireguard-go, so that a daemon that is killed leaves none (Linux)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up here: a child of many threads must not load anything
    parent = os.getpid()

    def call() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return call
