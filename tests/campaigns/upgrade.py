"""Kill an upgrade at every statement and at random system calls; each time the next start must come up with everything.

    python -m tests.campaigns.upgrade --random 200 [--seed N]

prints one JSON object. States of every older schema, with rows in every table, are brought to the newest by the same
code as at a daemon's start. One kind of cut comes right before each SQL statement, file opened, renamed or removed; the
other is a SIGKILL that strace sends at a random system call that changes a file. After each cut, by turns: the next
start comes up, or it fails too and the older state is back byte for byte of its rows.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import structlog

from pixlsrve.store import upgrade
from pixlsrve.store.migrate import statements_of
from pixlsrve.store.recovery import INDEX, STATE, THUMBNAILS, prepare
from tests.store.released.generate import build, rows_of

CALLS = "pwrite64,write,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,ftruncate,fchmod,mkdir"
_UPGRADE = """
import sys
from pathlib import Path
from pixlsrve.store.recovery import prepare
prepare(Path(sys.argv[1]))
"""
_EVENTS = ("open", "os.rename", "os.remove", "os.truncate", "os.mkdir")


@dataclass
class Report:
    """What the campaign found."""

    schemas: list[int] = field(default_factory=list)
    cuts_at_steps: int = 0
    cuts_at_system_calls: int = 0
    came_up: int = 0
    went_back: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    seed: int = 0

    @property
    def is_sound(self) -> bool:
        """Whether every start came up, or went back, and nothing was lost."""
        return not self.failures


class Campaign:
    """Templates of older states, and the cuts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self.report = Report(schemas=list(range(1, len(statements_of("state")))))
        self._templates: dict[int, Path] = {}
        for version in self.report.schemas:
            template = self._templates[version] = folder / f"state-{version}"
            template.mkdir()
            build(template / STATE, "state", version)
            build(template / INDEX, "index", 1)
            build(template / THUMBNAILS, "thumbnails", 1)

    def cut_at_every_step(self, version: int, *, every: int = 1) -> None:
        """One cut before each step of this upgrade."""
        step = 0
        while True:
            data_dir = self._copy(version)
            if not _is_killed_at(data_dir, step):
                shutil.rmtree(data_dir)
                return
            self.report.cuts_at_steps += 1
            self._look(data_dir, version, f"step {step} of schema {version}", comes_up=step % 2 == 0)
            step += every

    def cut_at_system_call(self, version: int, number: int) -> bool:
        """One cut at the n-th system call that changes a file; whether there are that many."""
        data_dir = self._copy(version)
        command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={CALLS}"]
        command += ["-e", f"inject={CALLS}:signal=SIGKILL:when={number}"]
        ended = subprocess.run([*command, sys.executable, "-B", "-c", _UPGRADE, str(data_dir)], check=False)
        if ended.returncode == 0:
            shutil.rmtree(data_dir)
            return False
        if ended.returncode not in (-signal.SIGKILL, 128 + signal.SIGKILL):
            raise AssertionError(f"the upgrade of {data_dir} failed by itself")
        self.report.cuts_at_system_calls += 1
        self._look(data_dir, version, f"system call {number} of schema {version}", comes_up=number % 2 == 0)
        return True

    def _copy(self, version: int) -> Path:
        self._number += 1
        return shutil.copytree(self._templates[version], self._folder / f"cut-{self._number}")

    def _look(self, data_dir: Path, version: int, where: str, *, comes_up: bool) -> None:
        """The next start, and what is there then."""
        wanted = rows_of(self._templates[version] / STATE)
        try:
            prepared = prepare(data_dir)
            if prepared.repairs:
                self.report.failures.append(f"{where}: {prepared.repairs}")
            if comes_up:
                prepared.keep()
                self.report.came_up += 1
            elif prepared.upgrade.is_pending:
                prepared.take_back("the campaign wants it")
                self.report.went_back += 1
            if (data_dir / upgrade.MARK).exists():
                self.report.failures.append(f"{where}: the upgrade does not end")
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what the campaign looks for
            self.report.failures.append(f"{where}: {error}")
            return
        lost = _lost(wanted, rows_of(data_dir / STATE))
        if lost:
            self.report.failures.append(f"{where}: lost {lost[:2]}")
        shutil.rmtree(data_dir)


def _lost(wanted: dict[str, list[tuple[object, ...]]], found: dict[str, list[tuple[object, ...]]]) -> list[object]:
    """Rows that are not there any more; columns may have been added."""
    lost: list[object] = []
    for table, rows in wanted.items():
        there = [set(row) for row in found.get(table, [])]
        lost += [(table, row) for row in rows if not any(set(row) <= other for other in there)]
    return lost


def _is_killed_at(data_dir: Path, step: int) -> bool:
    """Run the upgrade in a child that ends at a step; whether it came to that."""
    child = os.fork()
    if child == 0:
        _upgrade_until(data_dir, step)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    if os.WEXITSTATUS(status):
        raise AssertionError(f"the upgrade of {data_dir} failed by itself")
    return False


def _upgrade_until(data_dir: Path, step: int) -> None:
    """Kill this process before the step with this number, else end it with 0; never returns."""
    left = step
    mine = str(data_dir)

    def count(_: object = None) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    def listen(event: str, arguments: tuple[object, ...]) -> None:
        if event in _EVENTS and mine in str(arguments[0]):
            count()

    connect = sqlite3.connect

    def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_trace_callback(count)
        return connection

    try:
        sqlite3.connect = traced  # type: ignore[assignment]  # in this child only, which ends here
        sys.addaudithook(listen)
        prepare(data_dir)
        os._exit(0)
    except BaseException:  # noqa: BLE001  # a child must not go on as its parent would
        os._exit(1)


def run(random_cuts: int, seed: int, every: int = 1) -> Report:
    """Each `every`-th step of every schema, then random system calls."""
    began_s = time.monotonic()
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="pixlsrve-upgrade-") as folder:
        campaign = Campaign(Path(folder))
        report = campaign.report
        report.seed = seed
        for version in report.schemas:
            campaign.cut_at_every_step(version, every=every)
        most = dict.fromkeys(report.schemas, 2_000)
        while report.cuts_at_system_calls < random_cuts:
            version = dice.choice(report.schemas)
            number = dice.randint(1, most[version])
            if not campaign.cut_at_system_call(version, number):
                most[version] = min(most[version], number)
        report.seconds = round(time.monotonic() - began_s, 1)
    return report


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--random", type=int, default=100, help="cuts at random system calls")
    parser.add_argument("--every", type=int, default=1, help="leave out the steps between")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    report = run(options.random, options.seed, options.every)
    print(json.dumps({**asdict(report), "is_sound": report.is_sound}))
    return 0 if report.is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
