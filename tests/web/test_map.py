"""The map, in a real browser."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.web.browsing import needs_gallery
from tests.web.household import Guest

pytestmark = needs_gallery


def test_places_lead_to_their_photos(visitor: Guest) -> None:
    """What was taken near each other is one marker with a number; it opens exactly these photos."""
    page = visitor.go("/map")
    markers = page.get_by_role("list", name="Places").get_by_role("button")
    expect(markers).to_have_count(2)
    names = [marker.get_attribute("aria-label") or "" for marker in markers.all()]
    assert sorted(int(name.split()[0]) for name in names) == [8, 9]
    markers.filter(has_text="9").click()
    expect(page.locator(".pswp__counter")).to_have_text("1 / 9")
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    expect(markers.filter(has_text="9")).to_be_focused()


def test_map_obeys_the_keyboard(visitor: Guest) -> None:
    """Plus, minus and the arrow keys move the map; the outlines come from the host."""
    with visitor.page.expect_response(re.compile(r"/gallery/assets/countries-")):
        page = visitor.go("/map")
    expect(page.locator(".map-markers li")).to_have_count(2)
    markers = "[...document.querySelectorAll('.map-markers li')].map(marker => marker.getAttribute('style')).join()"
    for key in ("ArrowUp", "ArrowRight", "+", "-"):
        before = page.evaluate(markers)
        page.get_by_role("group", name="Map of where").press(key)
        page.wait_for_function(f"before => {markers} !== before", arg=before)


def test_places_are_also_a_list(visitor: Guest) -> None:
    """Who can't use a map finds the same places in a list."""
    page = visitor.go("/map")
    expect(page.locator(".map-marker")).to_have_count(2)
    page.get_by_role("button", name="List").click()
    expect(page.locator(".map-places button")).to_have_count(2)
    page.locator(".map-places button").first.press("Enter")
    expect(page.locator(".pswp__counter")).to_have_text("1 / 9")


def test_link_shows_one_photo_in_the_middle(visitor: Guest) -> None:
    """`?photo=` puts the map's middle where that photo was taken."""
    photo = visitor.photo("IMG_0001.jpg")
    page = visitor.go(f"/map?photo={photo['id']}")
    marker = page.locator(".map-marker").first
    expect(marker).to_be_visible()
    box, whole = marker.bounding_box(), page.locator(".map").bounding_box()
    assert box is not None
    assert whole is not None
    assert abs(box["x"] + box["width"] / 2 - whole["x"] - whole["width"] / 2) < 60
