"""The gallery on the large set of real photos, films and songs: every view against what the API says of the set."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.daemon import Daemon
from tests.media_set import copy_set, needs_set
from tests.web.browsing import UNLIMITED, needs_gallery
from tests.web.household import Guest, receive, wait_for_thumbnails

pytestmark = [needs_gallery, needs_set]
SHOWN = """() => {
  const slide = document.querySelector('.pswp__item[aria-hidden="false"]');
  if (!slide) return '';
  if (slide.querySelector('.viewer-player')) return 'player';
  if (slide.querySelector('.viewer-message')) return 'message';
  return [...slide.querySelectorAll('.pswp__img')].some(
    (each) => !each.classList.contains('pswp__img--placeholder') && each.complete && each.naturalWidth)
    ? 'picture' : '';
}"""


@pytest.fixture(scope="module")
def guest(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """An administrator's browser before a daemon that has indexed the set."""
    folder = tmp_path_factory.mktemp("set")
    root = copy_set(folder / "Media")
    daemon = Daemon(folder / "data", "--photos", str(root), "--no-mdns", "--no-vpn", env=UNLIMITED).start()
    try:
        wait_for_thumbnails(daemon)
        with receive(chromium, daemon, "--admin") as made:
            yield made
    finally:
        daemon.stop()


def _all(guest: Guest, path: str, name: str) -> list[dict[str, Any]]:
    """Every item of a list of the API."""
    found: list[dict[str, Any]] = []
    more = ""
    while True:
        answer = guest.ask(f"{path}{'&' if '?' in path else '?'}limit=100{more}")
        found += answer[name]
        if answer["pagination"]["next_cursor"] is None:
            return found
        more = f"&cursor={answer['pagination']['next_cursor']}"


def _shown(page: Page) -> str:
    """What the viewer shows: a picture, a player, or the words that explain why there is neither."""
    handle = page.wait_for_function(SHOWN)
    return str(handle.json_value())


def test_timeline_goes_from_the_newest_to_the_oldest(guest: Guest) -> None:
    """Both ends of the timeline are reached, and what lies there has its picture."""
    page = guest.go("/")
    expect(page.locator("[data-index='0'] .picture-there")).to_be_visible()
    total = guest.ask("/api/v1/photos?limit=1")["pagination"]["total"]
    page.get_by_role("slider", name="Go to a month").press("End")
    last = page.locator(f"[data-index='{total - 1}']")
    last.scroll_into_view_if_needed()
    expect(last).to_be_visible()


def test_viewer_shows_one_of_each_format(guest: Guest) -> None:
    """A photo of every format comes as a picture, converted where browsers can't draw it; films and songs have players.

    Words stand there instead where the host has no picture either, and for films and songs that no browser plays.
    """
    photos = [photo for kind in ("", "?kind=audio") for photo in _all(guest, f"/api/v1/photos{kind}", "photos")]
    one_each = {(photo["kind"], photo["format"]): photo for photo in photos if _has_picture(guest, photo)}
    assert {kind for kind, _ in one_each} == {"photo", "video", "audio"}
    wrong = []
    for (kind, format_), photo in sorted(one_each.items()):
        page = guest.go(f"/photo/{photo['id']}")
        expect(page.locator(".pswp--open")).to_be_visible()
        shown = _shown(page)
        if shown not in ({"picture"} if kind == "photo" else {"player", "message"}):
            wrong.append((format_, photo["path"], shown))
    assert wrong == []


def _has_picture(guest: Guest, photo: dict[str, Any]) -> bool:
    if photo["kind"] != "photo":
        return True
    status = guest.page.evaluate("path => fetch(path).then(answer => answer.status)", photo["thumbnail_url"])
    return bool(status == 200)


def test_albums_lead_to_every_folder(guest: Guest) -> None:
    """Each album opens, says how many photos it holds, and shows its folders and some photos."""
    for album in _all(guest, "/api/v1/albums?sort=name", "albums"):
        page = guest.go(f"/albums/{album['id']}")
        expect(page.get_by_role("heading", name=album["name"], exact=True)).to_be_visible()
        if album["photo_count"]:
            expect(page.locator("[data-index='0']")).to_be_attached()
        expect(page.locator(".covers li")).to_have_count(len(guest.ask(f"/api/v1/albums/{album['id']}")["sub_albums"]))


def test_search_finds_a_camera(guest: Guest) -> None:
    """A camera's name finds its photos, as many as the API says; a refinement becomes a chip that can be taken away."""
    found = guest.ask("/api/v1/photos/search?q=canon&limit=1")["results_count"]
    assert found > 0
    page = guest.go("/search")
    page.get_by_label("Search the photos").fill("canon")
    page.keyboard.press("Enter")
    expect(page.locator(".search-count")).to_have_text(re.compile(rf"^{found}\b"))
    page.get_by_label("Search the photos").fill("canon kind:photo")
    page.keyboard.press("Enter")
    chip = page.locator(".chips button")
    expect(chip).to_have_count(1)
    chip.click()
    expect(chip).to_have_count(0)
    expect(page.locator(".search-count")).to_have_text(re.compile(rf"^{found}\b"))


def test_map_has_every_place(guest: Guest) -> None:
    """The list beside the map counts as many photos as have a place."""
    total = guest.ask("/api/v1/photos/map?limit=1")["total"]
    page = guest.go("/map")
    expect(page.locator(".map-marker").first).to_be_visible()
    page.get_by_role("button", name="List").click()
    counts = page.locator(".map-places button .soft")
    expect(counts.first).to_be_visible()
    assert sum(int(re.sub(r"\D", "", text)) for text in counts.all_inner_texts()) == total


def test_problem_files_and_duplicates_are_told(guest: Guest) -> None:
    """Every file that can't be shown is listed with its reason, and all that is there twice."""
    problems = _all(guest, "/api/v1/host/quarantine", "files")
    page = guest.go("/more/problems")
    while (more := page.get_by_role("button", name="Show more")).count():
        more.first.click()
    expect(page.locator(".row")).to_have_count(len(problems))
    groups = _all(guest, "/api/v1/duplicates", "duplicates")
    guest.go("/more/duplicates")
    expect(page.locator(".group")).to_have_count(len(groups))
