"""The tunnel's routes, against the real identity and keys; the interface's figures are given."""

from __future__ import annotations

import asyncio
import io
import plistlib
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import zxingcpp
from PIL import Image

from pixlsrve.config import Config, RateLimitsConfig
from pixlsrve.http import application, identity, library
from pixlsrve.http.api_v1 import auth, devices, vpn
from pixlsrve.http.hosts import Hosts
from pixlsrve.http.identity import JoinLinks
from pixlsrve.http.library import HostInfo
from pixlsrve.http.reach import REACH, Reach
from pixlsrve.http.server import HttpServer
from pixlsrve.http.tunnel import TUNNEL_FACTS, TunnelFacts
from pixlsrve.model import Role
from pixlsrve.wg.interface import PeerState
from pixlsrve.wg.overview import Overview
from tests.auth.kit import HOST_ID, Kit, new_key, open_kit
from tests.http.api_v1.test_auth import Door

CONFIG, STATUS = "/api/v1/vpn/config", "/api/v1/vpn/status"
REVOKE, RESTORE = "/api/v1/vpn/revoke", "/api/v1/vpn/restore"
NOBODY = "7b1d2c9e-0000-4000-8000-000000000000"


class VpnDoor(Door):
    """A client, and what the interface would say."""

    def __init__(self, kit: Kit, client: aiohttp.ClientSession, base: str, facts: TunnelFacts) -> None:
        super().__init__(kit, client, base)
        self.facts = facts
        self.states: list[PeerState] = []
        self.applied = 0
        facts.overview.statistics = self._statistics
        kit.identity.revocation.on_change(self._apply)

    async def raw(self, path: str, token: str) -> tuple[int, Any, bytes]:
        """Status, headers and body of a GET."""
        headers = {"Authorization": f"Bearer {token}"}
        async with self.client.get(self.base + path, headers=headers) as answer:
            return answer.status, answer.headers, await answer.read()

    async def refusal(self, path: str, body: Any, token: str) -> tuple[int, str]:
        """Status and reason of a request that must fail."""
        status, answer = await self.call("GET" if body is None else "POST", path, body, token=token)
        return status, answer["error"]["details"]["reason"]

    async def devices(self, token: str) -> list[dict[str, Any]]:
        """What GET /api/v1/devices lists."""
        listed: list[dict[str, Any]] = (await self.call("GET", "/api/v1/devices", token=token))[1]["devices"]
        return listed

    async def _statistics(self) -> Iterable[PeerState]:
        return self.states

    async def _apply(self) -> None:
        self.applied += 1


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[VpnDoor]:
    """The routes on a free port, without limits."""
    config = Config(data_dir="", storage_dir="", rate_limits=RateLimitsConfig(auth="off", other="off"))
    async with open_kit(tmp_path) as kit:
        app = application.build(
            (*auth.ROUTES, *devices.ROUTES, *vpn.ROUTES),
            config,
            authenticator=kit.identity.authenticator,
            sessions=kit.identity.sessions,
            bus=kit.bus,
            hosts=Hosts([], names=["box"]),
        )
        facts = TunnelFacts(overview=Overview(kit.peers, "10.100.0.0/24"), has_dns=True, answers_dns=lambda: True)
        kit.identity.revocation.on_change(facts.forgetter(kit.identity.devices))
        app[identity.IDENTITY], app[identity.TUNNEL], app[TUNNEL_FACTS] = kit.identity, kit.peers, facts
        app[identity.JOIN_LINKS] = links = JoinLinks("127.0.0.1", HOST_ID)
        app[library.HOST] = HostInfo(host_id=HOST_ID, name="John's Mac", version="1", started_s=time.monotonic())
        app[REACH] = reach = Reach(config)
        async with HttpServer(app, host="127.0.0.1") as server, aiohttp.ClientSession() as client:
            links.port = server.bound_port
            reach.listens([("0.0.0.0", server.bound_port)])  # noqa: S104  # told, not bound
            yield VpnDoor(kit, client, f"http://127.0.0.1:{server.bound_port}", facts)


