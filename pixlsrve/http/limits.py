"""Rate limits: fixed windows per class and source, in bounded memory, and who a request comes from (THREATS T31)."""

from __future__ import annotations

import functools
import ipaddress
import re
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from pixlsrve.config import RateLimitsConfig
from pixlsrve.errors import ConfigError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_RATE = re.compile(r"([1-9][0-9]{0,8})/(second|minute|hour|day)")
_PERIODS_S = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_COUNT_BITS = 30
_COUNT_MASK = (1 << _COUNT_BITS) - 1
_FORWARDED_HOPS_MAX = 32

AUTH = "auth"
"""The class whose sources nobody may push out by being many; classes are the rows of [rate_limits]."""
RECENT_SOURCES = 4096
"""Sources in each of the two generations of an ordinary class: far more than a household has, 5 MB in all."""
AUTH_SOURCES = 32768
"""Sources of class `auth` that are counted singly."""


class Rate(msgspec.Struct, frozen=True):
    """So many requests in a window of so many seconds."""

    limit: int
    period_s: int


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What one check decided, in the units of the X-RateLimit headers."""

    is_allowed: bool
    limit: int
    remaining: int
    reset: int
    """Unix time in whole seconds at which the window ends; always in the future."""
    retry_after_s: int
    """Whole seconds until the next request may succeed, at least 1; 0 where this one was allowed."""

    def headers(self) -> dict[str, str]:
        """The three X-RateLimit headers (specs/pixlsrve-api-v1.md), and Retry-After on a refusal (RFC 9110 §10.2.3)."""
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }
        if not self.is_allowed:
            headers["Retry-After"] = str(self.retry_after_s)
        return headers


def parse_rate(text: str) -> Rate | None:
    """The rate that a setting such as "10/minute" means, None for "off". Raises ConfigError for anything else."""
    if text == "off":
        return None
    match = _RATE.fullmatch(text)
    if match is None:
        raise ConfigError(f'A rate limit is a number per second, minute, hour or day, or "off", not {text!r}.')
    return Rate(int(match[1]), _PERIODS_S[match[2]])


class _Recent:
    """Windows by source; when full, those not seen for longest are forgotten, in bulk.

    Two generations instead of a linked list: a source that is seen moves to the young one, and when that is full it
    becomes the old one and the former old one goes. That keeps a check at two look-ups and an entry at some 100 bytes.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}

    def get(self, source: int, now_ms: int) -> tuple[int, int]:
        """The key to count under and its window, 0 where there is none."""
        window = self._young.get(source)
        return source, self._old.get(source, 0) if window is None else window

    def put(self, source: int, window: int) -> None:
        if len(self._young) >= self._capacity and source not in self._young:
            self._old, self._young = self._young, {}
        self._young[source] = window


class _Strict:
    """Windows by source, none forgotten before it ends; when full, all further sources share one window.

    So that making up sources neither resets anybody's count nor buys tries beyond one source's (T31: fails closed).
    """

    SHARED = 0
    SWEEP_PAUSE_MS = 1000

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._windows: dict[int, int] = {}
        self._sweep_at_ms = 0

    def get(self, source: int, now_ms: int) -> tuple[int, int]:
        """The key to count under and its window, 0 where there is none."""
        window = self._windows.get(source)
        if window is not None:
            return source, window
        if len(self._windows) >= self._capacity and now_ms >= self._sweep_at_ms:
            self._windows = {key: kept for key, kept in self._windows.items() if kept >> _COUNT_BITS > now_ms}
            self._sweep_at_ms = now_ms + self.SWEEP_PAUSE_MS
        if len(self._windows) >= self._capacity:
            return self.SHARED, self._windows.get(self.SHARED, 0)
        return source, 0

    def put(self, source: int, window: int) -> None:
        self._windows[source] = window


