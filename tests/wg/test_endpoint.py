"""Where devices dial."""

from __future__ import annotations

import ipaddress

import pytest

from pixlsrve.wg.endpoint import endpoint, lan_address


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("home.example:1234", "home.example:1234"),
        ("home.example", "home.example:51820"),
        ("192.0.2.1", "192.0.2.1:51820"),
        ("[2001:db8::1]:1234", "[2001:db8::1]:1234"),
        ("[2001:db8::1]", "[2001:db8::1]:51820"),
        ("2001:db8::1", "[2001:db8::1]:51820"),
    ],
)
def test_setting_is_completed(setting: str, expected: str) -> None:
    """DESIGN 6: `server_endpoint` is the setting if given, with the tunnel's port where it has none."""
    assert endpoint(setting, 51_820) == expected


def test_lan_address_is_one_that_others_can_dial() -> None:
    """DESIGN 6: else the LAN address: an address of this host."""
    address = ipaddress.ip_address(lan_address())
    assert not address.is_unspecified
    assert not address.is_link_local
    host, _, port = endpoint("", 51_820).rpartition(":")
    assert host.strip("[]") == str(address)
    assert port == "51820"
