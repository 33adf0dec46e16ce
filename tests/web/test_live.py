"""What happens on the host happens on the page."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.daemon import Daemon, StartDaemon
from tests.web.browsing import needs_gallery
from tests.web.household import picture, receive, wait_for_thumbnails

pytestmark = needs_gallery
OUT = "This device was removed from the household"


def test_revoked_page_holds_no_photo(chromium: Browser, daemon: Daemon, tmp_path: Path) -> None:
    """T7: a page whose device is revoked says so, with a photo open too, and holds none any more."""
    picture(tmp_path / "photos/a.jpg", "2023:01:01 10:00:00")
    wait_for_thumbnails(daemon)
    with receive(chromium, daemon) as visitor:
        page = visitor.go("/")
        page.locator("[data-index='0']").click()
        expect(page.locator(".pswp--open img").first).to_be_visible()
        daemon.cli("revoke", "1")
        expect(page.get_by_role("heading", name=OUT)).to_be_visible()
        expect(page.locator("img, video, .pswp, .tile")).to_have_count(0)
        assert "a.jpg" not in page.content()
        assert "url(" not in page.content()
        page.go_back()  # perhaps to the page that let the browser in, which has an icon
        expect(page.locator("img[src*='/api/'], video, .pswp, .tile")).to_have_count(0)
        page.goto(f"{daemon.url}/albums")
        expect(page.get_by_role("heading", name=OUT)).to_be_visible()


def test_changes_on_disk_show_in_every_browser(chromium: Browser, daemon: Daemon, tmp_path: Path) -> None:
    """Photos that appear and vanish on disk do so on all open pages; one that is shown says that it has gone."""
    first = picture(tmp_path / "photos/a.jpg", "2023:01:01 10:00:00")
    wait_for_thumbnails(daemon)
    with receive(chromium, daemon) as one, receive(chromium, daemon) as other:
        for visitor in (one, other):
            expect(visitor.go("/").get_by_role("listitem")).to_have_count(1)
        picture(tmp_path / "photos/b.jpg", "2023:01:02 10:00:00")
        for visitor in (one, other):
            expect(visitor.page.get_by_role("listitem")).to_have_count(2)
        one.page.get_by_role("link", name="a.jpg").click()
        expect(one.page.locator(".pswp--open")).to_be_visible()
        first.unlink()
        expect(one.page.locator(".viewer-message")).to_have_text("This photo is not there any more.")
        expect(other.page.get_by_role("listitem")).to_have_count(1)
        one.page.keyboard.press("Escape")
        expect(one.page.get_by_role("listitem")).to_have_count(1)


def test_page_heals_after_a_restart(chromium: Browser, daemons: StartDaemon, tmp_path: Path) -> None:
    """A lost connection is shown, and heals with what happened meanwhile."""
    picture(tmp_path / "photos/a.jpg", "2023:01:01 10:00:00")
    daemon = daemons("--photos", str(tmp_path / "photos")).start()
    wait_for_thumbnails(daemon)
    port = daemon.port
    with receive(chromium, daemon) as visitor:
        page = visitor.go("/")
        expect(page.get_by_role("listitem")).to_have_count(1)
        daemon.stop(signal.SIGKILL)
        expect(page.get_by_text("The host does not answer.")).to_be_visible()
        picture(tmp_path / "photos/b.jpg", "2023:01:02 10:00:00")
        again = daemons("--photos", str(tmp_path / "photos"), "--port", str(port)).start()
        expect(page.get_by_text("The host does not answer.")).to_be_hidden()
        expect(page.get_by_role("listitem")).to_have_count(2)
        again.stop()


@pytest.mark.parametrize("reason", ["offline"])
def test_original_on_a_disk_that_is_away_is_told(
    chromium: Browser, daemon: Daemon, tmp_path: Path, reason: str
) -> None:
    """The preview of a photo whose disk is away stays, with words about why the whole picture is not there."""
    picture(tmp_path / "photos/a.jpg", "2023:01:01 10:00:00")
    wait_for_thumbnails(daemon)
    with receive(chromium, daemon) as visitor:
        page = visitor.go("/")
        (tmp_path / "photos").rename(tmp_path / "away")
        daemon.cli("scan", "--wait")
        page.get_by_role("link", name="a.jpg").click()
        expect(page.locator(".notices")).to_contain_text("The disk with this photo is not connected")
        expect(page.locator(".pswp__img").first).to_be_visible()
        assert visitor.ask(visitor.photo("a.jpg")["full_url"])["error"]["details"]["reason"] == reason
