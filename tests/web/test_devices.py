"""Devices in the gallery: who is in, letting one in, taking one out, and the way home from outside."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import expect

from tests.daemon import Daemon, StartDaemon, free_port
from tests.web.browsing import UNLIMITED, Visit, fits, needs_gallery

pytestmark = needs_gallery


@pytest.fixture
def daemon(daemons: StartDaemon, tmp_path: Path) -> Daemon:
    """A daemon without photos, on a port that a restart keeps."""
    return daemons("--host", "127.0.0.1", "--port", str(free_port()), env=dict(UNLIMITED)).start()


def code_in(picture: bytes) -> str:
    """The text of the QR code in a screenshot."""
    (found,) = zxingcpp.read_barcodes(
        Image.open(io.BytesIO(picture)), formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
    )
    return str(found.text)


def test_phone_is_let_in_by_the_code_on_the_page(daemon: Daemon, visit: Visit) -> None:
    """T5: an admin's page shows a QR code, a phone that opens it is in as a member, and the page says who came."""
    admin = visit(daemon)
    page = admin.pair("--admin")
    admin.go("/more/devices")
    page.get_by_role("button", name="Let a device in").click()
    picture = page.get_by_role("img", name="QR code that lets a device in")
    expect(picture).to_be_visible()
    assert fits(page)
    phone = visit(
        daemon, user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148 Safari/604.1"
    )
    phone.page.goto(code_in(picture.screenshot()))
    expect(phone.page.get_by_role("heading", name="You are in")).to_be_visible()
    expect(page.get_by_role("dialog")).to_contain_text("Browser on iPhone is in.")
    page.get_by_role("button", name="Close").click()
    row = page.get_by_role("listitem").filter(has_text="Browser on iPhone")
    expect(row).to_contain_text("the household's")
    expect(row).not_to_contain_text("administrator")
    expect(row).to_contain_text("Tunnel: not used yet")


def test_removing_says_what_stops_and_then_stops_it(daemon: Daemon, visit: Visit) -> None:
    """T7: the dialog names what will stop working; cancelled, nothing happens; confirmed, that page ends."""
    phone = visit(daemon)
    phone.pair()
    phone.go("/")
    admin = visit(daemon)
    page = admin.pair("--admin")
    admin.go("/more/devices")
    remove = page.get_by_role("listitem").filter(has_not_text="this device").get_by_role("button", name="Remove")
    remove.click()
    dialog = page.get_by_role("dialog")
    for consequence in ("sees no photo", "breaks off", "Its tunnel ends", "paired again"):
        expect(dialog).to_contain_text(consequence)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(phone.page.get_by_role("navigation")).to_be_visible()
    remove.click()
    dialog.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("has been removed.")).to_be_visible()
    expect(phone.page.get_by_role("heading", name="This device was removed from the household")).to_be_visible()
    expect(page.locator(".row")).to_have_count(1)


def test_member_removes_only_the_own_device(daemon: Daemon, visit: Visit) -> None:
    """T7, T13: a member sees and removes its own device alone, is told that its page ends, and then it does."""
    visit(daemon).pair()
    member = visit(daemon)
    page = member.pair()
    member.go("/more/devices")
    expect(page.locator(".row")).to_have_count(1)
    expect(page.get_by_role("button", name="Let a device in")).to_have_count(0)
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("dialog")).to_contain_text("this page ends with it")
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("heading", name="This device was removed from the household")).to_be_visible()


def test_tunnel_is_handed_out_in_three_ways(daemon: Daemon, visit: Visit) -> None:
    """The same configuration comes as a picture to scan, as a file, and as a profile, with words for each step."""
    visitor = visit(daemon)
    page = visitor.pair()
    visitor.go("/more/away")
    expect(page.get_by_role("list").get_by_text("Install WireGuard")).to_be_visible()
    with page.expect_download() as coming:
        page.get_by_role("link", name="File for WireGuard").click()
    text = Path(coming.value.path()).read_text()
    key = page.evaluate("fetch('/api/v1/vpn/config').then(answer => answer.json()).then(config => config.private_key)")
    assert f"PrivateKey = {key}" in text
    page.get_by_role("button", name="Show the QR code").click()
    picture = page.get_by_role("img", name="QR code of this device's tunnel")
    expect(picture).to_have_js_property("complete", True)
    picture.scroll_into_view_if_needed()
    assert f"PrivateKey = {key}" in code_in(picture.screenshot())
    with page.expect_download() as coming:
        page.get_by_role("link", name="Profile for iPhone and iPad").click()
    assert b"com.wireguard.ios" in Path(coming.value.path()).read_bytes()
    assert fits(page)


def test_account_without_a_device_is_told_how_to_get_a_tunnel(daemon: Daemon, visit: Visit) -> None:
    """Whoever signed in with a password is told that a tunnel belongs to a paired device, and is led there."""
    daemon.control("POST", "/users", {"username": "anna", "password": "a long secret"})
    visitor = visit(daemon)
    page = visitor.go("/login")
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password", exact=True).fill("a long secret")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="More").click()
    page.get_by_role("link", name="Use away from home").click()
    expect(page.get_by_text("has no tunnel of its own")).to_be_visible()
    expect(page.get_by_role("link", name="Pair this browser")).to_have_attribute("href", "/pair")


def test_tunnel_is_ended_and_allowed_again(daemon: Daemon, visit: Visit) -> None:
    """An admin ends a device's tunnel alone and allows it again; the device's own page says so."""
    admin = visit(daemon)
    page = admin.pair("--admin")
    admin.go("/more/devices")
    page.get_by_role("button", name="End the tunnel").click()
    expect(page.locator(".row")).to_contain_text("Tunnel: ended by an administrator")
    admin.go("/more/away")
    expect(page.get_by_text("An administrator has ended this device's tunnel.")).to_be_visible()
    admin.go("/more/devices")
    page.get_by_role("button", name="Allow the tunnel again").click()
    expect(page.locator(".row")).to_contain_text("Tunnel: not used yet")


def test_outdated_way_home_is_shown(daemon: Daemon, visit: Visit) -> None:
    """When the address from outside has changed, devices with the old configuration are named, here and at home."""
    visitor = visit(daemon)
    page = visitor.pair("--admin")
    visitor.go("/more/away")
    page.get_by_role("button", name="Show the QR code").click()
    expect(page.get_by_role("img", name="QR code of this device's tunnel")).to_be_visible()
    daemon.stop()
    daemon.env["PIXLSRVE_WIREGUARD__ENDPOINT"] = "photos.example.org:51820"
    daemon.start()
    visitor.go("/more/devices")
    expect(page.locator(".row")).to_contain_text("Its way home has changed")
    visitor.go("/more/home")
    expect(page.get_by_text("1 device holds an outdated way home:")).to_be_visible()


def test_failed_sync_is_told(daemon: Daemon, visit: Visit) -> None:
    """A device whose sync failed says when and why, in words, and its removal names the sync."""
    added = daemon.control(
        "POST", "/devices/mini-servers", {"name": "Pi in the attic", "address": "127.0.0.1", "port": 1, "songs": []}
    )
    visitor = visit(daemon)
    page = visitor.pair("--admin")
    visitor.go("/more/devices")
    page.evaluate(
        "id => fetch(`/pisync/devices/${id}/sync`, { method: 'POST' }).then(answer => answer.status)", added["id"]
    )
    row = page.get_by_role("listitem").filter(has_text="Pi in the attic")
    expect(row).to_contain_text("Sync failed")
    row.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("dialog")).to_contain_text("fetches no more files from it")
