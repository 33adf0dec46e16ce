"""What the doctor makes of the facts about being reached from outside."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pixlsrve.doctor.reachability import RECENT_US, check, judge
from pixlsrve.model import HomeReach

NOW_US = 1_800_000_000_000_000
AT_HOME = HomeReach(
    is_on=True, endpoint="192.168.7.2:51820", source="lan", port=51_820, lan_address="192.168.7.2", is_up=True
)
ASKING: dict[str, Any] = {"asks_router": True, "is_settled": True, "router": "192.168.7.1"}
MAPPED: dict[str, Any] = {**ASKING, "outer_address": "81.2.69.10", "outer_port": 51_820, "protocol": "upnp"}
NAMED: dict[str, Any] = {"source": "setting", "endpoint": "home.example.org:51820"}


def facts(**more: Any) -> HomeReach:
    """The facts of a home."""
    return msgspec.structs.replace(AT_HOME, **more)


@pytest.mark.parametrize(
    ("more", "answer", "cause", "words"),
    [
        ({"is_on": False}, "off", "tunnel_off", "switched off"),
        ({"is_up": False}, "no", "no_tunnel", "does not run"),
        ({}, "no", "no_endpoint", "only at home"),
        ({"endpoint": "81.2.69.10:51820"}, "unknown", "own_public_address", "public address"),
        ({"asks_router": True}, "unknown", "asking", "not answered yet"),
        ({"asks_router": True, "is_running": False}, "unknown", "not_running", "not running"),
        ({**ASKING, "trouble": "no_answer"}, "no", "no_upnp", "does not open ports"),
        ({**ASKING, "trouble": "refused", "detail": "because"}, "no", "refused", "because"),
        ({**ASKING, "trouble": "no_outer"}, "no", "behind_nat", "second router"),
        ({**ASKING, "trouble": "no_router", "router": None}, "no", "no_router", "no router"),
        ({**MAPPED, "outer_address": "100.64.3.4"}, "no", "carrier_nat", "100.64.3.4"),
        ({**ASKING, "trouble": "refused", "outer_address": "100.64.3.4"}, "no", "carrier_nat", "100.64.3.4"),
        ({**MAPPED, "outer_address": "10.0.0.5"}, "no", "double_nat", "behind another"),
        ({**MAPPED, "outer_address": None}, "no", "router_offline", "down"),
        ({**ASKING, "trouble": "no_answer", "router": "fe80::1"}, "no", "ipv6_only", "IPv6 only"),
        ({**MAPPED, "source": "mapping", "endpoint": "81.2.69.10:51820"}, "likely", "mapped", "lets UDP port 51820"),
        ({**ASKING, "source": "mapping", "endpoint": "81.2.69.10:51820"}, "unknown", "asking", "not answered yet"),
        (
            {**MAPPED, "source": "mapping", "endpoint": "[2a00::7]:51820", "outer_address": "2a00::7"},
            "likely",
            "ipv6_only",
            "Only networks that have IPv6",
        ),
        (NAMED, "unknown", "not_tried", "nobody knows"),
        ({**NAMED, "setting_addresses": []}, "no", "unknown_name", "leads nowhere"),
        ({**NAMED, "setting_addresses": ["192.168.7.2"]}, "no", "private_endpoint", "192.168.7.2"),
        ({**NAMED, **MAPPED, "setting_addresses": ["81.2.69.99"]}, "no", "address_changed", "81.2.69.99"),
        ({**NAMED, **MAPPED, "setting_addresses": ["81.2.69.10", "2a00::7"]}, "likely", "mapped", "lets UDP port"),
        ({**NAMED, **MAPPED, "setting_addresses": ["81.2.69.10"], "outer_port": 50_000}, "no", "other_port", "50000"),
        ({**NAMED, **ASKING, "trouble": "no_answer"}, "no", "no_upnp", "does not open ports"),
        ({**NAMED, **MAPPED, "outer_address": "10.0.0.5"}, "no", "double_nat", "behind another"),
        ({**NAMED, "seen_outside_us": NOW_US - 1}, "yes", "seen", "came in from outside"),
        ({**NAMED, "seen_outside_us": NOW_US - RECENT_US - 1}, "unknown", "not_tried", "nobody knows"),
        (
            {**NAMED, **MAPPED, "setting_addresses": ["81.2.69.99"], "seen_outside_us": NOW_US - 1},
            "no",
            "address_changed",
            "is 81.2.69.10 now",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_verdict(more: dict[str, Any], answer: str, cause: str, words: str) -> None:
    """Issue 4, point 5: plain words for each reason, and a remedy wherever it does not work for sure."""
    verdict = judge(facts(**more), NOW_US)
    assert (verdict.answer, verdict.cause) == (answer, cause)
    assert words in verdict.message
    assert verdict.remedy or answer == "yes"


def test_only_who_wants_it_is_warned() -> None:
    """A home that was never meant to be reached from outside has no fault; one that was has."""
    assert list(check(facts())) == []
    (finding,) = check(facts(**ASKING, trouble="no_answer"))
    assert finding.check == "reachability"
    assert finding.remedy


def test_outdated_devices_are_named() -> None:
    """DESIGN 9 "Endpoint": the doctor lists the devices that hold an outdated configuration."""
    (one,) = check(facts(outdated=[3]))
    assert one.check == "outdated_devices"
    assert "Device 3 holds" in one.message
    (many,) = check(facts(outdated=list(range(1, 13))))
    assert "10 and more hold" in many.message


def test_ipv6_is_offered_where_ipv4_is_shared() -> None:
    """Carrier NAT beside an IPv6 address: the remedy says how to come in by that."""
    verdict = judge(facts(**{**MAPPED, "outer_address": "100.64.3.4"}, own_ipv6="2a00::7"), NOW_US)
    assert 'wireguard.endpoint = "[2a00::7]:51820"' in verdict.remedy
