"""A real browser on a phone in a namespace: the host's LAN address is taken away, its address in the tunnel stays."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.daemon import COMMAND
from tests.mdns.lan import Lan, run
from tests.wg import net
from tests.wg.net import HOST_ADDRESS, Home, HomeDaemon, Phone, home_in, inside, until

net.require()

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("ADDRESS SWITCHING IS NOT TESTED: install chromium (docs/development.md)", allow_module_level=True)

AT_HOME, SERVER = "192.168.77.10", "10.100.0.1"
STRANGER = "7b1d2c9e-0000-4000-8000-000000000000"
SECRET = "a long secret"
LIMIT_MS = 90_000


class Household:
    """A host with a LAN of private addresses, and beside it a line for the tunnel alone."""

    def __init__(self, home: Home, folder: Path) -> None:
        self.home = home
        self.lan = Lan(folder)
        self.lan.plug(home.host, "eth1", f"{AT_HOME}/24")
        self.phone: Phone = home.phone("phone", "192.0.2.20/24")
        self.lan.plug(self.phone.namespace, "eth1", "192.168.77.20/24")
        self.daemon: HomeDaemon = home.daemon()
        self.daemon.start()
        self.daemon.wait_tunnel()
        rules = f"add table ip only; add chain ip only out {{ type filter hook output priority filter; }}; \
            add rule ip only out ip daddr {HOST_ADDRESS} ip protocol tcp reject"
        run("ip", "netns", "exec", self.phone.namespace, "nft", rules)
        command = [*COMMAND, "user", "--data-dir", str(self.daemon.data_dir), "add", "anna", "--password-stdin"]
        subprocess.run(command, input=SECRET, text=True, check=True, capture_output=True)

    def url(self, address: str, path: str) -> str:
        return f"http://{address}:{self.daemon.port}{path}"

    def leave(self) -> None:
        """Take the host's address on the LAN away."""
        self.home.lan.ip(self.home.host, "addr", "delete", f"{AT_HOME}/24", "dev", "eth1")

    def return_home(self) -> None:
        """Give it back."""
        self.home.lan.ip(self.home.host, "addr", "add", f"{AT_HOME}/24", "dev", "eth1")


@pytest.fixture
def household(tmp_path: Path) -> Iterator[Household]:
    with home_in(tmp_path) as home:
        made = Household(home, tmp_path)
        yield made
        made.lan.close()


@pytest.fixture
def context(household: Household, tmp_path: Path) -> Iterator[BrowserContext]:
    """A browser in the phone's namespace."""
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\nexec ip netns exec {household.phone.namespace} {CHROMIUM} "$@"\n')
    program.chmod(0o755)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, chromium_sandbox=os.geteuid() != 0)
        made = browser.new_context()
        made.set_default_timeout(LIMIT_MS)
        yield made
        made.close()
        browser.close()


def _try_to_sign_in(page: Page) -> None:
    page.get_by_label("Name", exact=True).fill("anna")
    page.get_by_label("Password").fill(SECRET)
    page.get_by_role("button", name="Sign in").click()


def test_page_goes_on_by_the_tunnel(household: Household, context: BrowserContext) -> None:
    """Issue 4: a page whose address stops answering says so, keeps trying, and goes on where the same host answers."""
    daemon, phone = household.daemon, household.phone
    page = context.new_page()
    page.goto(household.url(AT_HOME, "/login"))
    expect(page.locator("[data-host]")).not_to_have_text("this photo host")
    kept = page.evaluate("JSON.parse(localStorage['pixlsrve.ways'])")
    assert household.url(AT_HOME, "") in kept["origins"]
    assert household.url(SERVER, "") in kept["origins"]

    household.leave()
    _try_to_sign_in(page)
    expect(page.get_by_role("alert")).to_contain_text("keeps trying", timeout=LIMIT_MS)
    assert page.url == household.url(AT_HOME, "/login")
    by_hand = page.get_by_role("alert").get_by_role("link", name=f"{SERVER}:{daemon.port}")
    assert by_hand.get_attribute("href") == household.url(SERVER, f"/login#h={kept['id']}")

    phone.up(Phone.conf(daemon.pair()["wireguard_config"]))
    page.wait_for_url(household.url(SERVER, "/login"), timeout=LIMIT_MS)
    expect(page.get_by_label("Password")).to_have_value("")
    assert context.cookies() == []
    _try_to_sign_in(page)
    page.wait_for_url(household.url(SERVER, "/"), timeout=LIMIT_MS)
    assert {cookie["domain"] for cookie in context.cookies()} == {SERVER}


