"""Passwords: every byte counts, nothing crashes, an unknown name costs the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import bcrypt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pixlsrve.auth.passwords import AT_ONCE, LONGEST, MOST_WAITING, Hasher, check_new, prepare
from pixlsrve.errors import InvalidInput, RateLimited


@pytest.fixture
def hasher() -> Iterator[Hasher]:
    made = Hasher(4)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x" * 72 + "a", "x" * 72 + "b"),
        ("secret\0one", "secret\0two"),
        ("Passwort1", "passwort1"),
        ("password ", "password"),
        ("x" * 1_023 + "a", "x" * 1_023 + "b"),
    ],
    ids=["73rd byte", "after NUL", "case", "space", "last character"],
)
async def test_every_character_counts(hasher: Hasher, one: str, other: str) -> None:
    """T3: passwords that differ anywhere are different passwords."""
    padded = one.ljust(8, "!")
    hashed = await hasher.hash(padded)
    assert await hasher.verify(padded, hashed)
    assert not await hasher.verify(other.ljust(8, "!"), hashed)


async def test_two_ways_to_type_one_password_are_one(hasher: Hasher) -> None:
    """T3: NFKC: what looks the same and is typed on another keyboard is the same password."""
    hashed = await hasher.hash("pa\u0308sswo\uff52d")
    assert await hasher.verify("p\u00e4ssword", hashed)


@pytest.mark.parametrize("password", ["", "1234567", "\u0041\u030a" * 7, "x" * 1_025, "x" * 100_000])
async def test_bad_new_passwords_are_refused(hasher: Hasher, password: str) -> None:
    """T3: 8 to 1,024 characters, said in a sentence that names the field."""
    with pytest.raises(InvalidInput) as caught:
        await hasher.hash(password)
    assert caught.value.details["parameter"] == "password"


async def test_too_long_ones_are_just_wrong(hasher: Hasher) -> None:
    """T3: more than 1,024 characters never match, even where the first 1,024 do."""
    hashed = await hasher.hash("x" * LONGEST)
    assert await hasher.verify("x" * LONGEST, hashed)
    assert not await hasher.verify("x" * (LONGEST + 1), hashed)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(), max_size=40))
def test_no_text_breaks_it(password: str) -> None:
    """T3: whatever is sent, surrogates and NUL included, is a password or refused in words."""
    prepared = prepare(password)
    assert len(prepared) == 44
    assert b"\0" not in prepared
    try:
        check_new(password)
    except InvalidInput:
        return
    assert bcrypt.checkpw(prepared, bcrypt.hashpw(prepared, bcrypt.gensalt(4)))


async def test_unknown_names_do_the_same_work(hasher: Hasher) -> None:
    """T4: without a hash one of the same cost is computed, and the answer is no."""
    assert hasher._dummy.startswith(b"$2b$04$")
    assert not await hasher.verify("anything", None)
    assert not hasher.is_outdated(hasher._dummy.decode())
    assert hasher.is_outdated(hasher._dummy.decode().replace("$04$", "$05$"))


@pytest.fixture
async def slow() -> AsyncIterator[Hasher]:
    made = Hasher(11)
    yield made
    made.close()


async def test_a_flood_is_refused(slow: Hasher) -> None:
    """T4: at most two hashes run, some wait, the rest is told to come back."""
    calls = [asyncio.ensure_future(slow.verify("x", None)) for _ in range(AT_ONCE + MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited):
        await slow.verify("x", None)
    assert len(slow._threads._threads) <= AT_ONCE
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
