"""The settings in the gallery: seen, changed, refused and taken back, in a real browser against a real daemon."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.daemon import Daemon, StartDaemon
from tests.web.browsing import Visit, Visitor, fits, needs_gallery
from tests.web.test_everyone import AXE, violations

pytestmark = needs_gallery
SMALL = {"width": 320, "height": 640}
PATIENCE_MS = 60_000


@pytest.fixture
def daemon(daemons: StartDaemon, tmp_path: Path) -> Daemon:
    """A host whose environment says something, and whose settings file does."""
    file = tmp_path / "pixlsrve.toml"
    file.write_text('[wireguard]\nendpoint = "home.example"\n')
    env = {"PIXLSRVE_RATE_LIMITS__AUTH": "off", "PIXLSRVE_RATE_LIMITS__OTHER": "off", "PIXLSRVE_MDNS__NAME": "Fixed"}
    return daemons("--config", str(file), "--host", "127.0.0.1", env=env).start()


def opened(visitor: Visitor) -> Page:
    """The page, as an admin."""
    page = visitor.pair("--admin")
    visitor.go("/more/settings")
    expect(page.get_by_role("heading", name="Settings", exact=True)).to_be_visible()
    return page


def entry(page: Page, key: str) -> Locator:
    """A setting that can be changed."""
    return page.locator(f"[data-key='{key}']")


def save(page: Page, name: str = "Save") -> None:
    page.get_by_role("button", name=name, exact=True).click()


def kept(daemon: Daemon) -> dict[str, Any]:
    """What settings.toml says."""
    return tomllib.loads((daemon.data_dir / "settings.toml").read_text())


def test_settings_are_shown_with_meaning_and_source(daemon: Daemon, visit: Visit) -> None:
    """Each stands with its meaning, value, source and standard; what is not for the page stands apart, to be read."""
    page = opened(visit(daemon))
    expect(entry(page, "accounts.registration")).to_contain_text("Who may make an account")
    expect(page.get_by_label("Who may make an account.")).to_have_value("closed")
    expect(entry(page, "wireguard.endpoint")).to_contain_text("set in the settings file · delivered: nothing")
    expect(entry(page, "dns.enabled")).to_contain_text("dns.enabled · as delivered")
    for key in ("photos", "http.port", "mdns.name", "compat.open_media_api"):
        expect(entry(page, key)).to_have_count(0)
    told = page.locator("dl > div")
    expect(told.filter(has_text="mdns.name")).to_contain_text("Fixed (set by the environment)")
    expect(told.filter(has_text="http.tls_port")).to_be_visible()
    page.get_by_text("All others").click()
    expect(page.get_by_text("log.format")).to_be_visible()
    assert fits(page)


def test_changes_are_saved_taken_and_taken_back(daemon: Daemon, visit: Visit) -> None:
    """Controls of each kind are saved at once, the host takes them without a restart, and one is taken back again."""
    page = opened(visit(daemon))
    pid = daemon.pid
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    page.get_by_label("Who may make an account.").select_option("whoever has an invitation")
    page.get_by_role("switch", name="Whether the host asks the router").check()
    page.get_by_label("Seconds between full walks").fill("120")
    page.get_by_label("Further names").fill("photos.example, two.example\n")
    page.get_by_label("The address that devices dial").fill("198.51.100.7:1234")
    page.get_by_label("Searches.", exact=True).fill("90")
    page.get_by_label("Period: Searches.").select_option("an hour")
    page.get_by_label("Period: Lists").select_option("no limit")
    expect(page.get_by_text("Not saved yet.")).to_be_visible()
    save(page)
    expect(page.get_by_text("The new settings are in force.")).to_be_visible(timeout=PATIENCE_MS)
    assert kept(daemon) == {
        "rescan_interval_s": 120,
        "accounts": {"registration": "invite"},
        "http": {"hosts": ["photos.example", "two.example"]},
        "rate_limits": {"browse": "off", "search": "90/hour"},
        "wireguard": {"endpoint": "198.51.100.7:1234", "port_mapping": True},
    }
    assert daemon.pid == pid
    expect(entry(page, "wireguard.endpoint")).to_contain_text("set on this page")
    page.get_by_role("button", name="Take back wireguard.endpoint").click()
    expect(page.get_by_label("The address that devices dial")).to_have_value("home.example", timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Take back wireguard.endpoint")).to_have_count(0)
    expect(page.get_by_text("The host is taking", exact=False)).to_have_count(0, timeout=PATIENCE_MS)
    page.reload()
    expect(page.get_by_label("The address that devices dial")).to_have_value("home.example")
    expect(page.get_by_label("Seconds between full walks")).to_have_value("120")
    assert "endpoint" not in kept(daemon)["wireguard"]


@pytest.mark.parametrize(
    ("locale", "label", "said", "button"),
    [
        ("en-GB", "The address that devices dial", "A name or an address", "Save"),
        ("de-DE", "Die Adresse, die Geräte von draußen", "Ein Name oder eine Adresse", "Speichern"),
    ],
)
def test_refusal_stands_at_its_field(
    daemon: Daemon, visit: Visit, locale: str, label: str, said: str, button: str
) -> None:
    """T18: a value that can't be used is told at the field, which gets the focus; nothing is saved or lost."""
    visitor = visit(daemon, locale=locale)
    page = visitor.pair("--admin")
    visitor.go("/more/settings")
    page.locator("[data-key='rescan_interval_s'] input").fill("99")
    field = page.get_by_label(label)
    field.fill("not a name")
    save(page, button)
    place = entry(page, "wireguard.endpoint")
    expect(place.get_by_role("alert")).to_contain_text(said)
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("[data-key='rescan_interval_s'] input")).to_have_value("99")
    assert not (daemon.data_dir / "settings.toml").exists()


def test_page_does_not_shut_itself_out(daemon: Daemon, visit: Visit) -> None:
    """T27: a page that is open under a name can't make that name unknown, and says so."""
    (daemon.data_dir / "settings.toml").write_text('[http]\nhosts = ["photos.localhost"]\n')
    daemon.stop()
    daemon.start()
    daemon.url = f"http://photos.localhost:{daemon.port}"
    page = opened(visit(daemon))
    page.get_by_label("Further names").fill("")
    save(page)
    expect(page.get_by_text("open under a name that would not be known")).to_be_visible()
    assert kept(daemon) == {"http": {"hosts": ["photos.localhost"]}}


def test_keyboard_alone_changes_a_setting(daemon: Daemon, visit: Visit) -> None:
    """A choice is made and saved without a pointer."""
    page = opened(visit(daemon))
    page.get_by_label("Who may make an account.").focus()
    page.keyboard.press("ArrowDown")
    page.get_by_role("switch", name="Whether the host answers names").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The new settings are in force.")).to_be_visible(timeout=PATIENCE_MS)
    assert kept(daemon) == {"accounts": {"registration": "invite"}, "dns": {"enabled": False}}


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: python web/build.py")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(daemon: Daemon, visit: Visit, scheme: str) -> None:
    """The page breaks no rule of axe on a small phone, with a refusal on it and all of it open; nothing sticks out."""
    visitor = visit(daemon, color_scheme=scheme, viewport=SMALL, bypass_csp=True)
    page = opened(visitor)
    page.get_by_text("All others").click()
    assert fits(page)
    assert violations(page) == []
    page.get_by_label("The address that devices dial").fill("not a name")
    save(page)
    expect(entry(page, "wireguard.endpoint").get_by_role("alert")).to_contain_text("A name or an address")
    assert fits(page)
    assert violations(page) == []
