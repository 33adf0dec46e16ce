"""From a saved file to the event that says its thumbnail is ready: `python -m benchmarks.latency [--saves N]`.

Prints JSON. 12-megapixel JPEGs are written into a watched folder one after the other, at odd moments; the clock runs
from the end of each write until a websocket client has the `photo.added` event, and the thumbnail is then fetched and
must be there at once.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks import harness
from benchmarks.harness import Daemon


async def next_added(socket: aiohttp.ClientWebSocketResponse, name: str) -> dict[str, Any]:
    """The event of the photo with this file name."""
    while True:
        message = json.loads(await socket.receive_str(timeout=60))
        if message["type"] == "photo.added" and message["data"].get("filename") == name:
            data: dict[str, Any] = message["data"]
            return data


async def watch(daemon: Daemon, root: Path, photos: list[Path]) -> tuple[list[float], list[float]]:
    """Seconds to the event, and to the thumbnail's last byte, for each save."""
    dice = random.Random(1)
    to_event, to_thumbnail = [], []
    headers = {"Authorization": f"Bearer {daemon.token()}"}
    async with (
        aiohttp.ClientSession(daemon.url, headers=headers) as client,
        client.ws_connect("/api/v1/ws") as socket,
    ):
        for path in photos:
            body = path.read_bytes()
            await asyncio.sleep(0.5 + dice.random())
            (root / path.name).write_bytes(body)
            saved = time.perf_counter()
            event = await next_added(socket, path.name)
            to_event.append(time.perf_counter() - saved)
            async with client.get(f"/api/v1/photos/{event['id']}/thumbnail") as answer:
                assert answer.status == 200
                assert (await answer.read())[:2] == b"\xff\xd8"
            to_thumbnail.append(time.perf_counter() - saved)
    return to_event, to_thumbnail


def main() -> None:
    """Measure and print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--saves", type=int, default=20)
    arguments = parser.parse_args()
    with harness.scratch() as folder:
        photos = harness.make_photos(folder / "staged", arguments.saves)
        root = folder / "root"
        root.mkdir()
        with harness.serving(folder / "data", root) as daemon:
            daemon.wait_idle()
            to_event, to_thumbnail = asyncio.run(watch(daemon, root, photos))
    harness.report(
        saves=arguments.saves,
        to_event_median_s=harness.median(to_event),
        to_event_worst_s=round(max(to_event), 2),
        to_thumbnail_median_s=harness.median(to_thumbnail),
        to_event_each_s=harness.rounded(to_event),
        wanted={"median_s": 1.0},
    )


if __name__ == "__main__":
    main()
