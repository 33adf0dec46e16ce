"""Rate limits and where requests come from (THREATS T31)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlsrve.config import RateLimitsConfig
from pixlsrve.errors import ConfigError
from pixlsrve.http import routing
from pixlsrve.http.limits import (
    Rate,
    RateLimiter,
    Verdict,
    address_key,
    client_address,
    parse_networks,
    parse_rate,
)


class Clock:
    """A monotonic and a wall clock that move only when told to."""

    def __init__(self, wall_s: float = 1_703_649_540.25) -> None:
        self.monotonic_s = 12_345.678
        self.wall_s = wall_s

    def advance(self, seconds: float) -> None:
        self.monotonic_s += seconds
        self.wall_s += seconds

    def limiter(self, recent_sources: int = 8, **rates: str) -> RateLimiter:
        return RateLimiter(
            RateLimitsConfig(**rates),
            clock=lambda: self.monotonic_s,
            wall=lambda: self.wall_s,
            recent_sources=recent_sources,
            auth_sources=8,
        )


def hit(limiter: RateLimiter, name: str, key: str) -> Verdict:
    verdict = limiter.check(name, key)
    assert verdict is not None
    return verdict


def test_check_allows_the_limit_and_counts_down() -> None:
    """A limit of N lets N requests pass with Remaining N-1 to 0, then refuses until the reset."""
    clock = Clock()
    limiter = clock.limiter(photos="3/minute")
    passed = [hit(limiter, "photos", "a") for _ in range(3)]
    assert [(verdict.is_allowed, verdict.limit, verdict.remaining) for verdict in passed] == [
        (True, 3, 2),
        (True, 3, 1),
        (True, 3, 0),
    ]
    refused = hit(limiter, "photos", "a")
    assert (refused.is_allowed, refused.remaining, refused.reset, refused.retry_after_s) == (
        False,
        0,
        1_703_649_600,
        60,
    )
    assert refused.headers() == {
        "X-RateLimit-Limit": "3",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "1703649600",
        "Retry-After": "60",
    }
    assert "Retry-After" not in passed[0].headers()


def test_check_allows_again_after_retry_after() -> None:
    """Whoever waits as long as Retry-After says is let in with a full window."""
    clock = Clock()
    limiter = clock.limiter(auth="1/minute")
    hit(limiter, "auth", "a")
    clock.advance(31.4)
    refused = hit(limiter, "auth", "a")
    clock.advance(refused.retry_after_s)
    assert hit(limiter, "auth", "a").is_allowed


def test_check_keeps_keys_and_classes_apart() -> None:
    """One source's or one class's use takes nothing from another's."""
    limiter = Clock().limiter(photos="1/minute", search="1/minute", auth="1/minute")
    for name in ("photos", "search", "auth"):
        for key in ("a", "b"):
            assert hit(limiter, name, key).is_allowed
            assert not hit(limiter, name, key).is_allowed


def test_check_of_a_class_that_is_off_says_nothing() -> None:
    """An "off" class has no verdict, hence no headers."""
    assert Clock().limiter(other="off").check("other", "a") is None


@given(
    st.floats(min_value=1e9, max_value=2e9),
    st.sampled_from([("second", 1), ("minute", 60), ("hour", 3600)]),
    st.lists(st.floats(min_value=0, max_value=90), max_size=30),
)
def test_reset_is_in_the_future_and_within_the_period(
    wall_s: float, unit: tuple[str, int], pauses: list[float]
) -> None:
    """At any time of any day, Reset lies ahead by at most the period and waiting until then is enough."""
    clock = Clock(wall_s)
    limiter = clock.limiter(other=f"2/{unit[0]}")
    for pause in pauses:
        clock.advance(pause)
        verdict = hit(limiter, "other", "a")
        assert 0 < verdict.reset - clock.wall_s <= unit[1] + 0.002
        if not verdict.is_allowed:
            assert 1 <= verdict.retry_after_s <= unit[1]
            assert verdict.reset - clock.wall_s <= verdict.retry_after_s + 0.002