async def test_configuration_is_the_specs(door: VpnDoor) -> None:
    """specs/pixlsrve-api-v1.md, GET /vpn/config: these fields, the values of pairing, and no cache."""
    phone = await door.pair()
    status, headers, _ = await door.raw(CONFIG, phone["api_token"])
    assert (status, headers["Cache-Control"], headers["Content-Type"]) == (200, "no-store", "application/json")
    _, config = await door.call("GET", CONFIG, token=phone["api_token"])
    assert config == {**phone["wireguard_config"], "device_id": phone["device_id"], "keepalive": 25}
    assert config["dns"] == "10.100.0.1"


async def test_file_and_picture_are_the_same(door: VpnDoor) -> None:
    """DESIGN 3: format=conf is a file to keep, format=qr shows it to a camera; neither is cached."""
    phone = await door.pair(device_name="Anna's phone")
    status, headers, body = await door.raw(CONFIG + "?format=conf", phone["api_token"])
    assert (status, headers["Cache-Control"], headers["Content-Type"]) == (200, "no-store", "text/plain; charset=utf-8")
    assert headers["Content-Disposition"] == 'attachment; filename="pixlsrve.conf"'
    text = body.decode()
    assert f"PrivateKey = {phone['wireguard_config']['private_key']}\n" in text
    assert "DNS = 10.100.0.1\n" in text
    status, headers, body = await door.raw(CONFIG + "?format=qr", phone["api_token"])
    assert (status, headers["Cache-Control"], headers["Content-Type"]) == (200, "no-store", "image/png")
    (found,) = zxingcpp.read_barcodes(
        Image.open(io.BytesIO(body)), formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
    )
    assert text.endswith(found.text)
    assert found.text.startswith("[Interface]\n")


async def test_resolver_is_named_only_while_it_answers(door: VpnDoor) -> None:
    """A phone keeps its internet: no DNS line with dns=none, nor while the tunnel's resolver is silent or off."""
    token = (await door.pair())["api_token"]

    async def has_dns(options: str = "") -> bool:
        return b"DNS = " in (await door.raw(f"{CONFIG}?format=conf{options}", token))[2]

    assert await has_dns()
    assert await has_dns("&dns=tunnel")
    assert not await has_dns("&dns=none")
    assert (await door.call("GET", CONFIG + "?dns=none", token=token))[1]["dns"] is None
    door.facts.answers_dns = lambda: False
    assert not await has_dns()
    assert (await door.call("GET", CONFIG, token=token))[1]["dns"] == "10.100.0.1"
    door.facts.has_dns = False
    assert (await door.call("GET", CONFIG, token=token))[1]["dns"] is None
    assert (await door.pair(device_name="Other"))["wireguard_config"]["dns"] is None


async def test_profile_knows_home(door: VpnDoor) -> None:
    """format=mobileconfig: off where this very host answers on the LAN, by address and id."""
    phone = await door.pair()
    status, headers, body = await door.raw(CONFIG + "?format=mobileconfig", phone["api_token"])
    assert (status, headers["Cache-Control"]) == (200, "no-store")
    assert headers["Content-Type"] == "application/x-apple-aspen-config"
    assert headers["Content-Disposition"] == 'attachment; filename="pixlsrve.mobileconfig"'
    payload = plistlib.loads(body)["PayloadContent"][0]
    probes = [rule["URLStringProbe"] for rule in payload["VPN"]["OnDemandRules"] if rule["Action"] == "Disconnect"]
    at_home = [way["url"] for way in phone["addresses"] if way["kind"] == "lan"]
    assert probes == [f"{url}/api/v1/discovery/info?host_id={HOST_ID}" for url in at_home[:3]]
    assert payload["VPNSubType"] == "com.wireguard.ios"
    _, _, body = await door.raw(CONFIG + "?format=mobileconfig&platform=macos", phone["api_token"])
    assert plistlib.loads(body)["PayloadContent"][0]["VPNSubType"] == "com.wireguard.macos"


