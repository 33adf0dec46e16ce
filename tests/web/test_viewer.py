"""One photo at a time, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.web.browsing import needs_gallery
from tests.web.household import HOSTILE, Guest

pytestmark = needs_gallery
PLAYING_MS = 120_000
"""Without a graphics card the processor draws the film, beside everything else."""
FULL = (
    "() => [...document.querySelectorAll('.pswp__img')].some(each => each.src.includes('/full') && each.naturalWidth)"
)


def _open(visitor: Guest, filename: str) -> Page:
    page = visitor.go(f"/photo/{visitor.photo(filename)['id']}")
    expect(page.locator(".pswp--open")).to_be_visible()
    return page


def test_keys_lead_through_the_photos(visitor: Guest) -> None:
    """Arrows move, i shows the details, Escape closes, and the focus is on the photo that was shown last."""
    page = visitor.go("/")
    page.locator("[data-index='2']").click()
    expect(page.locator(".pswp__counter")).to_have_text(re.compile(r"^3 / "))
    page.keyboard.press("ArrowRight")
    expect(page.locator(".pswp__counter")).to_have_text(re.compile(r"^4 / "))
    page.keyboard.press("i")
    details = page.get_by_role("complementary", name="Details")
    expect(details).to_be_visible()
    page.keyboard.press("i")
    expect(details).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page.locator("[data-index='3']")).to_be_focused()
    assert page.evaluate("location.pathname") == "/"


def test_whole_picture_follows_the_thumbnail(visitor: Guest) -> None:
    """The original takes the place of the thumbnail; what browsers can't draw comes converted."""
    page = _open(visitor, "IMG_0005.jpg")
    page.wait_for_function(FULL)
    page = _open(visitor, "scan.tiff")
    page.wait_for_function(FULL)
    assert page.evaluate(
        "() => [...document.querySelectorAll('.pswp__img')].some(each => each.src.endsWith('format=jpeg'))"
    )


def test_details_have_place_and_copies(visitor: Guest) -> None:
    """The details name every copy of the bytes and show the position on a map that leads to the large one."""
    page = _open(visitor, "IMG_0000.jpg")
    page.keyboard.press("i")
    details = page.get_by_role("complementary", name="Details")
    expect(details.locator(".copies li")).to_have_text([re.compile("0"), re.compile("0")])
    expect(details.locator(".copies")).to_contain_text("/photos/Trips/Copy of 0.jpg")
    details.get_by_role("link", name="Show on the map").click()
    expect(page.locator(".map-marker-wanted, .map-marker").first).to_be_visible()
    assert page.url.startswith(f"{visitor.daemon.url}/map?photo=")


def test_live_photo_plays(visitor: Guest) -> None:
    """The moving part plays by a button and then makes room for the still; other photos have no such button."""
    page = _open(visitor, "live.jpg")
    page.get_by_role("button", name="Play the live photo").click()
    film = page.locator(".viewer-live")
    expect(film).to_be_visible()
    page.wait_for_function("() => document.querySelector('.viewer-live')?.currentTime > 0", timeout=PLAYING_MS)
    expect(film).to_have_count(0)
    page = _open(visitor, "IMG_0005.jpg")
    expect(page.get_by_role("button", name="Play the live photo")).to_be_hidden()


@pytest.mark.parametrize("visitor", [{"reduced_motion": "reduce"}], indirect=True)
def test_live_photo_plays_while_a_finger_rests_on_it(visitor: Guest) -> None:
    """A long press plays the moving part, and letting go ends that."""
    page = _open(visitor, "live.jpg")
    page.mouse.move(700, 450)
    page.mouse.down()
    expect(page.locator(".viewer-live")).to_be_visible()
    page.mouse.up()
    expect(page.locator(".viewer-live")).to_have_count(0)


def test_film_and_its_ranges(visitor: Guest) -> None:
    """A film plays, and seeking asks the host for a part of it."""
    page = _open(visitor, "film.mp4")
    page.locator(".viewer-player").evaluate("player => player.play()")  # as who presses the button, if it stands still
    page.wait_for_function("() => document.querySelector('.viewer-player')?.currentTime > 0", timeout=PLAYING_MS)
    page.evaluate("() => { document.querySelector('.viewer-player').currentTime = 3 }")
    page.wait_for_function("() => document.querySelector('.viewer-player').currentTime >= 3", timeout=PLAYING_MS)
    status = page.evaluate(
        "url => fetch(url, { headers: { Range: 'bytes=10-19' } }).then(answer => answer.status)",
        visitor.photo("film.mp4")["full_url"],
    )
    assert status == 206


def test_hostile_names_are_text(visitor: Guest) -> None:
    """T28: a file name and a caption that are markup are shown as they are; nothing in them runs."""
    page = visitor.go("/")
    expect(page.locator("[aria-label*='<script>']")).to_have_count(1)
    page = _open(visitor, HOSTILE)
    page.keyboard.press("i")
    details = page.get_by_role("complementary", name="Details")
    expect(details).to_contain_text(HOSTILE)
    expect(details).to_contain_text("<b>bold</b>")
    expect(details.locator("b, script, img[src='x']")).to_have_count(0)
    assert page.title() not in {"1", "x"}


def test_missing_photo_is_told(visitor: Guest) -> None:
    """The link to a photo that is not there says so, and the timeline stays."""
    page = visitor.go("/photo/00000000-0000-4000-8000-000000000000")
    expect(page.locator(".notices")).to_contain_text("no photo")
    expect(page.locator(".tile").first).to_be_visible()