def test_page_stays_when_its_address_returns(household: Household, context: BrowserContext) -> None:
    """Where nothing else answers the page waits, and takes back what it said when its own address is there again."""
    page = context.new_page()
    page.goto(household.url(AT_HOME, "/login"))
    expect(page.locator("[data-host]")).not_to_have_text("this photo host")
    household.leave()
    _try_to_sign_in(page)
    expect(page.get_by_role("alert")).to_contain_text("keeps trying", timeout=LIMIT_MS)
    household.return_home()
    expect(page.get_by_role("alert")).to_be_empty(timeout=LIMIT_MS)
    assert page.url == household.url(AT_HOME, "/login")


def test_another_host_gets_nothing(household: Household, context: BrowserContext) -> None:
    """A page that was sent to a host which is not the one it meant leaves no form to type a secret into."""
    page = context.new_page()
    page.goto(household.url(AT_HOME, f"/login?next=/away#h={STRANGER}"))
    expect(page.get_by_role("alert")).to_contain_text("not the host", timeout=LIMIT_MS)
    expect(page.get_by_label("Password")).to_have_count(0)
    assert page.url == household.url(AT_HOME, "/login?next=/away")
    assert page.evaluate("localStorage.length") == 0


def test_mark_is_for_those_who_know_the_host(household: Household) -> None:
    """T28, T34: the picture by which pages find the host comes for its id only, to any origin, and is never kept."""
    host_id = household.daemon.call("/api/v1/discovery/info")[1]["host_id"]
    base = household.url(AT_HOME, "/api/v1/discovery/mark")
    code, out = inside(household.phone.namespace, "curl", "-sSi", f"{base}?host_id={host_id}")
    assert code == 0
    head, _, body = out.partition("\n\n")
    assert " 200 " in head.splitlines()[0]
    assert "Cross-Origin-Resource-Policy: cross-origin" in head
    assert "Cache-Control: no-store" in head
    assert body.startswith("<svg")
    for query, status in ((f"?host_id={STRANGER}", "404"), ("", "400")):
        flags = ("-o", "/dev/null", "-w", "%{http_code}")
        assert inside(household.phone.namespace, "curl", "-sS", *flags, base + query) == (0, status)


def test_device_gets_its_way_home_from_the_page(household: Household, context: BrowserContext, tmp_path: Path) -> None:
    """A browser that paired finds file and profile at /away, the one for its platform first; the file works."""
    offer = household.daemon.control("POST", "/pairing-windows", {"waits": False})
    page = context.new_page()
    page.goto(household.url(AT_HOME, "/pair"))
    page.get_by_label("Code", exact=True).fill(offer["code"])
    page.get_by_role("button", name="Let it in").click()
    expect(page.get_by_role("heading", name="You are in")).to_be_visible(timeout=LIMIT_MS)
    page.goto(household.url(AT_HOME, "/away"))
    with page.expect_download() as waiting:
        page.get_by_role("link", name="File for WireGuard").click()
    assert waiting.value.suggested_filename == "pixlsrve.conf"
    conf = Path(waiting.value.path()).read_text()
    household.phone.up(
        conf.replace(f"Endpoint = {AT_HOME}:", f"Endpoint = {HOST_ADDRESS}:").replace("DNS =", "# DNS =")
    )
    until(lambda: household.phone.reaches(household.url(SERVER, "/healthz")), "the tunnel")
    page.reload()
    expect(page.get_by_text("The tunnel of this device is connected.")).to_be_visible(timeout=LIMIT_MS)
    expect(page.get_by_role("listitem").filter(has_text="you are here")).to_contain_text(AT_HOME)
    expect(page.get_by_role("link", name=f"{SERVER}:{household.daemon.port}")).to_be_visible()
