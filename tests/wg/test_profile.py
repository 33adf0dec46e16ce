"""The profile for Apple's devices, by the keys of Apple's VPN payload and of WireGuard for Apple's MOBILECONFIG.md."""

from __future__ import annotations

import plistlib
import uuid
from typing import Any

import msgspec
import pytest

from pixlsrve.errors import Conflict
from pixlsrve.wg.profile import Platform, mobileconfig, platform_of
from tests.wg.test_render import config

DEVICE = "3b1d2c9e-0000-4000-8000-00000000000a"
HOME = ["http://192.0.2.10:8080/probe", "http://[2001:db8::1]:8080/probe"]


def made(**change: Any) -> dict[str, Any]:
    """The profile as Apple's reader of property lists would see it."""
    facts: dict[str, Any] = {
        "device_id": DEVICE,
        "host_name": "Anna & <John>'s Mac",
        "platform": Platform.IOS,
        "home_urls": HOME,
        "own_names": ["pixlsrve.home.arpa"],
        "has_dns": True,
        **change,
    }
    peer = facts.pop("peer", config())
    found: dict[str, Any] = plistlib.loads(mobileconfig(peer, **facts), fmt=plistlib.FMT_XML)
    return found


def test_profile_is_what_the_app_reads() -> None:
    """The tunnel's file is in it, for the app of the platform, under the host's name."""
    profile = made()
    (payload,) = profile["PayloadContent"]
    assert (profile["PayloadType"], profile["PayloadVersion"]) == ("Configuration", 1)
    assert (payload["PayloadType"], payload["PayloadVersion"]) == ("com.apple.vpn.managed", 1)
    assert (payload["VPNType"], payload["VPNSubType"]) == ("VPN", "com.wireguard.ios")
    assert payload["UserDefinedName"] == "Photos on Anna & <John>'s Mac"
    assert payload["VPN"]["RemoteAddress"] == "192.0.2.9:51820"
    assert payload["VPN"]["AuthenticationMethod"] == "Password"
    assert f"PrivateKey = {config().private_key}" in payload["VendorConfig"]["WgQuickConfig"]
    assert made(platform=Platform.MACOS)["PayloadContent"][0]["VPNSubType"] == "com.wireguard.macos"
    for part in (profile, payload):
        assert uuid.UUID(part["PayloadUUID"])
    assert profile["PayloadUUID"] != payload["PayloadUUID"]


def test_on_away_from_home_and_off_at_home() -> None:
    """The first rule that fits counts: never at home on a phone network, off where the host answers, else on."""
    vpn = made()["PayloadContent"][0]["VPN"]
    assert vpn["OnDemandEnabled"] == 1
    assert vpn["OnDemandRules"] == [
        {"Action": "Connect", "InterfaceTypeMatch": "Cellular"},
        {"Action": "Disconnect", "URLStringProbe": HOME[0]},
        {"Action": "Disconnect", "URLStringProbe": HOME[1]},
        {"Action": "Connect"},
    ]
    assert made(home_urls=[])["PayloadContent"][0]["VPN"]["OnDemandRules"] == [{"Action": "Connect"}]
    many = made(home_urls=[f"http://192.0.2.{number}/" for number in range(20)])
    assert len(many["PayloadContent"][0]["VPN"]["OnDemandRules"]) == 5


def test_resolver_is_for_our_names_only() -> None:
    """DESIGN 9: the device's other names stay with its own resolver, so the app's file names none."""
    payload = made()["PayloadContent"][0]
    assert payload["DNS"]["ServerAddresses"] == ["10.100.0.1"]
    assert payload["DNS"]["SupplementalMatchDomains"] == ["pixlsrve.home.arpa"]
    assert payload["DNS"]["DNSProtocol"] == "Cleartext"
    assert "DNS =" not in payload["VendorConfig"]["WgQuickConfig"]
    assert "DNS" not in made(has_dns=False)["PayloadContent"][0]


def test_profile_replaces_its_predecessor() -> None:
    """Identifiers are the device's, so that a new profile takes the old one's place; equal ones are equal."""
    first, again, moved = made(), made(), made(peer=config("203.0.113.4:51820"))
    assert first == again
    assert first["PayloadIdentifier"] == moved["PayloadIdentifier"]
    assert first["PayloadUUID"] != moved["PayloadUUID"]
    other = made(device_id=str(uuid.uuid4()))
    assert other["PayloadIdentifier"] != first["PayloadIdentifier"]


def test_profile_needs_the_key() -> None:
    """T2: where only the device has its key there can be no profile."""
    with pytest.raises(Conflict):
        made(peer=msgspec.structs.replace(config(), private_key=None))


@pytest.mark.parametrize(
    ("type_", "platform"),
    [("macos", "macos"), ("MacBook", "macos"), ("ios", "ios"), ("ipad", "ios"), ("android", "ios"), ("browser", "ios")],
)
def test_platform_follows_the_devices_type(type_: str, platform: str) -> None:
    """The profile's app is that of the device where its type tells."""
    assert platform_of(type_).value == platform
