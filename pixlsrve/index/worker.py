"""The worker process: reads strangers' files inside the sandbox, one job at a time, until its socket closes.

Its standard input is the socket to the daemon. It opens nothing itself: files arrive as descriptors.
"""

from __future__ import annotations

import datetime as dt
import gc
import os
import resource
import socket
import sys
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pixlsrve.index import frames, sandbox
from pixlsrve.index.metadata import read_facts
from pixlsrve.media.decode.content import Form, make_content, render
from pixlsrve.media.decode.hashing import hash_only
from pixlsrve.media.decode.limits import MIB, Limits, NeedsMemory, Undecodable
from pixlsrve.model import Content, Facts, Refusal

_RECEIVE_BYTES = 256 << 10
_BASE_BYTES = 32 * MIB
"""What a process takes before any job, beside what decoding may take."""

_UNREADABLE = Refusal(reason="unreadable", message="The file could not be read to its end.")
_OUT_OF_MEMORY = Refusal(reason="out_of_memory", message="Reading the file takes more memory than a worker may use.")


def main() -> int:
    """Serve the socket at standard input; 0 when it closes."""
    with socket.socket(fileno=0) as connection:
        settings = frames.read_settings(_receive(connection)[0])
        worker = _Worker(settings)
        connection.sendall(frames.frame(frames.Ready(sandbox.enter(settings.memory_mb * MIB + _BASE_BYTES))))
        # What is loaded by now lives as long as the process: the collector need not look at it again.
        gc.freeze()
        while True:
            body, files = _receive(connection)
            if not body:
                return 0
            answer, extra = worker.do(frames.read_job.decode(body), files)
            connection.sendall(frames.frame(answer))
            if extra:
                connection.sendall(extra)
            if isinstance(answer, frames.Refused) and answer.refusal.reason == "out_of_memory":
                return 0  # libraries that ran out of memory halfway are not trusted with the next file


def _receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    """One frame's body and the descriptors beside it; empty at the end of the stream."""
    data, files, _, _ = socket.recv_fds(connection, _RECEIVE_BYTES, frames.MAX_FILES)
    while 0 < len(data) < 4 or len(data) - 4 < int.from_bytes(data[:4], "big"):
        more = connection.recv(_RECEIVE_BYTES) if data else b""
        if not more:
            return b"", files
        data += more
    return data[4:], files


class _Worker:
    """Does jobs. Everything a job may raise becomes an answer; a crash is the daemon's to see."""

    def __init__(self, settings: frames.Settings) -> None:
        self._settings = settings
        try:
            self._zone: dt.tzinfo = ZoneInfo(settings.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self._zone = dt.UTC
        # Opened before the sandbox closes the file system.
        self._statm = Path("/proc/self/statm").open("rb", buffering=0) if sys.platform == "linux" else None  # noqa: SIM115
        warnings.simplefilter("ignore")

    def do(self, job: frames.Job, descriptors: list[int]) -> tuple[frames.Answer, bytes]:
        """The answer to one job, and the bytes that follow it. The descriptors are closed."""
        with ExitStack() as stack:
            for fd in descriptors:
                stack.callback(os.close, fd)
            sandbox.limit_cpu(job.seconds)
            try:
                files: list[BinaryIO] = [open(fd, "rb", buffering=0, closefd=False) for fd in descriptors]  # noqa: SIM115 - closed by the stack
                return self._answer(job, files)
            except NeedsMemory as error:
                return frames.NeedsMore(error.estimate_bytes, self._rss_bytes()), b""
            except Undecodable as error:
                return self._refuse(error.refusal)
            except MemoryError:
                return self._refuse(_OUT_OF_MEMORY)
            except OSError:
                return self._refuse(_UNREADABLE)

    def _answer(self, job: frames.Job, files: list[BinaryIO]) -> tuple[frames.Answer, bytes]:
        if isinstance(job, frames.ReadFacts):
            pairs = zip(files, job.names, strict=True)
            items = [self._facts_of(file, name) for file, name in pairs]
            return frames.AllFacts(items, self._rss_bytes()), b""
        (file,) = files
        if isinstance(job, frames.HashFile):
            digest, size = hash_only(file)
            return frames.Whole(Content(sha256=digest, size_bytes=size), self._rss_bytes()), b""
        if isinstance(job, frames.ReadContent):
            return frames.Whole(self._content(job, file), self._rss_bytes()), b""
        form = self._form(file, job.name)
        if isinstance(form, Refusal):
            return self._refuse(form)
        data = render(file, form, self._limits(job.memory_bytes))
        return frames.Rendered(len(data), self._rss_bytes()), data

    def _content(self, job: frames.ReadContent, file: BinaryIO) -> Content:
        form = self._form(file, job.name)
        if isinstance(form, Refusal):
            digest, size = hash_only(file)
            return Content(sha256=digest, size_bytes=size, refusal=form)
        return make_content(file, form, self._limits(job.memory_bytes))

    def _limits(self, memory_bytes: int) -> Limits:
        return Limits(max_pixels=self._settings.max_pixels, memory_bytes=memory_bytes)

    def _form(self, file: BinaryIO, name: str) -> Form | Refusal:
        facts = self._facts(file, name)
        if isinstance(facts, Refusal):
            return facts
        pixels = (facts.width_px or 0) * (facts.height_px or 0)
        return Form(kind=facts.kind, format=facts.format, orientation=facts.orientation, pixels=pixels)

    def _facts_of(self, file: BinaryIO, name: str) -> frames.FactsOf:
        facts = self._facts(file, name)
        return frames.FactsOf(refusal=facts) if isinstance(facts, Refusal) else frames.FactsOf(facts=facts)

    def _facts(self, file: BinaryIO, name: str) -> Facts | Refusal:
        file.seek(0)
        return read_facts(file, name, zone=self._zone, max_pixels=self._settings.max_pixels)

    def _refuse(self, refusal: Refusal) -> tuple[frames.Answer, bytes]:
        return frames.Refused(refusal, self._rss_bytes()), b""

    def _rss_bytes(self) -> int:
        """Resident memory now; where the system does not say, the most there ever was."""
        if self._statm is not None:
            self._statm.seek(0)
            return int(self._statm.read().split()[1]) * resource.getpagesize()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.exit(main())
