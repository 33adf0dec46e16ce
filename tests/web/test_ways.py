"""The gallery goes on by another address of the host where its own stops answering."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.daemon import Daemon, StartDaemon
from tests.web.browsing import UNLIMITED, Visit, needs_gallery

pytestmark = needs_gallery


@pytest.fixture
def daemon(daemons: StartDaemon) -> Daemon:
    """A daemon on every address."""
    return daemons(env=dict(UNLIMITED)).start()


def ways(daemon: Daemon) -> list[str]:
    """The addresses that the host hands out and that a page may ask."""
    _, info = daemon.get("/api/v1/discovery/info", daemon.token())
    return [way["url"] for way in info["addresses"] if way["kind"] == "lan" and "[" not in way["url"]]


def test_page_goes_on_by_another_address(daemon: Daemon, visit: Visit) -> None:
    """T34: when its address stops answering, the page finds the host at another one, and tells nobody else anything."""
    if not (others := ways(daemon)):
        pytest.skip("needs an IPv4 address on a network")
    visitor = visit(daemon)
    page = visitor.pair()
    with page.expect_response(lambda answer: "/discovery/info" in answer.url) as learnt:
        visitor.go("/albums")
    learnt.value.finished()
    page.route(f"{daemon.url}/**", lambda route: route.abort())
    page.get_by_role("link", name="Search").click()
    page.wait_for_url(lambda url: url.startswith(others[0]))
    assert urlsplit(page.url).path == "/search"


def test_page_stays_silent_at_another_host(daemon: Daemon, visit: Visit) -> None:
    """T28: sent to an address where another host answers than was meant, the page says so and asks nothing more."""
    visitor = visit(daemon)
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    page = visitor.go("/albums#h=somebody-else")
    expect(page.get_by_text("This is not the host that you came from.")).to_be_visible()
    assert [path for path in asked if path.startswith("/api/")] == ["/api/v1/discovery/info"]
    _, info = daemon.get("/api/v1/discovery/info", daemon.token())
    visitor.page = visitor.open()
    page = visitor.go(f"/albums#h={info['host_id']}")
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    assert "#" not in page.url
