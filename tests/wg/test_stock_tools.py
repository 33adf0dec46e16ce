"""What the host hands out, taken by the stock WireGuard tools of a phone that has no other way home."""

from __future__ import annotations

import json
import plistlib
import sys
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from PIL import Image

from tests.mdns.lan import Lines
from tests.wg import net
from tests.wg.internet import CARRIER_OUTSIDE, HOME_OUTSIDE, WEB, Internet, internet_in
from tests.wg.net import HOST_ADDRESS, HomeDaemon, Phone, inside, new_keys, until

net.require()

SERVER, RESOLVER, FAR = "10.100.0.1", "198.51.100.53", "www.far.example"
CONFIG = "/api/v1/vpn/config"
_RESOLVER_PROGRAM = f"""
from dnslib import A, DNSRecord, RR
from dnslib.server import BaseResolver, DNSServer
class Answers(BaseResolver):
    def resolve(self, request, handler):
        reply = request.reply()
        if str(request.q.qname) == "{FAR}." and request.q.qtype == 1:
            reply.add_answer(RR("{FAR}", rdata=A("{WEB}"), ttl=60))
        return reply
server = DNSServer(Answers(), port=53, address="{RESOLVER}")
server.start_thread()
print("ready", flush=True)
server.thread.join()
"""


class Away:
    """A household's host, and a phone that paired at home and left."""

    def __init__(self, internet: Internet, folder: Path) -> None:
        self.internet = internet
        self._folder = folder
        settings = {
            "PIXLSRVE_WIREGUARD__ENDPOINT": HOME_OUTSIDE,
            "PIXLSRVE_DNS__UPSTREAM": RESOLVER,
        }
        self.daemon: HomeDaemon = internet.home.daemon(env=settings)
        self.daemon.start()
        self.daemon.wait_tunnel()
        until(lambda: bool(self.daemon.status()["dns"]["enabled"]), "the tunnel's resolver")
        self.phone: Phone = internet.home.phone("phone")
        self.internet.take_outside(self.phone.namespace)
        self.base = f"http://{SERVER}:{self.daemon.port}"

    def config(self, token: str, **query: str) -> tuple[int, Any]:
        """What GET /api/v1/vpn/config answers at home."""
        return self.daemon.call(f"{CONFIG}?{urllib.parse.urlencode(query)}", token=token)

    def file(self, token: str, **query: str) -> Path:
        """The same as a file, for what is no text."""
        target = self._folder / "fetched"
        url = f"http://127.0.0.1:{self.daemon.port}{CONFIG}?{urllib.parse.urlencode(query)}"
        header = f"Authorization: Bearer {token}"
        code, out = inside(self.daemon.namespace, "curl", "-sSf", "-H", header, "-o", str(target), url)
        assert code == 0, out
        return target

    def ask(self, path: str, token: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """What the phone is answered through the tunnel."""
        return self.daemon.call(path, body, token=token, namespace=self.phone.namespace, base=self.base)

    def is_home(self) -> bool:
        """Whether the phone reaches the host."""
        return self.phone.reaches(f"{self.base}/healthz")

    def wait_home(self) -> None:
        """Wait until it does."""
        until(self.is_home, "the tunnel")


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Away]:
    with internet_in(tmp_path) as internet:
        namespace = internet.add("dns", RESOLVER)
        resolver = tmp_path / "resolver.py"
        resolver.write_text(_RESOLVER_PROGRAM)
        started = internet.home.lan.start(namespace, sys.executable, str(resolver))
        Lines(started.stdout).wait(lambda line: line == "ready\n")
        yield Away(internet, tmp_path)


