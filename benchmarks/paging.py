"""Album pages and searches in a big library, over HTTP: `python benchmarks/paging.py [--index FILE] [--photos N]`.

Prints JSON: the p99 of the last page of 100 of an album and of the whole library against the first page, and that of a
search's first page against the first album page, all in one run. Without --index the library is made first (a minute
and 1.6 GB for a million photos). `fresh` searches were never asked before; `plain` is OFFSET in the same database.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.big_library import CAMERAS, PLACES, SUBJECTS, build
from pixlsrve.config import Config, RateLimitsConfig
from pixlsrve.events import EventBus
from pixlsrve.http import application, library
from pixlsrve.http.api_v1.routes import ROUTES
from pixlsrve.http.hosts import Hosts
from pixlsrve.http.server import HttpServer
from pixlsrve.media.assets import Library
from pixlsrve.media.roots import Root, Roots
from pixlsrve.media.version import LibraryVersion
from pixlsrve.model import Principal, Role
from pixlsrve.store.database import Database

ROUNDS = 200
LIMIT = 100
Call = Callable[[], Awaitable[Any]]


class Anybody:
    """Lets everybody in."""

    async def authenticate(self, token: str) -> Principal:
        """The same caller for every token."""
        return Principal(id="benchmark", role=Role.MEMBER)


def percentile(times: list[float], share: float) -> float:
    """Milliseconds."""
    return round(sorted(times)[min(int(len(times) * share), len(times) - 1)] * 1000, 2)


async def measure(call: Call, rounds: int = ROUNDS) -> dict[str, float]:
    """Median and p99 in milliseconds, after one call that is not counted (`first`)."""
    started = time.perf_counter()
    await call()
    first = time.perf_counter() - started
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        await call()
        times.append(time.perf_counter() - started)
    return {"first_ms": round(first * 1000, 2), "p50_ms": percentile(times, 0.5), "p99_ms": percentile(times, 0.99)}


async def fresh_searches(get: Callable[..., Awaitable[Any]]) -> dict[str, Any]:
    """Every question once: words and pairs of words as people look for them."""
    words = [*SUBJECTS, *(place[0].split(",")[0] for place in PLACES), *(camera[1] for camera in CAMERAS)]
    words += [str(year) for year in range(2004, 2024)] + ["march", "video", "img", "photo", "iphone"]
    dice = random.Random(2)
    questions = [*words, *(" ".join(dice.sample(words, 2)) for _ in range(80)), *(f"{word[:4]}" for word in words)]
    times: dict[str, float] = {}
    for question in dict.fromkeys(questions):
        started = time.perf_counter()
        await get("photos/search", q=question, limit=LIMIT)
        times[question] = time.perf_counter() - started
    slowest = sorted(times, key=times.__getitem__)[-5:]
    values = list(times.values())
    return {
        "questions": len(values),
        "p50_ms": percentile(values, 0.5),
        "p90_ms": percentile(values, 0.9),
        "p99_ms": percentile(values, 0.99),
        "slowest_ms": {question: round(times[question] * 1000, 1) for question in slowest},
    }


def plain_offset(path: Path, folder: int, count: int) -> float:
    """Milliseconds of the last page by OFFSET in all columns, best of three."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        sql = "SELECT * FROM asset WHERE folder_id = ? AND kind <> 'audio' ORDER BY date_key DESC LIMIT 100 OFFSET ?"
        times = []
        for _ in range(3):
            started = time.perf_counter()
            connection.execute(sql, (folder, count - 100)).fetchall()
            times.append(time.perf_counter() - started)
    return round(min(times) * 1000, 2)


async def run(path: Path) -> dict[str, Any]:
    """Serve the index and measure."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        uid, in_album = connection.execute("SELECT uuid, photo_count FROM folder WHERE id = 2").fetchone()
        (total,) = connection.execute("SELECT item_count FROM root").fetchone()
    album = f"albums/{uuid.UUID(bytes=uid)}/photos"
    unlimited = RateLimitsConfig(photos="off", browse="off", search="off", other="off")
    config = Config(data_dir="", storage_dir="", rate_limits=unlimited)
    app = application.build(ROUTES, config, authenticator=Anybody(), bus=EventBus(), hosts=Hosts([]))
    async with contextlib.AsyncExitStack() as stack:
        index = await stack.enter_async_context(Database.open(path, durability="NORMAL"))
        app[library.LIBRARY] = Library(index, LibraryVersion())
        app[library.ROOTS] = Roots([Root(id=1, uid=b"", path=Path("/photos"), name="Photos")])
        server = await stack.enter_async_context(HttpServer(app, host="127.0.0.1"))
        headers = {"Authorization": "Bearer x"}
        client = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))

        async def get(route: str, **query: Any) -> Any:
            url = f"http://127.0.0.1:{server.bound_port}/api/v1/{route}"
            async with client.get(url, params=query) as answer:
                body = await answer.read()
                assert answer.status == 200, (url, query, body)
                return body

        def page(route: str, number: int, **query: Any) -> Call:
            return lambda: get(route, page=number, limit=LIMIT, **query)

        pages: dict[str, Any] = {}
        for name, route, count in (("album", album, in_album), ("library", "photos", total)):
            last = -(-count // LIMIT)
            for sort in ("date", "name", "size"):
                first = await measure(page(route, 1, sort=sort))
                end = await measure(page(route, last, sort=sort))
                middle = await measure(page(route, last // 2, sort=sort))
                ratio = {"last_to_first": round(end["p99_ms"] / first["p99_ms"], 2)}
                ratio["middle_to_first"] = round(middle["p99_ms"] / first["p99_ms"], 2)
                pages[f"{name} by {sort}"] = {"first": first, "last": end, "middle": middle, **ratio}
        searches = {
            question: await measure(page("photos/search", 1, q=question), 50)
            for question in ("lisboa", "birthday 2015", "iphone", "img", "photo", "0012345")
        }
        other = {
            route: await measure(lambda route=route, query=query: get(route, **query), 20)  # type: ignore[misc]  # bound now
            for route, query in (
                ("albums", {}),
                ("timeline", {}),
                ("photos/map", {}),
                ("search/suggest", {"q": "li"}),
                ("duplicates", {}),
            )
        }
        fresh = await fresh_searches(get)
    base = pages["album by date"]["first"]["p99_ms"]
    return {
        "photos": total,
        "album_photos": in_album,
        "pages": pages,
        "last_to_first_p99": max(found["last_to_first"] for found in pages.values()),
        "search": searches,
        "search_to_album_p99": {question: round(found["p99_ms"] / base, 2) for question, found in searches.items()},
        "fresh_searches": fresh,
        "fresh_search_p99_to_album_p99": round(fresh["p99_ms"] / base, 2),
        "other": other,
        "plain_offset_last_page_ms": plain_offset(path, 2, in_album),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", type=Path, help="an index made by benchmarks/big_library.py")
    parser.add_argument("--photos", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.index or Path(folder) / "index.db"
        if not path.exists():
            build(path, arguments.photos)
        print(json.dumps(asyncio.run(run(path)), indent=1))


if __name__ == "__main__":
    main()