async def test_own_key_gets_a_file_to_fill_in(door: VpnDoor) -> None:
    """T2: the host has no private key to show: a commented line, and 409 for picture and profile."""
    token = (await door.pair(public_key=new_key()))["api_token"]
    _, _, body = await door.raw(CONFIG + "?format=conf", token)
    assert b"\n# PrivateKey = " in body
    assert b"\nPrivateKey" not in body
    for format_ in ("qr", "mobileconfig"):
        assert await door.refusal(f"{CONFIG}?format={format_}", None, token) == (409, "key_on_device")


async def test_admins_get_any_configuration(door: VpnDoor) -> None:
    """T15, T17: another device's is an admin's alone; others learn not even whether it exists."""
    phone, other = await door.pair(), await door.pair(device_name="Other")
    admin = await door.pair(device_name="Admin's", role=Role.ADMIN)
    path = f"{CONFIG}?device_id={phone['device_id']}"
    _, config = await door.call("GET", path, token=admin["api_token"])
    assert config["private_key"] == phone["wireguard_config"]["private_key"]
    assert (await door.call("GET", path, token=phone["api_token"]))[1] == config
    refused = await door.call("GET", path, token=other["api_token"])
    unknown = await door.call("GET", f"{CONFIG}?device_id={NOBODY}", token=other["api_token"])
    assert refused == unknown
    assert refused[0] == 403
    assert await door.refusal(f"{CONFIG}?device_id={NOBODY}", None, admin["api_token"]) == (404, "not_found")
    script, _ = await door.kit.identity.scripts.mint(door.kit.identity.authenticator, Role.ADMIN, 600)
    assert (await door.call("GET", path, token=script))[1] == config
    status, answer = await door.call("GET", CONFIG, token=script)
    assert (status, answer["error"]["code"]) == (404, "NOT_FOUND")
    assert "device_id" in answer["error"]["message"]


@pytest.mark.parametrize("query", ["format=xml", "format=", "dns=1.1.1.1", "platform=windows", "format=qr&format=conf"])
async def test_unknown_forms_are_400(door: VpnDoor, query: str) -> None:
    """DESIGN 4: a bad parameter is named."""
    token = (await door.pair())["api_token"]
    assert await door.refusal(f"{CONFIG}?{query}", None, token) == (400, "invalid_parameter")


async def test_ids_in_capital_letters(door: VpnDoor) -> None:
    """Apple's systems write UUIDs in capitals (RFC 9562 §4): the same device, for its tokens, tunnel and revocation."""
    phone, admin = await door.pair(), await door.pair(device_name="Admin's", role=Role.ADMIN)
    loud, token = phone["device_id"].upper(), phone["api_token"]
    assert (await door.raw(f"{CONFIG}?device_id={loud}", token))[0] == 200
    report = {"device_id": loud, "status": "connected"}
    assert (await door.call("POST", STATUS, report, token=token))[0] == 200
    for path in (REVOKE, RESTORE):
        assert (await door.call("POST", path, {"device_id": loud}, token=admin["api_token"]))[0] == 200
    body = {"device_id": loud, "refresh_token": phone["refresh_token"]}
    status, tokens = await door.post("/token/refresh", body)
    assert status == 200
    assert (await door.post("/revoke", {"device_id": loud}, token=tokens["api_token"]))[0] == 200


