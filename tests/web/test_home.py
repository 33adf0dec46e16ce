"""The admin's pages, duplicates and problem files, against a real daemon."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.daemon import Daemon, StartDaemon
from tests.library import jpeg
from tests.web.browsing import UNLIMITED, Visit, fits, needs_gallery

pytestmark = needs_gallery
SECRET = "a long secret"
HOSTILE = "<img src=x onerror=alert(1)>.jpg"


@pytest.fixture
def daemon(daemons: StartDaemon, tmp_path: Path) -> Daemon:
    """Two folders with a duplicate, a damaged file with a hostile name, and a host that invites."""
    family, private = tmp_path / "Family", tmp_path / "Private"
    family.mkdir()
    private.mkdir()
    (family / "beach.jpg").write_bytes(jpeg((10, 20, 200)))
    (private / "beach again.jpg").write_bytes(jpeg((10, 20, 200)))
    (family / HOSTILE).write_bytes(jpeg((1, 1, 1))[:200])
    options = ("--photos", str(family), "--photos", str(private), "--storage-dir", str(tmp_path / "storage"))
    env = {**UNLIMITED, "PIXLSRVE_ACCOUNTS__REGISTRATION": "invite"}
    made = daemons(*options, "--host", "127.0.0.1", env=env).start()
    made.wait_indexed()
    return made


def sign_in(page: Page, url: str, name: str, password: str) -> None:
    """Sign in by the page for it."""
    page.goto(f"{url}/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_home_answers_how_the_host_is(daemon: Daemon, visit: Visit, tmp_path: Path) -> None:
    """An admin sees what is indexed, the disks, the way from outside, and a folder that goes away."""
    visitor = visit(daemon)
    page = visitor.pair("--admin")
    visitor.go("/more")
    page.get_by_role("link", name="Home", exact=True).click()

    def card(name: str) -> Locator:
        return page.locator(".card").filter(has=page.get_by_role("heading", name=name, exact=True))

    for text in ("Everything is indexed.", "2 photos and videos", "1 file could not be read"):
        expect(card("Photos")).to_contain_text(text)
    expect(card("Health")).to_contain_text("Nothing is wrong.")
    expect(card("From outside")).to_contain_text("The tunnel is off")
    expect(card("Disks")).to_contain_text("free")
    expect(card("Devices")).to_contain_text("1 device, seen within the last week")
    assert fits(page)
    (tmp_path / "Family" / "new.jpg").write_bytes(jpeg((90, 200, 10)))
    page.get_by_role("button", name="Look for new photos").click()
    expect(page.get_by_text("The folders are being looked through.")).to_be_visible()
    expect(page.get_by_text("3 photos and videos")).to_be_visible()
    shutil.rmtree(tmp_path / "Private")
    page.get_by_role("button", name="Look for new photos").click()
    expect(card("Health")).to_contain_text("Private is offline")
    expect(card("Health")).to_contain_text("Connect its disk")
    expect(card("Photos")).to_contain_text("not connected")


def test_member_is_not_shown_how_the_host_is(daemon: Daemon, visit: Visit) -> None:
    """T13: a member finds no way to the admin's pages, and their addresses show nothing to him."""
    visitor = visit(daemon)
    page = visitor.pair()
    visitor.go("/more")
    expect(page.get_by_role("link", name="Duplicates")).to_be_visible()
    for name in ("Home", "People", "Settings"):
        expect(page.get_by_role("link", name=name, exact=True)).to_have_count(0)
    visitor.go("/more/home")
    expect(page.get_by_role("heading", name="This page is for the administrator")).to_be_visible()
    for path in ("/more/people", "/more/settings"):
        visitor.go(path)
        expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_people_are_added_changed_and_removed(daemon: Daemon, visit: Visit) -> None:
    """T5, T7: an account made on the page sees the folders chosen for it, signs in, and is thrown out when removed."""
    admin = visit(daemon)
    page = admin.pair("--admin")
    admin.go("/more/people")
    page.get_by_role("button", name="Add a person").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("anna")
    dialog.get_by_label("Password").fill(SECRET)
    dialog.get_by_label("Some folders").check()
    dialog.get_by_label("Private").uncheck()
    dialog.get_by_label("Uploads").uncheck()
    dialog.get_by_role("button", name="Add a person").click()
    row = page.get_by_role("listitem").filter(has_text="anna")
    expect(row).to_contain_text("sees Family")
    anna = visit(daemon)
    sign_in(anna.page, daemon.url, "anna", SECRET)
    anna.page.get_by_role("link", name="Albums").click()
    expect(anna.page.get_by_role("link", name="Family")).to_be_visible()
    expect(anna.page.get_by_role("link", name="Private")).to_have_count(0)
    row.get_by_role("button", name="Change").click()
    dialog.get_by_label("Everything").check()
    dialog.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("sees everything")
    anna.go("/albums")
    expect(anna.page.get_by_role("link", name="Private")).to_be_visible()
    row.get_by_role("button", name="Remove").click()
    expect(dialog).to_contain_text("can't sign in any more")
    dialog.get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)
    anna.go("/albums")
    expect(anna.page.get_by_role("link", name="Sign in")).to_be_visible()


