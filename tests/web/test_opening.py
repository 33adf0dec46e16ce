"""How the timeline opens: few requests, none twice, and the reader's place when the reader comes back."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.sync_api import expect

from pixlsrve.http.gallery import EARLY
from tests.web.browsing import needs_gallery
from tests.web.household import Guest

pytestmark = needs_gallery
KEPT = "async () => { while (!history.state?.place) await new Promise(requestAnimationFrame); }"


def test_first_photos_take_one_round_trip(visitor: Guest) -> None:
    """What the host sends early is what the page asks for, once, and the newest days need no request of their own."""
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    page = visitor.go("/")
    expect(page.locator("[data-index='0'] .picture-there")).to_be_visible()
    targets = [f"{url.path}?{url.query}".rstrip("?") for url in map(urlsplit, asked)]
    assert [targets.count(path) for path in EARLY] == [1, 1]
    first_thumbnail = next(index for index, target in enumerate(targets) if "/thumbnail" in target)
    dated = re.compile(r"date_from=202[012]-")  # a day that has photos without a date is asked for
    assert not [target for target in targets[:first_thumbnail] if dated.search(target)]


def test_place_is_kept(visitor: Guest) -> None:
    """Back to the timeline, from another view and from a page outside, shows the photos that were seen before."""
    page = visitor.go("/")
    expect(page.locator("[data-index='0']")).to_be_visible()
    page.get_by_role("slider", name="Go to a month").press("End")
    last = page.locator("[data-index]").last
    expect(last).to_be_visible()
    expect(page.locator("[data-index='0']")).to_have_count(0)
    page.evaluate(KEPT)
    seen = last.get_attribute("href")
    page.get_by_role("link", name="Albums").click()
    expect(page.get_by_role("heading", name="Albums")).to_be_attached()
    page.go_back()
    expect(page.locator(f"a[href='{seen}']")).to_be_visible()
    page.goto(f"{visitor.daemon.url}/api/v1/docs")
    page.go_back()
    expect(page.locator(f"a[href='{seen}']")).to_be_visible()
