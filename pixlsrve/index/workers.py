"""The pool of worker processes, seen from the daemon: queues, priorities, memory, deadlines, retries."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from pixlsrve.errors import Unavailable
from pixlsrve.index import frames
from pixlsrve.index.process import Crashed, Process, TimedOut
from pixlsrve.media.decode.limits import MIB, too_much_memory
from pixlsrve.model import Content, Facts, Refusal

log = structlog.get_logger(__name__)

IDLE_S = 20.0
"""After this long without work a process is ended: an idle daemon has none."""

JOBS_PER_PROCESS = 10_000
"""A start costs as much as decoding a dozen photos; what leaks shows in the memory, which has its own limit."""
MAX_RSS_BYTES = 96 * MIB
"""A process that is larger than this after a job is ended, for libraries keep what they once took."""

LIGHT_BYTES = 48 * MIB
"""What a decoder may use beside other jobs: a 12-megapixel picture decoded whole. More runs alone."""

SLOWEST_BYTES_PER_S = 4e6
"""A disk or network share slower than this is too slow to index; a job's deadline grows with its file."""

FACTS_SECONDS = 10.0
QUEUE_LENGTH = 256

_CRASHED = Refusal(reason="crashed", message="Reading the file ended the worker process twice.")
_TOO_SLOW = Refusal(reason="too_slow", message="Reading the file took longer than a worker may take.")
_UNREADABLE = Refusal(reason="unreadable", message="The file could not be read.")


