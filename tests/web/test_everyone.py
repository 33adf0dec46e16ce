"""For everyone: assistive technology, keyboards, small and zoomed screens, languages, installation."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.daemon import Daemon
from tests.web.browsing import needs_gallery
from tests.web.household import ARABIC, SMALL, Guest, receive

pytestmark = needs_gallery
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
PAGES = (
    "/",
    "/albums",
    "/search",
    "/search?q=img",
    "/map",
    "/more",
    "/more/nowhere",
    "/more/upload",
    "/more/devices",
    "/more/duplicates",
)


def violations(page: Page) -> list[str]:
    """What axe finds wrong."""
    page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate("axe.run().then(result => result.violations)")
    return [f"{each['id']}: {[node['html'] for node in each['nodes']][:3]}" for each in found]


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: python web/build.py")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{"width": 1440, "height": 900}, SMALL], ids=["desk", "small"])
def test_axe_finds_no_violation(chromium: Browser, home: Daemon, scheme: str, size: dict[str, int]) -> None:
    """No page breaks a rule of axe, in light and dark, on a desk and on a small phone; nothing sticks out."""
    found = {}
    with receive(chromium, home, color_scheme=scheme, viewport=size, bypass_csp=True) as visitor:
        album = visitor.ask("/api/v1/albums")["albums"][0]["id"]
        for path in (*PAGES, f"/albums/{album}"):
            page = visitor.go(path)
            expect(page.get_by_role("main")).to_be_visible()
            expect(page.locator(".loading, .tile-empty")).to_have_count(0)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            if broken := violations(page):
                found[path] = broken
        page = visitor.go(f"/photo/{visitor.photo('IMG_0000.jpg')['id']}")
        expect(page.locator(".pswp--open")).to_be_visible()
        page.keyboard.press("i")
        expect(page.locator(".small-map canvas")).to_be_visible()
        if broken := violations(page):
            found["viewer"] = broken
    assert found == {}


def _tab_to(place: Locator, page: Page) -> None:
    """Press Tab until the place has the focus; few things stand before it."""
    passed = []
    for _ in range(4):
        page.keyboard.press("Tab")
        if place.evaluate("element => element === document.activeElement"):
            return
        passed.append(page.evaluate("document.activeElement.outerHTML.slice(0, 100)"))
    raise AssertionError(passed)


@pytest.mark.parametrize("visitor", [{"reduced_motion": "reduce"}], indirect=True)
def test_keyboard_alone_is_enough(visitor: Guest) -> None:
    """From the first Tab to a photo and back without a pointer."""
    page = visitor.go("/")
    expect(page.locator("[data-index='0']")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the photos")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("[data-index='0']")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-index='1']")).to_be_focused()
    page.keyboard.press("End")
    expect(page.locator(":focus")).to_have_attribute(
        "data-index", str(len(visitor.ask("/api/v1/photos?limit=500")["photos"]) - 1)
    )
    page.keyboard.press("Home")
    expect(page.locator("[data-index='0']")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".pswp--open")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("[data-index='0']")).to_be_focused()
    slider = page.get_by_role("slider", name="Go to a month")
    _tab_to(slider, page)
    page.keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^January 2020, "))


@pytest.mark.parametrize("visitor", [{"locale": "de-DE"}], indirect=True)
def test_second_language(visitor: Guest) -> None:
    """A browser that asks for German gets German, dates and numbers too."""
    page = visitor.go("/")
    expect(page.get_by_role("link", name="Fotos", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "de-DE"
    slider = page.get_by_role("slider", name="Zu einem Monat springen")
    slider.press("End")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^Januar 2020, \d+ Fotos?$"))


def test_names_from_right_to_left(visitor: Guest) -> None:
    """A right-to-left name stands in its own direction and turns nothing else."""
    page = visitor.go(f"/photo/{visitor.photo(ARABIC)['id']}")
    expect(page.locator(".pswp--open")).to_be_visible()
    page.keyboard.press("i")
    heading = page.get_by_role("complementary").get_by_role("heading", name=ARABIC)
    assert heading.evaluate("element => getComputedStyle(element).direction") == "rtl"
    assert page.evaluate("getComputedStyle(document.body).direction") == "ltr"


def test_gallery_can_be_installed(visitor: Guest) -> None:
    """The manifest that the page links to names icons that are there in the sizes that browsers ask for."""
    page = visitor.go("/")
    linked = "fetch(document.querySelector('link[rel=manifest]').href).then(answer => answer.text())"
    manifest = json.loads(page.evaluate(linked))
    assert manifest["display"] == "standalone"
    for icon in manifest["icons"]:
        size = page.evaluate(
            "src => new Promise(done => { const image = new Image(); image.onload = () => done(image.naturalWidth);"
            " image.onerror = () => done(0); image.src = src })",
            icon["src"],
        )
        assert icon["sizes"] == "any" or icon["sizes"] == f"{size}x{size}"


CROWDED = """() => {
  const seen = [...document.querySelectorAll('button, input, select, .button, nav a')].filter(each =>
    each.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && each.getClientRects().length &&
    !each.closest('.scrubber, .map-markers, [aria-hidden=true]'));
  const box = each => each.getBoundingClientRect();
  const name = each => each.outerHTML.slice(0, 90);
  const wrong = seen.filter(each => box(each).left < -1 || box(each).right > innerWidth + 1).map(name);
  const cut = seen.filter(each => each.matches('button, .button') && each.scrollWidth > each.clientWidth + 1).map(name);
  const nav = box(document.querySelector('.nav'));
  const free = seen.filter(each => !each.closest('.nav') && box(each).top < nav.top);
  free.forEach((one, at) => free.slice(at + 1).forEach(other => {
    const [a, b] = [box(one), box(other)];
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (across > 1 && down > 1 && !one.contains(other) && !other.contains(one)) wrong.push(name(one) + name(other));
  }));
  return [...wrong, ...cut];
}"""
HALF = {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2}
OURS = ("home", "people", "settings", "problems", "away")


@pytest.mark.parametrize(
    ("options", "text"),
    [({"viewport": SMALL}, 100), (HALF, 100), ({"viewport": SMALL}, 200)],
    ids=["320 px", "zoomed to 200 %", "320 px with text twice as large"],
)
def test_no_control_is_cut_off_or_covered(chromium: Browser, home: Daemon, options: dict[str, Any], text: int) -> None:
    """On a small or enlarged page every control is whole, within the screen's width and covers no other one."""
    found = {}
    with receive(chromium, home, bypass_csp=True, **options) as visitor:
        visitor.pair("--admin")
        for path in (*PAGES, *(f"/more/{part}" for part in OURS)):
            page = visitor.go(path)
            page.add_style_tag(content=f"html {{ font-size: {text}% !important }}")
            expect(page.get_by_role("main")).to_be_visible()
            expect(page.locator(".loading, .tile-empty")).to_have_count(0)
            wrong = page.evaluate(CROWDED)
            if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
                wrong.append("scrolls to the side")
            if wrong:
                found[path] = wrong
    assert found == {}


@pytest.mark.parametrize("visitor", [{"reduced_motion": "reduce"}], indirect=True)
def test_reduced_motion(visitor: Guest) -> None:
    """Whoever asked for less motion sees none: nothing on the page runs an animation, the viewer's opening included."""
    page = visitor.go("/")
    page.locator("[data-index='0']").click()
    expect(page.locator(".pswp--open")).to_be_visible()
    assert page.evaluate("document.getAnimations().filter(each => each.playState === 'running').length") == 0