class RateLimiter:
    """Counts requests by class and source (the device, else the account, else `address_key` of the address).

    A window starts with a source's first request and ends on a whole second of the wall clock at most the period
    later, so that X-RateLimit-Reset is exact: between two resets exactly `limit` requests pass. Not thread-safe: it
    belongs to the event loop. Memory stays below 20 MB whatever arrives (benchmarks/limiter_memory.py).
    """

    def __init__(
        self,
        rates: RateLimitsConfig,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        recent_sources: int = RECENT_SOURCES,
        auth_sources: int = AUTH_SOURCES,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._classes: dict[str, tuple[int, int, _Recent | _Strict]] = {}
        for name in rates.__struct_fields__:
            rate = parse_rate(getattr(rates, name))
            if rate is not None:
                table = _Strict(auth_sources) if name == AUTH else _Recent(recent_sources)
                self._classes[name] = (rate.limit, rate.period_s * 1000, table)

    def check(self, name: str, key: str) -> Verdict | None:
        """Count one request of `key`; None where the class is off. Refused requests are not counted."""
        entry = self._classes.get(name)
        if entry is None:
            return None
        limit, period_ms, table = entry
        now_ms = int(self._clock() * 1000)
        wall_s = self._wall()
        # The interpreter's hash is keyed per process and 64 bits long; | 1 keeps 0 free for the shared window.
        source, window = table.get(hash(key) | 1, now_ms)
        end_ms, used = window >> _COUNT_BITS, window & _COUNT_MASK
        if end_ms <= now_ms:
            end_ms, used = now_ms + period_ms - int(wall_s % 1 * 1000), 0
        left_ms = end_ms - now_ms
        reset = max(round(wall_s + left_ms / 1000), int(wall_s) + 1)
        is_allowed = used < limit
        if is_allowed:
            used += 1
        # Written on a refusal too, which marks the source as recently seen.
        table.put(source, end_ms << _COUNT_BITS | used)
        return Verdict(is_allowed, limit, limit - used, reset, 0 if is_allowed else -(-left_ms // 1000))


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks of `http.trusted_proxies`; a bare address means itself. Raises ConfigError naming the bad one."""
    networks = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError as error:
            raise ConfigError(f"http.trusted_proxies takes addresses and networks, not {text!r}.") from error
    return tuple(networks)


def client_address(peer: str, forwarded_for: Iterable[str], trusted_proxies: Sequence[Network]) -> str:
    """The address a request comes from: `peer`, or what a trusted proxy says of it.

    `peer` is the socket's far end; `forwarded_for` the values of all X-Forwarded-For lines in order. Only from a peer
    within `trusted_proxies` the header counts, and of it the right-most address that is not itself a trusted proxy;
    anything unreadable ends the walk at the last hop that could be believed. IPv4-mapped addresses come as IPv4.
    """
    address = parse_address(peer)
    if address is None:
        return peer
    if not trusted_proxies or not is_within(address, trusted_proxies):
        return str(address)
    hops = ",".join(forwarded_for).split(",")
    for hop in reversed(hops[-_FORWARDED_HOPS_MAX:]):
        before = parse_address(_without_port(hop.strip()))
        if before is None:
            break
        address = before
        if not is_within(address, trusted_proxies):
            break
    return str(address)


@functools.lru_cache(maxsize=1024)
def address_key(address: str) -> str:
    """What an address is counted under: IPv4 as it is, also when mapped into IPv6; IPv6 by its /64 (T31)."""
    parsed = parse_address(address)
    if not isinstance(parsed, ipaddress.IPv6Address):
        return address if parsed is None else str(parsed)
    return f"{ipaddress.IPv6Address(int(parsed) >> 64 << 64)}/64"


def parse_address(text: str) -> Address | None:
    """An address without its zone; an IPv4-mapped one as IPv4; None for what is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _without_port(hop: str) -> str:
    """`192.0.2.1:80` and `[2001:db8::1]:80` without their ports; what has none as it is."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def is_within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
