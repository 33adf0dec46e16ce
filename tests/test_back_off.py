"""A service that keeps failing tries ever more rarely, and at once again after somebody has looked at it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pixlsrve import back_off


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    return []


def _fail(sleep: Callable[[float], object]) -> None:
    with pytest.raises(ZeroDivisionError), back_off.paced(sleep):
        raise ZeroDivisionError


def test_pauses_grow_to_five_minutes(slept: list[float]) -> None:
    """The first starts are free, each further one after a failure waits twice as long, never longer than 5 minutes."""
    for _ in range(12):
        _fail(slept.append)
    assert slept == [4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_good_end_is_a_new_beginning(slept: list[float]) -> None:
    """A daemon that was stopped in order starts at once."""
    for _ in range(4):
        _fail(slept.append)
    with back_off.paced(slept.append):
        pass
    _fail(slept.append)
    assert slept == [4, 8]


def test_a_stop_while_waiting_is_a_new_beginning(slept: list[float], tmp_path: Path) -> None:
    """Whoever stops a daemon that waits, and starts it, does not wait."""

    def told_to_stop(_: float) -> None:
        raise SystemExit(0)

    for _ in range(3):
        _fail(slept.append)
    with pytest.raises(SystemExit), back_off.paced(told_to_stop):
        pass
    _fail(slept.append)
    assert slept == []


def test_what_is_long_past_is_forgotten(slept: list[float], tmp_path: Path) -> None:
    """A failure a day does not add up, and a file with something else in it is none."""
    for _ in range(3):
        _fail(slept.append)
    long_ago = time.time() - 2 * back_off.FORGET_S
    os.utime(tmp_path / back_off.FILE, (long_ago, long_ago))
    _fail(slept.append)
    (tmp_path / back_off.FILE).write_text("x")
    _fail(slept.append)
    assert slept == []


def test_outside_of_a_service_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand it starts at once, however often."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    with back_off.paced(lambda _: pytest.fail("it waited")):
        pass
