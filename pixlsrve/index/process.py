"""One worker process and the socket to it, seen from the daemon."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

import pixlsrve
from pixlsrve.errors import Unavailable
from pixlsrve.index import frames

START_SECONDS = 120.0
"""A Raspberry Pi with a slow card needs several seconds to load the decoders, and many more beside other work."""

GRACE_S = 1.0


class Crashed(Exception):
    """The process ended, or said something it could not have said."""


class TimedOut(Exception):
    """The process did not answer by the deadline and was killed."""


def command() -> list[str]:
    """What starts a worker: this interpreter, or this binary where the program is packed into one."""
    if getattr(sys, "frozen", False):
        return [sys.executable, "worker"]
    return [sys.executable, "-s", "-P", "-m", "pixlsrve.index.worker"]


def environment() -> dict[str, str]:
    """Nothing of the daemon's environment but what finds libraries and the time zone."""
    names = ["TZ", "TZDIR", "PYTHONTZPATH", "HOME"]
    if getattr(sys, "frozen", False):  # so that a program in one file is not unpacked once more for each worker
        names += [name for name in os.environ if name.startswith("_PYI_")]
    kept = {name: value for name in names if (value := os.environ.get(name))}
    if packed := getattr(sys, "_MEIPASS", ""):  # what the loader, told that it has begun already, does not set again
        kept["LD_LIBRARY_PATH"] = packed
    source = str(Path(pixlsrve.__file__).parents[1])
    return kept | {
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": source,
        "PYTHONDONTWRITEBYTECODE": "1",
        # Buffers of an ordinary photo are used again, which saves 8 % of its time; larger ones go back at once.
        "MALLOC_MMAP_THRESHOLD_": "8388608",
        "MALLOC_TRIM_THRESHOLD_": "8388608",
        "MALLOC_ARENA_MAX": "1",
    }


class Process:
    """A running worker. One job at a time."""

    def __init__(self, child: asyncio.subprocess.Process, connection: socket.socket) -> None:
        self._child = child
        self._connection = connection
        self.sandbox: dict[str, str] = {}
        self.jobs = 0

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @classmethod
    async def start(cls, settings: frames.Settings) -> Process:
        """A worker that is ready. Raises Unavailable where none can be started, which is no file's fault."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            with theirs:
                child = await asyncio.create_subprocess_exec(
                    *command(),
                    stdin=theirs.fileno(),
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                    env=environment(),
                    cwd="/",
                )
        except OSError as error:
            ours.close()
            raise Unavailable("No worker process can be started.", reason="no_worker") from error
        process = cls(child, ours)
        try:
            async with asyncio.timeout(START_SECONDS):
                await process._send(frames.frame(settings), [])
                process.sandbox = frames.read_ready(await process._receive_frame()).sandbox
        except (Crashed, TimeoutError, OSError, msgspec.MsgspecError) as error:
            await process.end()
            raise Unavailable("A worker process did not start.", reason="no_worker") from error
        except BaseException:
            await process.end()
            raise
        return process

    async def ask(self, job: frames.Job, files: list[int]) -> frames.Answer:
        """The answer to one job, a picture that follows it included.

        Raises Crashed, TimedOut (the process must be ended then), and OSError for a descriptor that is not open.
        """
        self.jobs += 1
        try:
            # A second more than the job has: the worker's own limits come first where it keeps them.
            async with asyncio.timeout(job.seconds + GRACE_S):
                await self._send(frames.frame(job), files)
                answer = frames.read_answer.decode(await self._receive_frame())
                if isinstance(answer, frames.Rendered):
                    answer = msgspec.structs.replace(answer, picture=await self._receive_picture(answer.size_bytes))
        except TimeoutError as error:
            raise TimedOut from error
        except (msgspec.MsgspecError, ConnectionError) as error:
            raise Crashed("the worker said something else") from error
        return answer

    async def end(self) -> None:
        """Kill the process and wait for it; ending it twice is fine."""
        self._connection.close()
        if self._child.returncode is None:
            with suppress(ProcessLookupError):
                self._child.kill()
        await asyncio.shield(self._child.wait())

    async def _send(self, data: bytes, files: list[int]) -> None:
        # The socket is empty between jobs, so that a frame of a few kilobytes goes out whole.
        sent = socket.send_fds(self._connection, [data], files) if files else self._connection.send(data)
        if sent < len(data):
            await asyncio.get_running_loop().sock_sendall(self._connection, data[sent:])

    async def _receive_frame(self) -> bytes:
        size = int.from_bytes(await self._receive(4), "big")
        if size > frames.MAX_FRAME_BYTES:
            raise Crashed("the worker's answer is too long")
        return await self._receive(size)

    async def _receive(self, size: int) -> bytes:
        data = bytearray(size)
        view, loop = memoryview(data), asyncio.get_running_loop()
        while view:
            count = await loop.sock_recv_into(self._connection, view)
            if not count:
                raise Crashed(self._how())
            view = view[count:]
        return bytes(data)

    def _how(self) -> str:
        code = self._child.returncode
        return f"ended by signal {signal.Signals(-code).name}" if code and code < 0 else "ended"

    async def _receive_picture(self, size: int) -> bytes:
        if size > frames.MAX_RENDERED_BYTES:
            raise Crashed("the worker's picture is too long")
        return await self._receive(size)