async def test_devices_report_about_themselves(door: VpnDoor) -> None:
    """POST /vpn/status: the spec's body and answer; the last report is shown, another device's is refused (T18)."""
    phone, other = await door.pair(), await door.pair(device_name="Other")
    admin = await door.pair(device_name="Admin's", role=Role.ADMIN)
    report = {
        "device_id": phone["device_id"],
        "status": "connected",
        "last_handshake": "2023-12-27T04:00:00Z",
        "rx_bytes": 1048576,
        "tx_bytes": 524288,
    }
    assert await door.call("POST", STATUS, report, token=phone["api_token"]) == (200, {"acknowledged": True})
    for caller in (other, admin):
        assert await door.refusal(STATUS, report, caller["api_token"]) == (403, "not_permitted")
    shown = (await door.devices(phone["api_token"]))[0]["tunnel"]["reported"]
    assert shown.pop("reported_at")
    assert shown == {name: report[name] for name in ("status", "last_handshake", "rx_bytes", "tx_bytes")}
    never = {"device_id": phone["device_id"], "status": "disconnected", "last_handshake": "0001-01-01T00:00:00Z"}
    assert (await door.call("POST", STATUS, never, token=phone["api_token"]))[0] == 200
    shown = (await door.devices(admin["api_token"]))[0]["tunnel"]["reported"]
    assert (shown["status"], shown["last_handshake"], shown["rx_bytes"]) == ("disconnected", None, 0)
    await door.kit.identity.devices.revoke(door.kit.identity.devices.by_uuid(phone["device_id"]))
    assert door.facts.overview.reports.find(1) is None


@pytest.mark.parametrize(
    "change",
    [
        {"status": ""},
        {"status": "x" * 33},
        {"status": "a\nb"},
        {"status": 1},
        {"rx_bytes": -1},
        {"tx_bytes": 2**63},
        {"rx_bytes": "1"},
        {"last_handshake": "yesterday"},
        {"last_handshake": "2023-12-27T04:00:00"},
        {"last_handshake": "9999-12-31T23:59:59-14:00"},
        {"last_handshake": 5},
        {"device_id": None},
    ],
)
async def test_bad_reports_are_400(door: VpnDoor, change: dict[str, Any]) -> None:
    """T18: what is reported has its type and its bounds, and leaves nothing behind otherwise."""
    phone = await door.pair()
    report = {"device_id": phone["device_id"], "status": "connected", "rx_bytes": 1, "tx_bytes": 1, **change}
    assert (await door.refusal(STATUS, report, phone["api_token"]))[0] == 400
    assert (await door.devices(phone["api_token"]))[0]["tunnel"]["reported"] is None


async def test_ending_and_restoring_a_tunnel(door: VpnDoor) -> None:
    """DESIGN 9: vpn/revoke ends the tunnel alone and tells whoever holds it open; vpn/restore takes it back."""
    phone, admin = await door.pair(), await door.pair(device_name="Admin's", role=Role.ADMIN)
    token, whose = phone["api_token"], {"device_id": phone["device_id"]}
    for path in (REVOKE, RESTORE):
        assert await door.refusal(path, whose, token) == (403, "not_permitted")
    assert door.applied == 0
    done = await door.call("POST", REVOKE, {**whose, "reason": "Device lost"}, token=admin["api_token"])
    assert done == (200, {"success": True, "message": "VPN access revoked"})
    assert door.applied == 1
    assert (await door.kit.peers.all_rows())[0].blocked_us is not None
    assert await door.refusal(CONFIG, None, token) == (403, "vpn_revoked")
    assert await door.refusal(f"{CONFIG}?device_id={phone['device_id']}", None, admin["api_token"]) == (
        403,
        "vpn_revoked",
    )
    (mine,), (seen, *_) = await door.devices(token), await door.devices(admin["api_token"])
    assert (mine["tunnel"]["state"], mine["tunnel"]["revoked_reason"]) == ("revoked", None)
    assert (seen["tunnel"]["state"], seen["tunnel"]["revoked_reason"]) == ("revoked", "Device lost")
    assert seen["tunnel"]["revoked_at"] is not None
    done = await door.call("POST", RESTORE, whose, token=admin["api_token"])
    assert done == (200, {"success": True, "message": "VPN access restored"})
    assert door.applied == 2
    assert (await door.call("GET", CONFIG, token=token))[1]["private_key"] == phone["wireguard_config"]["private_key"]
    assert (await door.devices(token))[0]["tunnel"]["state"] == "allowed"


