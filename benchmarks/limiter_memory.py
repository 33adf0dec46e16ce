"""How much the rate limiter grows after ten million distinct sources, and what one check costs; prints JSON.

Reach: at most 20 MB (THREATS T31). Reference of the same run: a plain dictionary that keeps every source, filled with
a hundredth of them and scaled up.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import tracemalloc

from pixlsrve.config import RateLimitsConfig
from pixlsrve.http.limits import RateLimiter, address_key

SOURCES = 10_000_000
UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT_BYTES


def source(number: int) -> str:
    return f"{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}.{number >> 24}"


def unbounded_bytes(sources: int) -> int:
    """What a dictionary of source to [start, count] takes for so many sources, from a hundredth of them."""
    tracemalloc.start()
    kept = {source(number): [time.monotonic(), 1] for number in range(sources // 100)}
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(kept) == sources // 100
    return grown * 100


def main() -> None:
    limiter = RateLimiter(RateLimitsConfig())
    classes = RateLimitsConfig.__struct_fields__
    address_key("192.0.2.1")
    before = peak_bytes()
    started = time.perf_counter()
    for number in range(SOURCES):
        limiter.check(classes[number % len(classes)], source(number))
    flooded_s = time.perf_counter() - started
    grown = peak_bytes() - before
    started = time.perf_counter()
    for _ in range(100_000):
        limiter.check("thumbnails", "904cb473-5d17-4885-9363-46f466a7d140")
    steady_s = time.perf_counter() - started
    print(
        json.dumps(
            {
                "sources": SOURCES,
                "grown_mb": round(grown / 1e6, 1),
                "reach_mb": 20,
                "reference_unbounded_mb": round(unbounded_bytes(SOURCES) / 1e6),
                "check_known_source_us": round(steady_s * 10, 2),
                "check_new_source_us": round(flooded_s / SOURCES * 1e6, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
