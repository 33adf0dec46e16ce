"""What looking at a device's token costs a request; prints JSON.

    python -m benchmarks.token_check

One route, declared once for members and once for everybody, both through the whole gate with the same header; reach:
the check takes at most a tenth of the throughput. Throughput is requests a second of the server's processor time, which
a busy machine does not distort; wrk (one thread, keep-alive) asks in turns.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from aiohttp import web

from benchmarks import harness
from pixlsrve.auth.clock import Clock
from pixlsrve.auth.keys import load_signing_key
from pixlsrve.auth.service import open_identity
from pixlsrve.config import Config, RateLimitsConfig, WireguardConfig
from pixlsrve.events import EventBus
from pixlsrve.http import application, identity
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.http.server import HttpServer
from pixlsrve.model import Role
from pixlsrve.store.database import Database
from pixlsrve.store.migrate import migrate
from pixlsrve.wg.peers import Peers

HOST_ID = "00000000-0000-4000-8000-000000000000"
BODY = b"x" * 2_000
PATHS = {"with": "/api/v1/with", "without": "/api/v1/without"}


async def answer(_: web.Request) -> web.Response:
    """The same bytes each time."""
    return web.Response(body=BODY)


def routes() -> tuple[Route, ...]:
    """The same handler behind both doors."""
    access = {"with": Access.MEMBER, "without": Access.PUBLIC}
    return tuple(
        Route(method="GET", path=path, handler=answer, access=access[name], rate=Rate.OTHER, summary="A measure.")
        for name, path in PATHS.items()
    )


async def serve(folder: Path) -> None:
    """A server with the real gate and the real identity, until it is killed; prints its port and a device's token."""
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
            password_cost=4,
        )
        limits = RateLimitsConfig(other="1000000/second")
        config = Config(data_dir="", storage_dir="", rate_limits=limits)
        app = application.build(routes(), config, authenticator=services.authenticator, bus=bus)
        app[identity.IDENTITY] = services
        _, pair = await services.devices.add(
            name="phone", type_="ios", role=Role.MEMBER, account_id=None, public_key=None
        )
        async with HttpServer(app, host="127.0.0.1") as server:
            print(server.bound_port, pair.access_token, flush=True)
            await asyncio.Event().wait()


def requests_per_cpu_s(pid: int, url: str, token: str, seconds: int) -> float:
    """Requests that the server answered for each second of its processor time."""
    before = harness.cpu_s(pid)
    command = ["wrk", "-t1", "-c8", f"-d{seconds}s", "-H", f"Authorization: Bearer {token}", url]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in out, out
    found = re.search(r"(\d+) requests in", out)
    assert found is not None
    return int(found[1]) / (harness.cpu_s(pid) - before)


def main() -> None:
    """The command."""
    parser = harness.parser(__doc__)
    parser.add_argument("--serve", type=Path, help="for the script itself: serve from this folder")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    if options.serve is not None:
        asyncio.run(serve(options.serve))
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.token_check", "--serve", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                port, token = server.stdout.readline().split()
                url, pid = f"http://127.0.0.1:{port}", server.pid
                found = harness.rounds(
                    options.rounds,
                    checked=lambda: requests_per_cpu_s(pid, url + PATHS["with"], token, options.seconds),
                    open=lambda: requests_per_cpu_s(pid, url + PATHS["without"], token, options.seconds),
                )
            finally:
                server.kill()
    medians = {name: harness.median(values, 0) for name, values in found.items()}
    harness.report(
        benchmark="token_check",
        requests_per_cpu_s=medians,
        throughput_lost=round(1 - medians["checked"] / medians["open"], 3),
        wanted={"throughput_lost": 0.1},
    )


if __name__ == "__main__":
    main()
