"""The pages for people, in a real browser where there is one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from pixlsrve.http.pages import ROUTES
from pixlsrve.http.routing import Access, Rate
from tests.daemon import COMMAND, Daemon, daemon, daemons

__all__ = ["daemon", "daemons"]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SECRET = "a long secret"
PHONE = {"viewport": {"width": 320, "height": 568}, "is_mobile": True, "has_touch": True}
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1"

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs the browser chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of this module."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=os.geteuid() != 0)
        yield chromium
        chromium.close()


class Visit:
    """A page in a browser of its own; what goes wrong in it is written down."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.page = context.new_page()
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._note)

    def go(self, path: str) -> Page:
        """Open a page of the host."""
        self.page.goto(self.url + path)
        return self.page

    def _note(self, message: ConsoleMessage) -> None:
        # A browser reports each 401 and 403, which the pages expect.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(message.text)


@pytest.fixture
def visit(browser: Browser, daemon: Daemon, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A new phone's browser; the test fails when a script failed or the policy stopped something."""
    options: dict[str, Any] = {**PHONE, **getattr(request, "param", {})}
    context = browser.new_context(user_agent=IPHONE, **options)
    visit = Visit(context, daemon.url)
    yield visit
    context.close()
    assert visit.problems == []


def _offer(daemon: Daemon) -> dict[str, Any]:
    offer: dict[str, Any] = json.loads(daemon.cli("pair", "--json", "--no-wait"))
    return offer


def _devices(daemon: Daemon) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(daemon.cli("devices", "--json"))
    return rows


def _add_user(daemon: Daemon, name: str) -> None:
    command = [*COMMAND, "user", "--data-dir", str(daemon.data_dir), "add", name, "--password-stdin"]
    subprocess.run(command, input=SECRET, text=True, check=True, capture_output=True)


def _fits(page: Page) -> bool:
    """Whether nothing sticks out of the window to the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def _status(page: Page, path: str) -> int:
    """The status that the page's own script gets."""
    return int(page.evaluate("path => fetch(path).then(response => response.status)", path))


def test_pages_are_public_and_not_counted() -> None:
    """T13: the pages and their files are open to anybody and in no rate limit."""
    assert {(route.access, route.rate) for route in ROUTES} == {(Access.PUBLIC, Rate.FREE)}


def test_pages_run_no_inline_script(daemon: Daemon) -> None:
    """T28: each page forbids inline scripts, framing and foreign sources, and has none of these."""
    for route in ROUTES:
        if route.content_type != "text/html":
            continue
        status, body = daemon.get(route.path)
        assert status == 200
        text = body.decode()
        assert not re.search(r"<script(?![^>]*\ssrc=\"/)|\son\w+=|<style|\sstyle=|javascript:|//", text), route.path


def test_pages_have_a_strict_policy(daemon: Daemon) -> None:
    """T28: the policy allows what the host itself serves, and nothing else."""
    with urllib.request.urlopen(f"{daemon.url}/pair", timeout=180) as response:  # noqa: S310  # ourselves
        policy = response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert (rules["default-src"], rules["script-src"], rules["frame-ancestors"]) == ("'none'", "'self'", "'none'")
    assert "unsafe" not in policy


@needs_browser
def test_scanned_address_pairs_the_browser(daemon: Daemon, visit: Visit) -> None:
    """Opening the QR code's address in a phone lets its browser in; the code stays in no history."""
    offer = _offer(daemon)
    page = visit.go("/pair#" + offer["url"].partition("#")[2])
    expect(page.get_by_role("heading", name="You are in")).to_be_visible()
    expect(page.locator("#joined")).to_have_text("Browser on iPhone")
    assert page.url == f"{daemon.url}/pair"
    assert [(row["device_name"], row["device_type"]) for row in _devices(daemon)] == [("Browser on iPhone", "browser")]
    assert _status(page, "/api/v1/albums") == 200
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert page.evaluate("document.cookie + Object.keys(localStorage)") == "pixlsrve.ways"
    assert set(page.evaluate("JSON.parse(localStorage['pixlsrve.ways'])")) == {"id", "origins"}
    page.get_by_role("link", name="Go on").click()
    expect(page.get_by_role("navigation")).to_be_visible()
    daemon.cli("revoke", "1")
    expect(page.get_by_role("heading", name="This device was removed from the household")).to_be_visible()
    assert _status(page, "/api/v1/albums") == 401


@needs_browser
def test_code_is_typed_where_there_is_none(daemon: Daemon, visit: Visit) -> None:
    """Without a code in the address the page asks for one; a wrong one is told and may be corrected."""
    offer = _offer(daemon)
    page = visit.go("/pair")
    expect(page.get_by_label("Code", exact=True)).to_be_focused()
    page.get_by_label("Code", exact=True).fill("WRNG-WRNG")
    page.get_by_role("button", name="Let it in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    page.get_by_label("Name of this device").fill("Anna's phone")
    page.get_by_label("Code", exact=True).fill(f"{offer['code'][:4]}-{offer['code'][4:]}".lower())
    page.get_by_role("button", name="Let it in").click()
    expect(page.get_by_role("heading", name="You are in")).to_be_visible()
    assert [row["device_name"] for row in _devices(daemon)] == ["Anna's phone"]


@needs_browser
def test_code_of_another_host_is_not_used(daemon: Daemon, visit: Visit) -> None:
    """An address that was made by another host is told, and its code goes nowhere."""
    code = _offer(daemon)["url"].partition("#c=")[2].partition("&")[0]
    page = visit.go(f"/pair#c={code}&h=00000000-0000-4000-8000-000000000000")
    expect(page.get_by_role("alert")).to_contain_text("another host")
    assert _devices(daemon) == []


@needs_browser
def test_signing_in_and_out(daemon: Daemon, visit: Visit) -> None:
    """Name and password give a cookie that scripts can't read; a wrong password is told; signing out ends it."""
    _add_user(daemon, "anna")
    page = visit.go("/")
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("Name", exact=True).fill("anna")
    page.get_by_label("Password").fill("wrong password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    expect(page.get_by_label("Password")).to_have_value("")
    page.get_by_label("Password").fill(SECRET)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation")).to_be_visible()
    assert page.url == f"{daemon.url}/"
    assert page.evaluate("document.cookie") == ""
    assert _status(page, "/api/v1/albums") == 200
    page.get_by_role("link", name="More").click()
    expect(page.get_by_role("link", name="Change that")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    assert _status(page, "/api/v1/albums") == 401
    assert page.context.cookies() == []


@needs_browser
@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("/api/docs", "/api/docs"),
        ("//example.org/", "/"),
        ("https://example.org/", "/"),
        ("javascript:alert(1)", "/"),
        ("http://", "/"),
    ],
)
def test_signing_in_leads_to_our_own_pages_only(daemon: Daemon, visit: Visit, wanted: str, path: str) -> None:
    """The address to go on to must be one of this host's."""
    _add_user(daemon, "anna")
    page = visit.go(f"/login?next={wanted}")
    page.get_by_label("Name", exact=True).fill("anna")
    page.get_by_label("Password").fill(SECRET)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(daemon.url + path)


@needs_browser
@pytest.mark.parametrize("visit", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_pages_fit_a_small_phone(visit: Visit) -> None:
    """At 320 pixels nothing sticks out, in light and in dark, and what is to be tapped is large enough."""
    backs = set()
    for path in ("/", "/login", "/pair"):
        page = visit.go(path)
        expect(page.locator("main")).to_be_visible()
        assert _fits(page), path
        for place in page.locator("button:visible, a.button:visible, input:visible").all():
            box = place.bounding_box()
            assert box is not None
            assert box["height"] >= 44, path
        backs.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(backs) == 1


@needs_browser
def test_page_waits_for_a_yes_when_there_is_no_code(daemon: Daemon, visit: Visit) -> None:
    """T1: without code, and nobody at a terminal, the page says that pairing is closed."""
    page = visit.go("/pair")
    page.get_by_role("button", name="Let it in").click()
    expect(page.get_by_role("alert")).to_contain_text("pixlsrve pair")
    assert _devices(daemon) == []
