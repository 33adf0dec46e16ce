"""Passwords: how they are prepared, hashed and compared (THREATS T3, T4)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import sys
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import bcrypt

from pixlsrve.errors import InvalidInput, RateLimited

LONGEST = 1_024
SHORTEST = 8
COST = 11
"""bcrypt's logarithm of rounds: a tenth of a second on a desktop, about a second on the smallest computers."""
AT_ONCE = 2
MOST_WAITING = 16
_PATIENCE = 10
_NOBODYS = b"." * 31
"""The rest of a hash that no known password has: zeros, behind a salt of their own, cost as much to compare with."""
T = TypeVar("T")


def prepare(password: str) -> bytes:
    """What bcrypt gets: NFKC, hashed and in base64, so that every byte of it counts, the 73rd and NUL too."""
    normal = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    return base64.b64encode(hashlib.sha256(normal).digest())


def check_new(password: str) -> None:
    """Raises InvalidInput when this can't become a password."""
    if len(unicodedata.normalize("NFKC", password[: LONGEST + 1])) < SHORTEST:
        raise InvalidInput(
            f"A password has at least {SHORTEST} characters.", reason="password_too_short", parameter="password"
        )
    if len(password) > LONGEST:
        raise InvalidInput(
            f"A password has at most {LONGEST} characters.", reason="password_too_long", parameter="password"
        )


class Hasher:
    """Hashes in two threads at a time; those that come while many wait are refused."""

    def __init__(self, cost: int = COST) -> None:
        self._cost = cost
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="password", initializer=_be_patient)
        self._waiting = 0
        self._dummy = bcrypt.gensalt(cost) + _NOBODYS

    async def hash(self, password: str) -> str:
        """The hash to store. Raises InvalidInput for what can't become a password, RateLimited."""
        check_new(password)
        return await self.hash_again(password)

    async def hash_again(self, password: str) -> str:
        """The hash of a password that is in use already, whatever today's rules for new ones. Raises RateLimited."""
        salt = bcrypt.gensalt(self._cost)
        return (await self._run(bcrypt.hashpw, prepare(password), salt)).decode()

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether this is the password behind `hashed`; None costs the same and is never right. Raises RateLimited."""
        known = self._dummy if hashed is None else hashed.encode()
        prepared = prepare(password[: LONGEST + 1])
        is_right = await self._run(bcrypt.checkpw, prepared, known)
        return is_right and hashed is not None and len(password) <= LONGEST

    def is_outdated(self, hashed: str) -> bool:
        """Whether the hash was made with another cost than today's."""
        return not hashed.startswith(f"$2b${self._cost:02}$")

    def close(self) -> None:
        """End the threads; those that wait get no answer."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, function: Callable[[bytes, bytes], T], prepared: bytes, other: bytes) -> T:
        """Run in a thread when one is free. Raises RateLimited."""
        if self._waiting >= AT_ONCE + MOST_WAITING:
            raise RateLimited("Too many people sign in just now; try again in a moment.", retry_after_s=5)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, prepared, other)
        finally:
            self._waiting -= 1


def _be_patient() -> None:
    """Let everything else on this computer run before this thread; only Linux counts threads singly."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _PATIENCE)
