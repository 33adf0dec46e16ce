"""The gallery in headless Chromium, slowed down like a phone: `python -m benchmarks.gallery [--photos N]`.

Prints JSON. The page is served by the real server over a generated index of N photos (100,000; a million for the jumps
to months); the thumbnails are one generated JPEG per size, so that nothing is measured of the host's disk. `cpu` is
Chromium's slowdown of the processor. Needs the built gallery and Debian's chromium.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import random
import shutil
import sqlite3
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiohttp import web
from PIL import Image
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from benchmarks import harness
from benchmarks.big_library import build
from benchmarks.paging import Anybody
from pixlsrve.config import Config, RateLimitsConfig
from pixlsrve.events import EventBus
from pixlsrve.http import application, gallery, library
from pixlsrve.http.api_v1.routes import ROUTES
from pixlsrve.http.hosts import Hosts
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.http.server import HttpServer
from pixlsrve.media.assets import Library
from pixlsrve.media.decode.thumbhash import thumbhash
from pixlsrve.media.roots import Root, Roots
from pixlsrve.media.version import LibraryVersion
from pixlsrve.store.database import Database

THUMBNAIL = "/api/v1/photos/{id}/thumbnail"
NETWORKS = {"lan": (20, 50), "tunnel": (80, 10)}
"""Milliseconds there and back, and Mbit/s."""
FIRST = """() => { window.first = new Promise(done => {
  const look = () => {
    const image = [...document.querySelectorAll('.tile img')].find(each => each.complete && each.naturalWidth);
    if (!image) return requestAnimationFrame(look);
    const at = performance.now();
    const scripts = performance.getEntriesByType('resource').filter(each => each.name.endsWith('.js'));
    done({ ms: at, js_bytes: scripts.reduce((sum, each) => sum + each.encodedBodySize, 0) });
  };
  look();
}); }"""
# By time, as a fling does: 90 pixels a frame of a sixtieth of a second.
SCROLL = """async ms => {
  const scroller = document.querySelector('.grid-scroller');
  const frames = []; let before = performance.now(); const until = before + ms;
  while (before < until) {
    await new Promise(requestAnimationFrame);
    const now = performance.now(); frames.push(now - before);
    scroller.scrollTop += (now - before) * 5.4; before = now;
  }
  return frames;
}"""
JUMP = """() => { window.arrival = new Promise(done => {
  const before = new Set(document.querySelectorAll('.tile'));
  const seen = () => [...document.querySelectorAll('.tile')].filter(each => {
    const box = each.getBoundingClientRect(); return box.bottom > 0 && box.top < innerHeight });
  const isDrawn = each => { const image = each.querySelector('img'); return image?.complete && image.naturalWidth };
  document.querySelector('.scrubber').addEventListener('pointerdown', async event => {
    const started = event.timeStamp;
    const frame = () => new Promise(requestAnimationFrame);
    await frame();
    while (!seen().some(each => !before.has(each))) await frame();
    await frame();
    const placeholders = performance.now() - started;
    while (!seen().every(isDrawn) && performance.now() - started < 20000) await frame();
    done([placeholders, performance.now() - started]);
  }, { once: true, capture: true });
}); }"""
PAUSE_MS = 700
"""Before the first page of a window, and between two jumps, as somebody looks at where they have come."""


def thumbnail_route() -> Route:
    """Thumbnails of one generated picture."""
    bodies = {}
    for name, side in (("small", 200), ("medium", 400), ("large", 800)):
        out = io.BytesIO()
        noise = Image.effect_noise((side // 4, side * 3 // 16), 60).resize((side, side * 3 // 4))
        noise.convert("RGB").save(out, "JPEG", quality=80)
        bodies[name] = out.getvalue()

    async def show(request: web.Request) -> web.Response:
        headers = {"Content-Type": "image/jpeg", "Cache-Control": "max-age=31536000"}
        return web.Response(body=bodies[request.query.get("size", "small")], headers=headers)

    return Route(method="GET", path=THUMBNAIL, handler=show, access=Access.MEMBER, rate=Rate.FREE, summary="A picture.")


def socket_route() -> Route:
    """The event websocket, with nothing to tell."""

    async def listen(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for _ in socket:
            pass
        return socket

    return Route(
        method="GET", path="/api/v1/ws", handler=listen, access=Access.MEMBER, rate=Rate.FREE, summary="Events."
    )


def add_placeholders(index: Path) -> None:
    """Give every photo one of some blurred pictures."""
    hashes = []
    for seed in range(64):
        with harness.scene((64, 48), seed) as picture:
            hashes.append((seed, thumbhash(picture)))
    with contextlib.closing(sqlite3.connect(index)) as connection, connection:
        connection.execute("CREATE TEMP TABLE blurred (seed INTEGER PRIMARY KEY, hash BLOB)")
        connection.executemany("INSERT INTO blurred VALUES (?, ?)", hashes)
        connection.execute("UPDATE asset SET thumbhash = (SELECT hash FROM blurred WHERE seed = asset.id % 64)")


@contextlib.asynccontextmanager
async def serve(path: Path) -> Any:
    """The gallery over this index; its address."""
    wanted = ("/api/v1/photos", "/api/v1/timeline")
    routes = tuple(route for route in ROUTES if route.path.startswith(wanted) and route.path != THUMBNAIL)
    unlimited = RateLimitsConfig(photos="off", browse="off", search="off", other="off")
    config = Config(data_dir="", storage_dir="", rate_limits=unlimited)
    app = application.build(
        (*routes, thumbnail_route(), socket_route(), *gallery.ROUTES),
        config,
        authenticator=Anybody(),
        bus=EventBus(),
        hosts=Hosts([]),
    )
    async with contextlib.AsyncExitStack() as stack:
        index = await stack.enter_async_context(Database.open(path, durability="NORMAL"))
        app[library.LIBRARY] = Library(index, LibraryVersion())
        app[library.ROOTS] = Roots([Root(id=1, uid=b"", path=Path("/photos"), name="Photos")])
        server = await stack.enter_async_context(HttpServer(app, host="127.0.0.1"))
        yield f"http://127.0.0.1:{server.bound_port}"


async def phone(browser: Browser, cpu: int) -> tuple[BrowserContext, Page, Any]:
    """A new phone, its page, and the protocol that slows it down."""
    context = await browser.new_context(
        viewport={"width": 390, "height": 844}, device_scale_factor=2, extra_http_headers={"Authorization": "Bearer x"}
    )
    await context.add_cookies([{"name": "pixlsrve", "value": "x", "domain": "127.0.0.1", "path": "/"}])
    page = await context.new_page()
    session = await context.new_cdp_session(page)
    await session.send("Emulation.setCPUThrottlingRate", {"rate": cpu})
    await page.wait_for_timeout(PAUSE_MS)  # a new window's own pages are no part of opening ours
    return context, page, session


async def first_photo(browser: Browser, url: str, network: str, cpu: int, rounds: int) -> dict[str, Any]:
    """Median milliseconds from the address to the first thumbnail, with an empty cache, and the scripts until then."""
    latency, megabits = NETWORKS[network]
    found = []
    for _ in range(rounds):
        context, page, session = await phone(browser, cpu)
        await session.send("Network.enable")
        throughput = megabits * 125_000
        await session.send(
            "Network.emulateNetworkConditions",
            {"offline": False, "latency": latency, "downloadThroughput": throughput, "uploadThroughput": throughput},
        )
        await page.add_init_script(f"({FIRST})()")
        await page.goto(url, wait_until="commit")
        found.append(await page.evaluate("window.first"))
        await context.close()
    times = [each["ms"] for each in found]
    return {
        "best_ms": round(min(times)),
        "median_ms": round(statistics.median(times)),
        "worst_ms": round(max(times)),
        "load": round(os.getloadavg()[0], 1),
        "js_bytes": found[0]["js_bytes"],
    }


async def scrolling(browser: Browser, url: str, cpu: int, seconds: int) -> dict[str, Any]:
    """Frames while scrolling without a pause, and what the page holds before and after."""
    context, page, session = await phone(browser, cpu)
    await page.goto(url)
    await page.locator(".tile img").first.wait_for()
    heap = [await _heap(session)]
    frames: list[float] = await page.evaluate(SCROLL, seconds * 1000)
    heap.append(await _heap(session))
    again: list[float] = await page.evaluate(SCROLL, seconds * 1000)
    heap.append(await _heap(session))
    tiles = await page.locator(".tile").count()
    await context.close()
    both = sorted(frames + again)
    return {
        "frames": len(both),
        "median_ms": round(statistics.median(both), 1),
        "p99_ms": round(both[len(both) * 99 // 100], 1),
        "worst_ms": round(both[-1], 1),
        "frames_over_100_ms": sum(each > 100 for each in both),
        "heap_mb": heap,
        "tiles": tiles,
    }


async def _heap(session: Any) -> float:
    await session.send("HeapProfiler.collectGarbage")
    used: int = (await session.send("Runtime.getHeapUsage"))["usedSize"]
    return round(used / 1_000_000, 1)


async def jumps(browser: Browser, url: str, cpu: int, rounds: int) -> dict[str, Any]:
    """Presses on random months of the scrubber: until rows stand there, and until every thumbnail in sight is drawn."""
    context, page, _ = await phone(browser, cpu)
    await page.goto(url)
    await page.locator(".tile img").first.wait_for()
    slider = page.locator(".scrubber")
    box, last = await slider.bounding_box(), int(await slider.get_attribute("aria-valuemax") or 0)
    assert box is not None
    dice, found = random.Random(3), []
    for _ in range(rounds):
        await page.wait_for_timeout(PAUSE_MS)
        y = box["y"] + box["height"] * dice.randrange(1, last) / last
        await page.evaluate(f"({JUMP})()")
        await page.mouse.move(box["x"] + box["width"] - 8, y)
        await page.mouse.down()
        await page.mouse.up()
        found.append(await page.evaluate("window.arrival"))
    await context.close()
    placeholders, thumbnails = zip(*found, strict=True)
    return {"months": last + 1, "placeholders_ms": _spread(placeholders), "thumbnails_ms": _spread(thumbnails)}


def _spread(times: Sequence[float]) -> dict[str, int]:
    wanted = {"median": statistics.median(times), "p90": sorted(times)[len(times) * 9 // 10], "worst": max(times)}
    return {name: round(value) for name, value in wanted.items()}


async def run(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    result: dict[str, Any] = {"cpu": arguments.cpu, "load": os.getloadavg()[0]}
    async with async_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = await playwright.chromium.launch(executable_path=chromium, chromium_sandbox=os.geteuid() != 0)
        for photos in arguments.photos:
            index = harness.cache_dir() / f"index-{photos}.db"
            if not index.exists():
                build(index, photos)
            shutil.copyfile(index, folder / index.name)
            add_placeholders(folder / index.name)
            async with serve(folder / index.name) as url:
                found: dict[str, Any] = {}
                for network in NETWORKS:
                    found[network] = await first_photo(browser, url, network, arguments.cpu, arguments.rounds)
                found["scrolling"] = await scrolling(browser, url, arguments.cpu, arguments.seconds)
                found["jumps"] = await jumps(browser, url, arguments.cpu, arguments.jumps)
                result[f"{photos} photos"] = found
        await browser.close()
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--cpu", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--jumps", type=int, default=24)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(run(Path(folder), arguments)), indent=1))


if __name__ == "__main__":
    main()
