"""One browser for all, visitors in it, and one daemon with a household's photos for the tests that change nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.daemon import Daemon, daemon, daemons
from tests.web.browsing import Visit, browser, visiting
from tests.web.household import Guest, fill, receive, wait_for_thumbnails

__all__ = ["daemon", "daemons"]

expect.set_options(timeout=60_000)  # a busy machine takes its time


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    with browser() as made:
        yield made


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    with visiting(chromium) as made:
        yield made


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder: Path = tmp_path_factory.mktemp("home")
    fill(folder / "photos")
    limits = {f"PIXLSRVE_RATE_LIMITS__{name}": "off" for name in ("AUTH", "PHOTOS", "OTHER")}
    made = Daemon(folder / "data", "--photos", str(folder / "photos"), env=limits).start()
    try:
        wait_for_thumbnails(made)
        yield made
    finally:
        made.stop()


@pytest.fixture
def visitor(chromium: Browser, home: Daemon, request: pytest.FixtureRequest) -> Iterator[Guest]:
    with receive(chromium, home, **getattr(request, "param", {})) as made:
        yield made
