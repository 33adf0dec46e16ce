"""Logins on their way: one-time, ten minutes, of one browser (THREATS T12)."""

from __future__ import annotations

import pytest

from pixlsrve.auth.social.logins import LIFETIME_S, MOST_BEGUN, Logins
from pixlsrve.errors import InvalidInput, Unavailable
from tests.auth.kit import FakeTime

URI = "http://localhost/accounts/google/login/callback/"


def test_taken_once_by_its_browser() -> None:
    """T12: a login is finished once, by the browser and at the provider that it was begun with."""
    logins = Logins(FakeTime().monotonic)
    for provider, browser in (("google", "another"), ("facebook", None), ("google", "")):
        attempt, cookie = logins.begin("google", URI, None)
        with pytest.raises(InvalidInput):
            logins.take(provider, attempt.state, cookie if browser is None else browser)
        with pytest.raises(InvalidInput):
            logins.take("google", attempt.state, cookie)
    attempt, cookie = logins.begin("google", URI, "invitation")
    assert logins.take("google", attempt.state, cookie).invite == "invitation"
    with pytest.raises(InvalidInput):
        logins.take("google", attempt.state, cookie)


def test_over_after_ten_minutes() -> None:
    """T12: what was begun ten minutes ago is over."""
    now = FakeTime()
    logins = Logins(now.monotonic)
    early, late = logins.begin("google", URI, None), logins.begin("google", URI, None)
    now.pass_s(LIFETIME_S - 1)
    assert logins.take("google", early[0].state, early[1])
    now.pass_s(1)
    with pytest.raises(InvalidInput):
        logins.take("google", late[0].state, late[1])


def test_bounded() -> None:
    """However many begin, memory stays bounded; room returns when they are over."""
    now = FakeTime()
    logins = Logins(now.monotonic)
    for _ in range(MOST_BEGUN):
        logins.begin("google", URI, None)
    with pytest.raises(Unavailable):
        logins.begin("google", URI, None)
    now.pass_s(LIFETIME_S)
    logins.begin("google", URI, None)