async def test_what_cannot_be_ended(door: VpnDoor) -> None:
    """T15, T18: unknown and revoked devices are 404, wrong fields 400, and nothing is told to anybody."""
    phone, admin = await door.pair(), await door.pair(device_name="Admin's", role=Role.ADMIN)
    token = admin["api_token"]
    for path in (REVOKE, RESTORE):
        assert await door.refusal(path, {"device_id": NOBODY}, token) == (404, "not_found")
        assert await door.refusal(path, {"device_id": "1"}, token) == (404, "not_found")
        assert (await door.refusal(path, {}, token))[0] == 400
        assert (await door.refusal(path, {"device_id": 1}, token))[0] == 400
    for reason in (5, "x" * 201, "a\x00b"):
        body = {"device_id": phone["device_id"], "reason": reason}
        assert (await door.refusal(REVOKE, body, token))[0] == 400
    assert door.applied == 0
    await door.kit.identity.devices.revoke(door.kit.identity.devices.by_uuid(phone["device_id"]))
    assert (await door.refusal(REVOKE, {"device_id": phone["device_id"]}, token))[0] == 404


async def test_devices_show_their_tunnel(door: VpnDoor) -> None:
    """GET /api/v1/devices: what the interface counts; where the device is, an admin alone learns."""
    phone, admin = await door.pair(), await door.pair(device_name="Admin's", role=Role.ADMIN)
    row = (await door.kit.peers.all_rows())[0]
    now_s = int(time.time())
    door.states = [
        PeerState(
            public_key=row.public_key,
            allowed_ips=("10.100.0.2/32",),
            endpoint="198.51.100.2:4000",
            last_handshake_s=now_s - 5,
            received_bytes=7,
            sent_bytes=8,
        )
    ]
    (mine,) = await door.devices(phone["api_token"])
    tunnel = mine["tunnel"]
    assert (tunnel["address"], tunnel["state"], tunnel["is_connected"]) == ("10.100.0.2", "allowed", True)
    assert (tunnel["received_bytes"], tunnel["sent_bytes"], tunnel["endpoint"]) == (7, 8, None)
    assert tunnel["last_handshake"] is not None
    assert tunnel["is_outdated"] is False
    seen, own = await door.devices(admin["api_token"])
    assert seen["tunnel"]["endpoint"] == "198.51.100.2:4000"
    assert (own["tunnel"]["is_connected"], own["tunnel"]["last_handshake"]) == (False, None)
    door.states = [PeerState(public_key=row.public_key, allowed_ips=(), last_handshake_s=now_s - 181)]
    assert (await door.devices(phone["api_token"]))[0]["tunnel"]["is_connected"] is False


async def test_pairing_hands_out_every_way(door: VpnDoor) -> None:
    """Issue 4: programs and browsers that pair get the ways to the host with its id."""
    phone = await door.pair()
    assert phone["host_id"] == HOST_ID
    assert all(way["url"].startswith("http://") and way["kind"] == "lan" for way in phone["addresses"])
    offer = door.open()
    body = {"device_name": "Browser", "device_type": "browser", "pairing_code": offer.qr_code}
    async with door.client.post(door.base + "/api/v1/auth/pair", json=body, headers={"Origin": door.base}) as answer:
        joined = await answer.json()
    assert (joined["host_id"], joined["addresses"]) == (HOST_ID, phone["addresses"])
    assert "wireguard_config" not in joined


async def test_parallel_ends_and_restores_agree(door: VpnDoor) -> None:
    """Whatever the order, the last word counts, and nothing fails."""
    phone, admin = await door.pair(), await door.pair(device_name="Admin's", role=Role.ADMIN)
    body, token = {"device_id": phone["device_id"]}, admin["api_token"]
    calls = [door.call("POST", path, body, token=token) for path in (REVOKE, RESTORE) * 10]
    assert {status for status, _ in await asyncio.gather(*calls)} == {200}
    await door.call("POST", RESTORE, body, token=token)
    assert (await door.devices(phone["api_token"]))[0]["tunnel"]["state"] == "allowed"
