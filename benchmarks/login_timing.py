"""Whether the time of a failed login tells that a name exists (THREATS T4).

    python -m benchmarks.login_timing --tries 20000 [--cost 12]

Logins over HTTP with a wrong password, in random order for a name that exists and for one that doesn't, both new in
length and content each time as far as that is possible; the medians of the two and their difference. The product's cost
makes 20,000 tries take an hour and more; with `--cost 4` the hash is so quick that every other difference would show.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp

from benchmarks import harness
from pixlsrve.auth.clock import Clock
from pixlsrve.auth.keys import load_signing_key
from pixlsrve.auth.passwords import COST
from pixlsrve.auth.service import open_identity
from pixlsrve.config import Config, RateLimitsConfig, WireguardConfig
from pixlsrve.events import EventBus
from pixlsrve.http import application, identity
from pixlsrve.http.api_v1 import auth
from pixlsrve.http.server import HttpServer
from pixlsrve.store.database import Database
from pixlsrve.store.migrate import migrate
from pixlsrve.wg.peers import Peers

HOST_ID = "00000000-0000-4000-8000-000000000000"
PEOPLE = 50
PAUSE_AFTER = 20
"""Tries before the figures count: connections, caches and threads are warm then."""


async def measure(folder: Path, tries: int, cost: int) -> dict[str, list[float]]:
    """Seconds of each failed login, by whether the name exists."""
    migrate(folder / "state.db", "state")
    async with Database.open(folder / "state.db", durability="FULL", readers=1) as state:
        bus = EventBus()
        services = await open_identity(
            state,
            key=load_signing_key(folder),
            host_id=HOST_ID,
            clock=Clock(),
            tunnel=Peers.load(state, WireguardConfig(), folder),
            bus=bus,
            password_cost=cost,
        )
        for number in range(PEOPLE):
            await services.accounts.add(f"person{number:04}", "correct horse battery")
        config = Config(data_dir="", storage_dir="", rate_limits=RateLimitsConfig(auth="off"))
        app = application.build(auth.ROUTES, config, authenticator=services.authenticator, bus=bus)
        app[identity.IDENTITY] = services
        async with HttpServer(app, host="127.0.0.1") as server, aiohttp.ClientSession() as client:
            return await _try(client, f"http://127.0.0.1:{server.bound_port}/api/v1/auth/login", tries)


async def _try(client: aiohttp.ClientSession, url: str, tries: int) -> dict[str, list[float]]:
    dice = random.Random(1)
    taken: dict[str, list[float]] = {"known": [], "unknown": []}
    for number in range(tries + PAUSE_AFTER):
        kind = dice.choice(("known", "unknown"))
        name = f"person{dice.randrange(PEOPLE):04}" if kind == "known" else f"nobody{dice.randrange(PEOPLE):04}"
        begun = time.perf_counter()
        async with client.post(url, json={"username": name, "password": f"wrong {number}"}) as answer:
            await answer.read()
            assert answer.status == 401
        if number >= PAUSE_AFTER:
            taken[kind].append(time.perf_counter() - begun)
    return taken


def main() -> None:
    """The command."""
    parser = harness.parser(__doc__)
    parser.add_argument("--tries", type=int, default=20_000)
    parser.add_argument("--cost", type=int, default=COST, help="bcrypt's; the product's by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        taken = asyncio.run(measure(Path(folder), options.tries, options.cost))
    medians = {kind: statistics.median(times) * 1_000 for kind, times in taken.items()}
    harness.report(
        benchmark="login_timing",
        tries=options.tries,
        cost=options.cost,
        known_median_ms=round(medians["known"], 3),
        unknown_median_ms=round(medians["unknown"], 3),
        difference_ms=round(abs(medians["known"] - medians["unknown"]), 3),
        limit_ms=2.0,
        reference="the same login for a name that does not exist",
    )


if __name__ == "__main__":
    main()
