"""The order of dates."""

from __future__ import annotations

import contextlib
import sqlite3

from pixlsrve.store.date_key import date_key, first_key, last_key, sort_us_sql


def test_keys_order_as_moments_do_and_fit_sqlite() -> None:
    """Earlier moments have lower keys, from before 1823 to after 2380, all within 63 bits."""
    day = 86_400_000_000
    moments = [-90_000 * day, -53_000 * day, -1_000, 0, 1_000, day, 150_000 * day, 200_000 * day]
    keys = [first_key(moment) for moment in moments]
    assert keys == sorted(keys)
    assert 0 <= keys[0] < last_key(moments[-1]) < 2**63


def test_a_key_lies_within_its_millisecond() -> None:
    """A key says its millisecond again, whatever its number."""
    at_us = 1_689_431_400_123_000
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        for number in (0, 1, 2**19 - 1, 2**40 + 5):
            assert first_key(at_us) <= date_key(at_us, number) <= last_key(at_us)
            found = database.execute(f"SELECT {sort_us_sql('?')}", (date_key(at_us, number),)).fetchone()
            assert found == (at_us,)
    assert last_key(at_us) < first_key(at_us + 1_000)