def test_as_a_new_user_would(away: Away) -> None:
    """Issue 4, done when: pair, `wg-quick up` with our file from outside, browse, find a name, revoke, see it end."""
    phone, daemon = away.phone, away.daemon
    joined = daemon.pair("Anna's phone")
    token = joined["api_token"]
    assert not phone.reaches(f"http://{HOST_ADDRESS}:{daemon.port}/healthz", 2)
    status, conf = away.config(token, format="conf")
    assert status == 200
    assert f"Endpoint = {HOME_OUTSIDE}:51820\n" in conf
    assert f"DNS = {SERVER}\n" in conf, daemon.log
    phone.up(conf)
    away.wait_home()
    assert away.ask("/api/v1/albums", token)[0] == 200
    assert phone.reaches(f"http://pixlsrve.home.arpa:{daemon.port}/healthz")
    assert phone.curl(f"http://{FAR}/") == (0, CARRIER_OUTSIDE)
    until(lambda: bool(json.loads(daemon.cli("devices", "--json"))[0]["tunnel"]["is_connected"]), "the handshake")
    (row,) = json.loads(daemon.cli("devices", "--json"))
    assert not row["tunnel"]["is_outdated"]
    assert row["tunnel"]["endpoint"].startswith(f"{CARRIER_OUTSIDE}:")
    assert row["tunnel"]["received_bytes"] > 0
    assert "connected" in daemon.cli("devices")
    daemon.cli("revoke", "Anna's phone")
    assert daemon.witness() == {}
    assert not phone.reaches(f"{away.base}/healthz", 3)
    for secret in (joined["wireguard_config"]["private_key"], token):
        assert secret not in daemon.log


def test_picture_is_scanned(away: Away) -> None:
    """The QR code, read by a camera's software, is a configuration that comes up as it is."""
    joined = away.daemon.pair()
    picture = Image.open(away.file(joined["api_token"], format="qr"))
    (found,) = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    away.phone.up(found.text)
    away.wait_home()


def test_own_key_is_put_into_the_file(away: Away) -> None:
    """T2: a phone that made its own key fills in one line; picture and profile are refused with the reason."""
    private, public = new_keys()
    joined = away.daemon.pair(public_key=public)
    token = joined["api_token"]
    assert joined["wireguard_config"]["private_key"] is None
    _, conf = away.config(token, format="conf", dns="none")
    (line,) = [line for line in conf.splitlines() if "PrivateKey" in line]
    assert line.startswith("# PrivateKey = ")
    away.phone.up(conf.replace(line, f"PrivateKey = {private}"))
    away.wait_home()
    for format_ in ("qr", "mobileconfig"):
        status, answer = away.config(token, format=format_)
        assert (status, answer["error"]["details"]["reason"]) == (409, "key_on_device")


def test_pairings_answer_is_enough(away: Away) -> None:
    """A native app builds its tunnel from pairing's fields alone, and goes by the ways it was told."""
    joined = away.daemon.pair()
    away.phone.up(Phone.conf(joined["wireguard_config"], dns=True))
    away.wait_home()
    ways = [(way["kind"], way["url"]) for way in joined["addresses"]]
    assert ways[0] == ("lan", f"http://{HOST_ADDRESS}:{away.daemon.port}")
    assert ("tunnel", away.base) in ways, away.daemon.log
    reached = []
    for _, url in ways:
        code, out = away.phone.curl(f"{url}/api/v1/discovery/info?host_id={joined['host_id']}", "-f", limit_s=3)
        if code == 0:
            assert json.loads(out)["host_id"] == joined["host_id"]
            reached.append(url)
    assert reached == [away.base, f"http://pixlsrve.home.arpa:{away.daemon.port}"]
    code, _ = away.phone.curl(f"{away.base}/api/v1/discovery/info?host_id={joined['device_id']}", "-f")
    assert code == 22


