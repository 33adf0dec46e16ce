"""The page `/live` in a real browser."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.daemon import Daemon, daemon, daemons
from tests.http.flutter.test_daemon import drops
from tests.http.test_pages import CHROMIUM

__all__ = ["daemon", "daemons"]
WAIT_MS = 20_000


@pytest.mark.skipif(CHROMIUM is None, reason="needs the browser chromium")
def test_live_shows_both_sockets(daemon: Daemon) -> None:
    """The page shows the broadcast to anybody on the host, and the events to who is signed in; its policy holds."""
    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=os.geteuid() != 0)
        page = browser.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.goto(daemon.url + "/live")
        expect(page.locator("#broadcast-state")).to_have_text("Connected.", timeout=WAIT_MS)
        expect(page.locator("#events-state")).to_have_text("Sign in to see them.", timeout=WAIT_MS)
        drops(daemon).joinpath("a.txt").write_text('{"action": "PLAY", "value": "<b>x</b>"}')
        expect(page.locator("#broadcast-log li").first).to_contain_text('"<b>x</b>"', timeout=WAIT_MS)
        page.fill("#text", "hello")
        page.click("#send")
        expect(page.locator("#broadcast-log")).to_contain_text("Echo: hello", timeout=WAIT_MS)
        _sign_in(page, daemon)
        page.goto(daemon.url + "/live")
        expect(page.locator("#events-state")).to_have_text("Connected.", timeout=WAIT_MS)
        daemon.cli("scan", "--wait")
        expect(page.locator("#events-log")).to_contain_text("scan.finished", timeout=WAIT_MS)
        if folder := os.environ.get("PIXLSRVE_TEST_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / "live.png", full_page=True)
        browser.close()
    # A browser reports the 401 that tells the page that nobody is signed in.
    assert [problem for problem in problems if "401" not in problem] == []


def _sign_in(page: Page, daemon: Daemon) -> None:
    """Pair the browser, as the QR code's address does."""
    offer = json.loads(daemon.cli("pair", "--json", "--no-wait"))
    page.goto(f"{daemon.url}/pair#{offer['url'].partition('#')[2]}")
    expect(page.get_by_role("heading", name="You are in")).to_be_visible(timeout=WAIT_MS)


def test_policy_names_the_port(daemon: Daemon) -> None:
    """T28: the page may connect to this host's two websockets and to nothing else."""
    with urllib.request.urlopen(daemon.url + "/live") as answer:  # noqa: S310  # http to ourselves
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self' ws://127.0.0.1:" in policy
