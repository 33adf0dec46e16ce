"""One browser, and one daemon with a household's photos, for the tests that change nothing."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.daemon import Daemon
from tests.web.household import CHROMIUM, Visitor, fill, visiting, wait_for_thumbnails


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=os.geteuid() != 0)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder: Path = tmp_path_factory.mktemp("home")
    fill(folder / "photos")
    limits = {f"PIXLSRVE_RATE_LIMITS__{name}": "off" for name in ("AUTH", "PHOTOS", "OTHER")}
    daemon = Daemon(folder / "data", "--photos", str(folder / "photos"), env=limits).start()
    try:
        wait_for_thumbnails(daemon)
        yield daemon
    finally:
        daemon.stop()


@pytest.fixture
def visitor(browser: Browser, home: Daemon, request: pytest.FixtureRequest) -> Iterator[Visitor]:
    with visiting(browser, home, **getattr(request, "param", {})) as made:
        yield made