def test_refused_account_says_why(daemon: Daemon, visit: Visit) -> None:
    """A name that is taken is told in the dialog, which stays open with what was typed."""
    daemon.control("POST", "/users", {"username": "anna", "password": SECRET})
    visitor = visit(daemon)
    page = visitor.pair("--admin")
    visitor.go("/more/people")
    page.get_by_role("button", name="Add a person").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Anna")
    dialog.get_by_label("Password").fill(SECRET)
    dialog.get_by_role("button", name="Add a person").click()
    expect(dialog.get_by_role("alert")).to_have_text("That user name is taken.")
    expect(dialog.get_by_label("Name")).to_have_value("Anna")


def test_invitation_is_made_and_withdrawn(daemon: Daemon, visit: Visit) -> None:
    """T5: the page shows an invitation's code once; reloaded it lists the invitation without it, to be withdrawn."""
    visitor = visit(daemon)
    page = visitor.pair("--admin")
    visitor.go("/more/people")
    page.get_by_role("button", name="Invite somebody").click()
    code = page.locator(".code").inner_text()
    assert len(code) > 10
    page.reload()
    expect(page.get_by_text("by code")).to_be_visible()
    expect(page.get_by_text(code)).to_have_count(0)
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_text("No open invitations.")).to_be_visible()


def test_duplicates_and_problem_files_are_listed(daemon: Daemon, visit: Visit) -> None:
    """T28: copies stand together with where each is, a file that can't be read with its reason; names are only text."""
    visitor = visit(daemon)
    page = visitor.pair()
    visitor.go("/more/duplicates")
    group = page.locator(".group")
    expect(group).to_have_count(1)
    expect(group).to_contain_text("2 copies")
    for path in ("/Family/beach.jpg", "/Private/beach again.jpg"):
        expect(group.get_by_text(path)).to_be_visible()
    expect(group.get_by_role("img").first).to_have_js_property("complete", True)
    visitor.go("/more/problems")
    row = page.locator(".row")
    expect(row).to_have_count(1)
    expect(row).to_contain_text(HOSTILE)
    expect(row).to_contain_text("damaged")
    assert fits(page)


def test_home_speaks_german(daemon: Daemon, visit: Visit) -> None:
    """A German browser gets these pages in German, none of their texts left in English."""
    visitor = visit(daemon, locale="de-DE", color_scheme="dark")
    page = visitor.pair("--admin")
    visitor.go("/more/home")
    expect(page.get_by_text("Alles ist erfasst.")).to_be_visible()
    expect(page.get_by_text("Festplatten")).to_be_visible()
    visitor.go("/more/devices")
    expect(page.get_by_role("button", name="Ein Gerät hereinlassen")).to_be_visible()
