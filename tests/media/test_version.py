"""Answers that are remembered until the library changes."""

from __future__ import annotations

import asyncio

import pytest

from pixlsrve.media.version import CHEAP_S, PATIENCE, LibraryVersion, VersionedCache


class Clock:
    """A clock that moves when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Source:
    """Counts how often it is asked; each answer takes `takes_s` on the clock."""

    def __init__(self, clock: Clock, takes_s: float = 0.0) -> None:
        self.clock, self.takes_s, self.calls = clock, takes_s, 0

    async def __call__(self) -> int:
        self.calls += 1
        self.clock.now += self.takes_s
        await asyncio.sleep(0)
        return self.calls


async def test_answers_last_until_the_library_changes() -> None:
    """A cheap answer is given again until the version grows, and never after."""
    clock, version = Clock(), LibraryVersion()
    cache: VersionedCache[int] = VersionedCache(version, 2, clock=clock)
    source = Source(clock)
    assert [await cache.get("a", source), await cache.get("a", source)] == [1, 1]
    version.bump()
    assert await cache.get("a", source) == 2


async def test_dear_answers_last_a_little_longer() -> None:
    """While the library changes, an answer that took long is given again for some time, and then is not."""
    clock, version = Clock(), LibraryVersion()
    cache: VersionedCache[int] = VersionedCache(version, 2, clock=clock)
    source = Source(clock, takes_s=2 * CHEAP_S)
    await cache.get("a", source)
    version.bump()
    assert await cache.get("a", source) == 1
    clock.now += 2 * CHEAP_S * PATIENCE + 0.01
    assert await cache.get("a", source) == 2


async def test_equal_questions_at_once_are_answered_once() -> None:
    """Many callers of one question share one answer; a caller that leaves takes nobody along."""
    clock, version = Clock(), LibraryVersion()
    cache: VersionedCache[int] = VersionedCache(version, 2, clock=clock)
    source = Source(clock)
    leaving = asyncio.create_task(cache.get("a", source))
    waiting = [asyncio.create_task(cache.get("a", source)) for _ in range(5)]
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert set(await asyncio.gather(*waiting)) == {2}
    assert source.calls == 2


async def test_a_change_during_the_answer_counts() -> None:
    """An answer is as old as its beginning."""
    version = LibraryVersion()
    cache: VersionedCache[int] = VersionedCache(version, 2, clock=Clock())
    calls = 0

    async def compute() -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            version.bump()
        return calls

    assert [await cache.get("a", compute), await cache.get("a", compute)] == [1, 2]


async def test_the_least_recently_used_answer_goes() -> None:
    """No more than `size` answers are kept."""
    clock = Clock()
    cache: VersionedCache[int] = VersionedCache(LibraryVersion(), 2, clock=clock)
    source = Source(clock)
    for key in ("a", "b", "a", "c", "a"):
        await cache.get(key, source)
    assert source.calls == 3
    await cache.get("b", source)
    assert source.calls == 4
