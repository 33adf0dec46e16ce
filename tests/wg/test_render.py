"""What the stock WireGuard programs are given, as text and as a picture; they themselves try it in test_stock_tools."""

from __future__ import annotations

import configparser
import io

import pytest
import zxingcpp
from PIL import Image

from pixlsrve.errors import ConfigError, Conflict
from pixlsrve.wg.keys import encode_key, make_pair
from pixlsrve.wg.peers import PeerConfig
from pixlsrve.wg.render import qr_picture, require_key, wg_quick

PRIVATE, SERVER = encode_key(make_pair().private), encode_key(make_pair().public)


def config(endpoint: str = "192.0.2.9:51820", private_key: str | None = PRIVATE) -> PeerConfig:
    return PeerConfig(
        private_key=private_key,
        server_public_key=SERVER,
        server_endpoint=endpoint,
        allowed_ips="10.100.0.0/24",
        device_ip="10.100.0.2/32",
        dns="10.100.0.1",
    )


def parsed(text: str) -> dict[str, dict[str, str]]:
    """The file's sections, as an independent reader sees them."""
    reader = configparser.ConfigParser()
    reader.optionxform = str  # type: ignore[assignment,method-assign]  # keeps the case of keys
    reader.read_string(text)
    return {name: dict(reader[name]) for name in reader.sections()}


def test_file_has_what_wg_quick_reads() -> None:
    """wg-quick(8): an interface and one peer, kept alive through NAT, for the tunnel's network only."""
    text = wg_quick(config(), has_dns=True, comment="Anna's phone\nto the photos")
    assert parsed(text) == {
        "Interface": {"PrivateKey": PRIVATE, "Address": "10.100.0.2/32", "DNS": "10.100.0.1"},
        "Peer": {
            "PublicKey": SERVER,
            "AllowedIPs": "10.100.0.0/24",
            "Endpoint": "192.0.2.9:51820",
            "PersistentKeepalive": "25",
        },
    }
    assert text.startswith("# Anna's phone to the photos\n[Interface]\n")
    assert "DNS" not in wg_quick(config(), has_dns=False)


def test_own_key_is_left_to_be_filled_in() -> None:
    """DESIGN 3: where the device holds its key there is a commented line, and no app's QR code."""
    text = wg_quick(config(private_key=None), has_dns=True)
    assert "# PrivateKey = " in text
    assert "PrivateKey" not in parsed(text)["Interface"]
    with pytest.raises(Conflict, match="private key") as refused:
        require_key(config(private_key=None))
    assert refused.value.reason == "key_on_device"
    require_key(config())


@pytest.mark.parametrize(
    ("endpoint", "written"),
    [
        ("[2001:db8::7]:51820", "[2001:db8::7]:51820"),
        ("home.example.org:1", "home.example.org:1"),
        ("büro.example.org:51820", "xn--bro-hoa.example.org:51820"),
    ],
)
def test_endpoints_are_written_as_they_are_dialled(endpoint: str, written: str) -> None:
    """Addresses of IPv6 keep their brackets, names get the letters of the DNS."""
    assert parsed(wg_quick(config(endpoint), has_dns=False))["Peer"]["Endpoint"] == written


@pytest.mark.parametrize(
    "endpoint", ["", "home", "home:", "home:0", "home:x", "a:1\nPostUp = reboot", "a b:1", "a;b:1", "::1:5", "$(id):1"]
)
def test_nothing_else_gets_into_the_file(endpoint: str) -> None:
    """T35: an endpoint that is no HOST:PORT is refused instead of written where wg-quick would run it."""
    with pytest.raises(ConfigError):
        wg_quick(config(endpoint), has_dns=False)


def test_picture_holds_the_file() -> None:
    """A QR code reader gets back exactly the text."""
    text = wg_quick(config(), has_dns=True)
    (found,) = zxingcpp.read_barcodes(
        Image.open(io.BytesIO(qr_picture(text))), formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
    )
    assert (found.text, found.format) == (text, zxingcpp.BarcodeFormat.QRCode)
