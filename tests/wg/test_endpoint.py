"""Where devices dial."""

from __future__ import annotations

import ipaddress

import pytest

from pixlsrve.errors import ConfigError
from pixlsrve.wg.endpoint import endpoint, lan_address, parse_endpoint


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


@pytest.mark.parametrize(
    "setting",
    [
        "home:0",
        "home:65536",
        "home:port",
        "home:",
        ":51820",
        "a b",
        "-a.example",
        "a..b",
        "[192.0.2.1]:5",
        "[::1",
        "1.2.3",
        "300.1.1.1",
        "[::]:5",
        "fe80::1%eth0",
        "home\nPostUp=x",
        "http://home",
        "x" * 64,
        "224.0.0.1",
    ],
)
def test_bad_setting_is_refused(setting: str) -> None:
    """A setting that devices could not dial stops the start, with its value and what is allowed."""
    with pytest.raises(ConfigError, match=r"wireguard\.endpoint"):
        parse_endpoint(setting, 51_820)


def test_name_is_what_dns_has() -> None:
    """Names in other scripts are told as DNS knows them; surrounding blanks and the root's dot are dropped."""
    assert str(parse_endpoint(" bücher.example. ", 1)) == "xn--bcher-kva.example:1"
    assert parse_endpoint("", 1) is None


def test_lan_address_is_one_that_others_can_dial() -> None:
    """DESIGN 6: else the LAN address: an address of this host."""
    address = ipaddress.ip_address(lan_address())
    assert not address.is_unspecified
    assert not address.is_link_local
    host, _, port = endpoint("", 51_820).rpartition(":")
    assert host.strip("[]") == str(address)
    assert port == "51820"
