"""What honest requests wait while passwords are being tried; prints JSON.

    python -m benchmarks.login_flood

A real daemon; sixteen clients try passwords without a pause, first with the limit of logins as it is (most get 429),
then with it switched off, so that each try is hashed: worse than any real flood. Meanwhile a client with a token asks
for albums. Reach: p99 of those at most 200 ms (THREATS T4). Reference of the same run: the same requests in peace.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

import aiohttp

from benchmarks import harness

FLOODERS = 16
REQUESTS = 1_500


async def honest(url: str, token: str) -> list[float]:
    """Milliseconds of each honest request, sorted."""
    times = []
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as client:
        for _ in range(REQUESTS):
            begun = time.perf_counter()
            async with client.get(f"{url}/api/v1/albums") as answer:
                await answer.read()
                assert answer.status == 200
            times.append((time.perf_counter() - begun) * 1_000)
    return sorted(times)


async def flood(url: str, number: int, statuses: dict[int, int]) -> None:
    """Try passwords until cancelled."""
    async with aiohttp.ClientSession() as client:
        while True:
            body = {"username": f"person{number}", "password": f"guess {time.perf_counter_ns()}"}
            async with client.post(f"{url}/api/v1/auth/login", json=body) as answer:
                await answer.read()
                statuses[answer.status] = statuses.get(answer.status, 0) + 1


async def measure(url: str, token: str, *, flooders: int) -> dict[str, object]:
    """Figures of the honest requests beside so many floods."""
    statuses: dict[int, int] = {}
    floods = [asyncio.create_task(flood(url, number, statuses)) for number in range(flooders)]
    try:
        times = await honest(url, token)
    finally:
        for task in floods:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*floods)
    middle, worst = times[len(times) // 2], times[int(len(times) * 0.99)]
    return {"p50_ms": round(middle, 2), "p99_ms": round(worst, 2), "logins_by_status": statuses}


def main() -> None:
    """The command."""
    harness.parser(__doc__).parse_args()
    found = {}
    for name, limit in (("limited", "10/minute"), ("every_login_hashed", "off")):
        settings = {"RATE_LIMITS__AUTH": limit, "RATE_LIMITS__BROWSE": "off"}
        with harness.scratch() as folder, harness.serving(folder / "data", **settings) as daemon:
            token = daemon.token()
            if not found:
                found["in_peace"] = asyncio.run(measure(daemon.url, token, flooders=0))
            found[name] = asyncio.run(measure(daemon.url, token, flooders=FLOODERS))
    harness.report(benchmark="login_flood", honest_requests=REQUESTS, **found, wanted={"p99_ms": 200})


if __name__ == "__main__":
    main()