def test_profile_leads_home_and_knows_it(away: Away) -> None:
    """The profile's tunnel comes up with the stock tools; its probes answer 200 at home, and nowhere outside."""
    token = away.daemon.pair()["api_token"]
    profile = plistlib.loads(away.file(token, format="mobileconfig").read_bytes())
    payload = profile["PayloadContent"][0]
    probes = [rule["URLStringProbe"] for rule in payload["VPN"]["OnDemandRules"] if "URLStringProbe" in rule]
    assert probes
    flags = ("-o", "/dev/null", "-w", "%{http_code}")
    for url in probes:
        assert inside(away.daemon.namespace, "curl", "-sS", *flags, url) == (0, "200")
        assert away.phone.curl(url, *flags, limit_s=2)[0] != 0
    away.phone.up(payload["VendorConfig"]["WgQuickConfig"])
    away.wait_home()
    assert all(away.phone.curl(url, *flags, limit_s=2)[0] != 0 for url in probes)
    assert "DNS" in payload, away.daemon.log
    assert payload["DNS"]["ServerAddresses"] == [SERVER]
    internet = away.internet
    internet.bring_home(away.phone.namespace, "192.0.2.77")
    until(lambda: away.phone.curl(probes[0], *flags) == (0, "200"), "home")


def test_tunnel_ends_and_returns(away: Away) -> None:
    """DESIGN 9: vpn/revoke holds within a second and for the tunnel alone; vpn/restore brings it back as it was."""
    daemon, admin = away.daemon, away.daemon.token(admin=True)
    joined = daemon.pair("Phone")
    other = daemon.pair("Other")
    token, whose = joined["api_token"], {"device_id": joined["device_id"]}
    address = joined["wireguard_config"]["device_ip"]
    away.phone.up(Phone.conf(joined["wireguard_config"]))
    away.wait_home()
    assert away.ask("/api/v1/vpn/revoke", token, whose)[0] == 403
    report = {**whose, "status": "connected", "last_handshake": "2026-01-01T00:00:00Z", "rx_bytes": 10, "tx_bytes": 20}
    assert away.ask("/api/v1/vpn/status", token, report) == (200, {"acknowledged": True})
    assert away.ask("/api/v1/vpn/status", other["api_token"], report)[0] == 403

    began_s = time.monotonic()
    status, answer = daemon.call("/api/v1/vpn/revoke", {**whose, "reason": "Device lost"}, token=admin)
    assert (status, answer) == (200, {"success": True, "message": "VPN access revoked"})
    assert list(daemon.witness().values()) == [other["wireguard_config"]["device_ip"]]
    print(f"tunnel ended in {time.monotonic() - began_s:.3f} s")
    assert not away.phone.reaches(f"{away.base}/healthz", 3)
    assert daemon.call("/api/v1/albums", token=token)[0] == 200
    assert away.config(token)[0] == 403
    first = json.loads(daemon.cli("devices", "--json"))[0]["tunnel"]
    assert (first["state"], first["revoked_reason"], first["reported"]["rx_bytes"]) == ("revoked", "Device lost", 10)
    assert "Device lost" in daemon.cli("devices")

    assert daemon.call("/api/v1/vpn/restore", whose, token=admin)[0] == 200
    assert address in daemon.witness().values()
    away.wait_home()
    assert away.config(token)[1]["private_key"] == joined["wireguard_config"]["private_key"]


def test_end_of_a_tunnel_survives_a_crash(away: Away) -> None:
    """T8: what was ended stays ended when the daemon is killed and starts again."""
    daemon, admin = away.daemon, away.daemon.token(admin=True)
    joined = daemon.pair()
    assert daemon.call("/api/v1/vpn/revoke", {"device_id": joined["device_id"]}, token=admin)[0] == 200
    daemon.stop(9)
    daemon.start()
    daemon.wait_tunnel()
    assert daemon.witness() == {}
    assert json.loads(daemon.cli("devices", "--json"))[0]["tunnel"]["state"] == "revoked"
    assert daemon.call("/api/v1/vpn/restore", {"device_id": joined["device_id"]}, token=admin)[0] == 200
    assert list(daemon.witness().values()) == [joined["wireguard_config"]["device_ip"]]