def test_a_wall_clock_that_jumps_changes_no_window() -> None:
    """Windows follow the monotonic clock; after a jump of the wall clock Reset still lies ahead."""
    clock = Clock()
    limiter = clock.limiter(other="1/minute")
    hit(limiter, "other", "a")
    clock.wall_s -= 86_400.3
    refused = hit(limiter, "other", "a")
    assert not refused.is_allowed
    assert 0 < refused.reset - clock.wall_s <= 61


def test_ordinary_classes_forget_the_least_recently_seen() -> None:
    """T31: a flood of sources makes the table forget others, but not one that keeps coming."""
    limiter = Clock().limiter(photos="1000/minute")
    for number in range(100):
        assert hit(limiter, "photos", "steady").remaining == 999 - number
        hit(limiter, "photos", f"flood {number}")
    assert hit(limiter, "photos", "flood 0").remaining == 999


def test_auth_fails_closed_when_the_table_is_full() -> None:
    """T31: made-up sources share one window when the table is full; those known keep their counts."""
    clock = Clock()
    limiter = clock.limiter()
    for _ in range(10):
        hit(limiter, "auth", "known")
    for number in range(7):
        assert hit(limiter, "auth", f"flood {number}").is_allowed
    fresh = [hit(limiter, "auth", f"fresh {number}").is_allowed for number in range(1000)]
    assert fresh == [True] * 10 + [False] * 990
    assert not hit(limiter, "auth", "known").is_allowed
    assert hit(limiter, "auth", "flood 0").remaining == 8
    clock.advance(61)
    assert hit(limiter, "auth", "fresh 999").remaining == 9
    assert hit(limiter, "auth", "fresh 998").remaining == 9


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/minute", Rate(10, 60)),
        ("5/second", Rate(5, 1)),
        ("600/hour", Rate(600, 3600)),
        ("1/day", Rate(1, 86400)),
        ("off", None),
    ],
)
def test_parse_rate_reads_the_settings(text: str, rate: Rate | None) -> None:
    """The spellings that the settings document all work."""
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["", "0/minute", "10", "10/week", "-1/minute", "10 / minute", "1.5/second", "\u0661/minute"]
)
def test_parse_rate_refuses_anything_else(text: str) -> None:
    """What is no rate is a configuration error that shows it."""
    with pytest.raises(ConfigError) as refused:
        parse_rate(text)
    assert repr(text) in refused.value.message


def test_every_class_has_a_setting() -> None:
    """The classes are exactly the rows of [rate_limits]."""
    assert set(routing.Rate) - {routing.Rate.FREE} == set(RateLimitsConfig.__struct_fields__)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
    ],
)
def test_address_key_counts_ipv6_by_its_network(address: str, key: str) -> None:
    """T31: one IPv6 host can't multiply itself within its /64, and mapped IPv4 is IPv4."""
    assert address_key(address) == key


PROXIES = parse_networks(["10.0.0.0/8", "127.0.0.1", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("::ffff:127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1, 203.0.113.9, 10.1.1.1"], "203.0.113.9"),
        ("127.0.0.1", ["198.51.100.1", "203.0.113.9 ,10.1.1.1"], "203.0.113.9"),
        ("127.0.0.1", ["10.2.2.2, 10.1.1.1"], "10.2.2.2"),
        ("127.0.0.1", ["203.0.113.9, unknown, 10.1.1.1"], "10.1.1.1"),
        ("127.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
        ("fd00::5", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("fd00::5", ["2001:db8::7"], "2001:db8::7"),
        ("127.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("", ["203.0.113.9"], ""),
    ],
)
def test_client_address_believes_only_trusted_proxies(peer: str, forwarded: list[str], client: str) -> None:
    """T31: X-Forwarded-For counts only from configured proxies, and of it the right-most address that isn't one."""
    assert client_address(peer, forwarded, PROXIES) == client


def test_client_address_without_proxies_is_the_peer() -> None:
    """T31: with no proxy configured, not even loopback is believed."""
    assert client_address("127.0.0.1", ["203.0.113.9"], ()) == "127.0.0.1"


def test_parse_networks_names_the_bad_setting() -> None:
    """A proxy that is no address stops the start and is shown."""
    with pytest.raises(ConfigError, match=r"proxy\.example"):
        parse_networks(["proxy.example"])
