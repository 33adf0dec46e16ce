"""A real browser in front of a real daemon: what the tests of the gallery share."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, ConsoleMessage, Page, Request, sync_playwright

from pixlsrve.http import gallery
from tests.daemon import Daemon

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
BUILT = Path(gallery.__file__).parent / "built" / "index.html"
UNLIMITED = {f"PIXLSRVE_RATE_LIMITS__{name}": "off" for name in ("AUTH", "BROWSE", "OTHER", "THUMBNAILS", "UPLOADS")}
needs_gallery = pytest.mark.skipif(
    CHROMIUM is None or not BUILT.exists(),
    reason="needs the browser chromium and the built gallery: python web/build.py",
)


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=os.geteuid() != 0)
        yield chromium
        chromium.close()


class Visitor:
    """Somebody with a browser of his own; foreign requests and what goes wrong in a page are written down."""

    def __init__(self, context: BrowserContext, daemon: Daemon) -> None:
        self.context, self.daemon = context, daemon
        context.set_default_timeout(90_000)  # a busy machine takes its time
        self.problems: list[str] = []
        self.page = self.open()

    def open(self) -> Page:
        """One more page, not yet anywhere."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._note)
        page.on("request", self._check)
        return page

    def pair(self, *options: str) -> Page:
        """Let the browser in by a code, as an admin with `--admin`."""
        offer = json.loads(self.daemon.cli("pair", *options, "--json", "--no-wait"))
        self.page.goto(f"{self.daemon.url}/pair#" + offer["url"].partition("#")[2])
        self.page.get_by_role("heading", name="You are in").wait_for()
        return self.page

    def go(self, path: str) -> Page:
        """Open a view."""
        self.page.goto(self.daemon.url + path)
        return self.page

    def slow_down(self, page: Page, upload_bytes_s: int) -> CDPSession:
        """Send no faster than so, until `speed_up`."""
        session = self.context.new_cdp_session(page)
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", _conditions(upload_bytes_s))
        return session

    def _note(self, message: ConsoleMessage) -> None:
        # A browser reports each answer that is an error, each lost connection, and what it does only over HTTPS.
        expected = ("Failed to load resource", "WebSocket connection to", "Cross-Origin-Opener-Policy header has been")
        if message.type == "error" and not any(text in message.text for text in expected):
            self.problems.append(message.text)

    def _check(self, request: Request) -> None:
        where = urlsplit(request.url)
        if where.scheme in {"http", "https", "ws", "wss"} and where.port != self.daemon.port:
            self.problems.append(f"foreign request: {request.url}")


def speed_up(session: CDPSession) -> None:
    """No limit any more."""
    session.send("Network.emulateNetworkConditions", _conditions(-1))


def _conditions(upload_bytes_s: int) -> dict[str, Any]:
    return {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": upload_bytes_s}


Visit = Callable[..., Visitor]


@contextlib.contextmanager
def visiting(chromium: Browser) -> Iterator[Visit]:
    """Makes visitors: `visit(daemon, **options of the context)`; fails when something went wrong in a page."""
    made: list[Visitor] = []

    def visit(daemon: Daemon, **options: Any) -> Visitor:
        given = {"viewport": {"width": 390, "height": 844}, "locale": "en-GB", **options}
        made.append(Visitor(chromium.new_context(**given), daemon))
        return made[-1]

    yield visit
    for visitor in made:
        visitor.context.close()
    assert [problem for visitor in made for problem in visitor.problems] == []


def fits(page: Page) -> bool:
    """Whether nothing sticks out of the window to the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