@dataclass(eq=False)
class _Task:
    """A job in a queue, and who waits for it."""

    job: frames.Job
    files: list[int]
    is_heavy: bool = False
    done: asyncio.Future[frames.Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class WorkerPool:
    """Runs jobs on files in sandboxed processes (index/sandbox.py), `workers` at once.

    One more process serves interactive jobs only, while all others are busy. Interactive jobs go before background
    ones; a job that needs much memory waits until it can run alone. QUEUE_LENGTH jobs of each kind may wait; further
    callers wait for a place. A caller may be cancelled at any time; its job then is not begun, or its result dropped.
    Every call raises Unavailable where no process can be started, and is cancelled when the pool stops.
    """

    def __init__(self, *, workers: int, memory_mb: int, seconds: float, max_pixels: int, zone: str) -> None:
        """`workers` at least 1; `memory_mb` and `seconds` are what one file may take, beside reading its bytes."""
        self._settings = frames.Settings(memory_mb=memory_mb, max_pixels=max_pixels, zone=zone)
        self._workers = workers
        self._seconds = seconds
        self._heavy_bytes = max(LIGHT_BYTES, memory_mb * MIB)
        self._queues: dict[bool, deque[_Task]] = {True: deque(), False: deque()}
        self._heavy: deque[_Task] = deque()
        self._places = {True: asyncio.Semaphore(QUEUE_LENGTH), False: asyncio.Semaphore(QUEUE_LENGTH)}
        self._changed = asyncio.Condition()
        self._active = 0
        self._is_heavy_running = False
        self._processes: set[Process] = set()
        self.sandbox_report: dict[str, str] = {}
        """What the last started process said is in force; empty until one was started."""
        self._trouble = ""

    @property
    def pids(self) -> list[int]:
        """The process ids of the running workers."""
        return [process.pid for process in self._processes]

    @property
    def active(self) -> int:
        """How many jobs run just now."""
        return self._active

    async def run(self) -> None:
        """Serve jobs until cancelled; then end the processes and cancel what waits."""
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._workers + 1):
                    only_interactive = number == self._workers
                    group.create_task(self._serve(only_interactive=only_interactive), name=f"worker-{number}")
        finally:
            for process in list(self._processes):  # those whose ending was interrupted
                await process.end()
            self._processes.clear()
            for queue in (*self._queues.values(), self._heavy):
                while queue:
                    queue.popleft().done.cancel()

    async def read_facts(self, items: Sequence[tuple[int, str]], *, interactive: bool = False) -> list[Facts | Refusal]:
        """Facts of open files (descriptor, base name), in order.

        The descriptors stay the caller's; each serves one job at a time, for its reading position is shared.

        Files go in batches; if a batch ends its process, each of its files is tried alone, so that only the guilty one
        is refused (`crashed` or `too_slow`).
        """
        results: list[Facts | Refusal] = []
        for start in range(0, len(items), frames.MAX_FILES):
            results += await self._facts_batch(items[start : start + frames.MAX_FILES], interactive)
        return results

    async def _facts_batch(self, items: Sequence[tuple[int, str]], interactive: bool) -> list[Facts | Refusal]:
        job = frames.ReadFacts([_text(name) for _, name in items], min(self._seconds, FACTS_SECONDS))
        answer = await self._submit(job, [fd for fd, _ in items], interactive, attempts=2 if len(items) == 1 else 1)
        if isinstance(answer, frames.AllFacts) and len(answer.items) == len(items):
            return [item.facts or item.refusal or _UNREADABLE for item in answer.items]
        if len(items) == 1:
            return [answer.refusal if isinstance(answer, frames.Refused) else _CRASHED]
        return [(await self._facts_batch([item], interactive))[0] for item in items]

    async def read_content(self, fd: int, name: str, *, interactive: bool = False) -> Content | Refusal:
        """Hash of all bytes, thumbnails and thumbhash of an open file, in one reading.

        A file that cannot be decoded gives its hash and a refusal in the content; one that cannot even be read gives
        the refusal alone.
        """
        seconds = self._deadline(fd)
        job = frames.ReadContent(_text(name), LIGHT_BYTES, seconds)
        answer = await self._submit(job, [fd], interactive)
        if isinstance(answer, frames.NeedsMore) and answer.estimate_bytes <= self._heavy_bytes:
            job = frames.ReadContent(_text(name), self._heavy_bytes, seconds)
            answer = await self._submit(job, [fd], interactive, is_heavy=True)
        if isinstance(answer, frames.Whole):
            return answer.content
        refusal = _refusal(answer)
        if refusal.reason == "unreadable":
            return refusal
        hashed = await self.hash_only(fd, interactive=interactive)
        if isinstance(hashed, Refusal):
            return hashed
        return Content(sha256=hashed.sha256, size_bytes=hashed.size_bytes, refusal=refusal)

    async def hash_only(self, fd: int, *, interactive: bool = False) -> Content | Refusal:
        """SHA-256 and size of an open file, nothing decoded."""
        answer = await self._submit(frames.HashFile(self._deadline(fd)), [fd], interactive)
        return answer.content if isinstance(answer, frames.Whole) else _refusal(answer)

    async def render(self, fd: int, name: str) -> bytes | Refusal:
        """The open file's picture as a JPEG at full size."""
        job = frames.Render(_text(name), self._heavy_bytes, self._deadline(fd))
        answer = await self._submit(job, [fd], interactive=True, is_heavy=True, attempts=1)
        return answer.picture if isinstance(answer, frames.Rendered) else _refusal(answer)

    def _deadline(self, fd: int) -> float:
        try:
            return self._seconds + os.fstat(fd).st_size / SLOWEST_BYTES_PER_S
        except OSError:
            return self._seconds

    async def _submit(
        self,
        job: frames.Job,
        files: list[int],
        interactive: bool,
        *,
        is_heavy: bool = False,
        attempts: int = 2,
    ) -> frames.Answer:
        """The job's answer; a crash is tried again, a deadline is not. Failures are answers of kind Refused."""
        async with self._places[interactive]:
            for _ in range(attempts):
                task = _Task(job, files, is_heavy)
                async with self._changed:
                    (self._heavy if is_heavy else self._queues[interactive]).append(task)
                    self._changed.notify_all()
                try:
                    return await task.done
                except TimedOut:
                    return frames.Refused(_TOO_SLOW, 0)
                except Crashed:
                    continue
                except OSError:
                    return frames.Refused(_UNREADABLE, 0)
        return frames.Refused(_CRASHED, 0)

    async def _serve(self, *, only_interactive: bool) -> None:
        """One place of the pool: takes tasks and keeps a process for them while there are any."""
        process: Process | None = None
        try:
            while True:
                task = await self._next(only_interactive, process)
                if task is None:
                    await self._end(process)
                    process = None
                    continue
                try:
                    process = await self._perform(task, process)
                finally:
                    await self._finished(task)
        finally:
            await self._end(process)

    async def _next(self, only_interactive: bool, process: Process | None) -> _Task | None:
        """The next task for this place; None when its process should be ended."""
        picked: list[_Task] = []

        def has_reason() -> bool:
            if task := self._pick(only_interactive):
                picked.append(task)
            return bool(picked) or (self._is_heavy_running and process is not None)

        async with self._changed:
            try:
                async with asyncio.timeout(IDLE_S if process else None):
                    await self._changed.wait_for(has_reason)
            except TimeoutError:
                return None
            if not picked:
                return None
            self._active += 1
            self._is_heavy_running = self._is_heavy_running or picked[0].is_heavy
            if picked[0].is_heavy:
                self._changed.notify_all()  # the others' idle processes make room
            return picked[0]

    def _pick(self, only_interactive: bool) -> _Task | None:
        for queue in (*self._queues.values(), self._heavy):
            while queue and queue[0].done.done():
                queue.popleft()  # its caller has gone
        if self._queues[True]:
            return self._queues[True].popleft()
        if only_interactive or self._is_heavy_running:
            return None
        if self._heavy:  # nothing new begins before it, or it would wait for ever
            return self._heavy.popleft() if not self._active else None
        return self._queues[False].popleft() if self._queues[False] else None

    async def _finished(self, task: _Task) -> None:
        async with self._changed:
            self._active -= 1
            if task.is_heavy:
                self._is_heavy_running = False
            self._changed.notify_all()

    async def _perform(self, task: _Task, process: Process | None) -> Process | None:
        """Do the task; returns the process if it may be used again."""
        try:
            if process is None:
                process = await self._start()
            answer = await process.ask(task.job, task.files)
        except (Crashed, TimedOut, Unavailable, OSError) as error:
            if not task.done.done():
                task.done.set_exception(error)
            await self._end(process)
            return None
        except BaseException:
            task.done.cancel()
            await self._end(process)  # it may have been started just now, and nobody else knows it
            raise
        if not task.done.done():
            task.done.set_result(answer)
        if process.jobs >= JOBS_PER_PROCESS or answer.rss_bytes > MAX_RSS_BYTES or _is_spent(answer):
            await self._end(process)
            return None
        return process

    def notices(self) -> list[dict[str, str]]:
        """What is wrong, with its remedy."""
        if not self._trouble:
            return []
        return [
            {
                "message": f"Photos can't be read: {self._trouble}",
                "remedy": "It is tried again by itself. If it stays so, end other programs (`pixlsrve doctor` looks at "
                "the memory), or start the service anew.",
            }
        ]

    async def _start(self) -> Process:
        try:
            process = await Process.start(self._settings)
        except Unavailable as error:
            if not self._trouble:
                log.error("photos can't be read", cause=error.message)
            self._trouble = error.message
            raise
        self._trouble = ""
        self._processes.add(process)
        self.sandbox_report = process.sandbox
        return process

    async def _end(self, process: Process | None) -> None:
        if process is not None:
            await process.end()
            self._processes.discard(process)


def _is_spent(answer: frames.Answer) -> bool:
    return isinstance(answer, frames.Refused) and answer.refusal.reason == "out_of_memory"


def _refusal(answer: frames.Answer) -> Refusal:
    if isinstance(answer, frames.Refused):
        return answer.refusal
    if isinstance(answer, frames.NeedsMore):
        return too_much_memory(answer.estimate_bytes).refusal
    return _CRASHED


def _text(name: str) -> str:
    """The name without what MessagePack cannot carry: bytes that are not UTF-8 come as lone surrogates."""
    return name.encode("utf-8", "replace").decode()
