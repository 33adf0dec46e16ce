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
import shutil
import statistics
import tempfile
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
SCROLL = """async ms => {
  const scroller = document.querySelector('.grid-scroller');
  const frames = []; let before = performance.now(); const until = before + ms;
  while (before < until) {
    await new Promise(requestAnimationFrame);
    const now = performance.now(); frames.push(now - before); before = now;
    scroller.scrollTop += 90;
  }
  return frames;
}"""
JUMP = """async steps => {
  const slider = document.querySelector('.scrubber'); const started = performance.now();
  slider.dispatchEvent(new KeyboardEvent('keydown', { key: steps > 0 ? 'PageDown' : 'PageUp', bubbles: true }));
  const seen = () => [...document.querySelectorAll('.tile')].filter(each => {
    const box = each.getBoundingClientRect(); return box.bottom > 0 && box.top < innerHeight });
  await new Promise(requestAnimationFrame); await new Promise(requestAnimationFrame);
  while (seen().length === 0) await new Promise(requestAnimationFrame);
  const placeholders = performance.now() - started;
  while (true) {
    const images = seen().map(each => each.querySelector('img'));
    if (images.length && images.every(each => each && each.complete && each.naturalWidth)) break;
    if (performance.now() - started > 20000) break;
    await new Promise(requestAnimationFrame);
  }
  return [placeholders, performance.now() - started];
}"""


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


@contextlib.asynccontextmanager
async def serve(path: Path) -> Any:
    """The gallery over this index; its address."""
    wanted = ("/api/v1/photos", "/api/v1/timeline")
    routes = tuple(route for route in ROUTES if route.path.startswith(wanted) and route.path != THUMBNAIL)
    unlimited = RateLimitsConfig(photos="off", browse="off", search="off", other="off")
    config = Config(data_dir="", storage_dir="", rate_limits=unlimited)
    app = application.build(
        (*routes, thumbnail_route(), *gallery.ROUTES), config, authenticator=Anybody(), bus=EventBus(), hosts=Hosts([])
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
    """A year at a time through all months: until rows stand there, and until every thumbnail in sight is drawn."""
    context, page, _ = await phone(browser, cpu)
    await page.goto(url)
    await page.locator(".tile img").first.wait_for()
    found = [await page.evaluate(JUMP, 1 if number < rounds // 2 else -1) for number in range(rounds)]
    await context.close()
    placeholders, thumbnails = zip(*found, strict=True)
    return {
        "placeholders_ms": {"median": round(statistics.median(placeholders)), "worst": round(max(placeholders))},
        "thumbnails_ms": {"median": round(statistics.median(thumbnails)), "worst": round(max(thumbnails))},
    }


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
            async with serve(folder / index.name) as url:
                found: dict[str, Any] = {}
                for network in NETWORKS:
                    found[network] = await first_photo(browser, url, network, arguments.cpu, arguments.rounds)
                found["scrolling"] = await scrolling(browser, url, arguments.cpu, arguments.seconds)
                found["jumps"] = await jumps(browser, url, arguments.cpu, 12)
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
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(run(Path(folder), arguments)), indent=1))


if __name__ == "__main__":
    main()
