"""WireGuard keys: which are accepted, how the host's own are made and kept."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from pixlsrve.errors import InvalidInput, StartError, StorageError
from pixlsrve.wg.keys import Seal, encode_key, load_server_pair, make_pair, parse_public_key

# The points of low order of curve25519, from the list at https://cr.yp.to/ecdh.html ("How do I validate keys?").
LOW_ORDER = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "cdeb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
    "4c9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7",
    "d9ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "daffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "dbffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
)
GOOD = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="  # RFC 7748 §6.1, Alice's


@pytest.mark.parametrize("point", LOW_ORDER)
def test_low_order_keys_are_refused(point: str) -> None:
    """T2: with these the tunnel's secret would be known to everybody."""
    with pytest.raises(InvalidInput):
        parse_public_key(encode_key(bytes.fromhex(point)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wireguard_public_key_base64",
        GOOD[:-1],
        GOOD + "=",
        GOOD.rstrip("="),
        GOOD + "\n",
        " " + GOOD,
        GOOD.replace("/", "_"),
        GOOD[:-2] + "p=",
        base64.b64encode(bytes(range(1, 32))).decode(),
        base64.b64encode(bytes(range(1, 34))).decode(),
        bytes(range(1, 33)).hex(),
        "x" * 100_000,
        "\ud800",
        "\u0661" * 44,
        encode_key(bytes([9, *bytes(30), 0x80])),
    ],
)
def test_other_texts_are_no_keys(text: str) -> None:
    """T2: exactly 32 bytes in base64, in its one spelling; a point's second spelling is no second key."""
    with pytest.raises(InvalidInput) as caught:
        parse_public_key(text)
    assert caught.value.details["parameter"] == "public_key"


def test_good_keys_are_accepted() -> None:
    """T2: a key from the standard, and those that are made here."""
    assert encode_key(parse_public_key(GOOD)) == GOOD
    for _ in range(20):
        pair = make_pair()
        assert parse_public_key(encode_key(pair.public)) == pair.public
        assert pair.private[0] % 8 == 0
        assert pair.private[31] & 0xC0 == 0x40
        assert pair.private.hex() not in repr(pair)


def test_the_hosts_pair_is_made_once(tmp_path: Path) -> None:
    """T36: the host's key stays the same, in a file that only its owner reads; a damaged one stops the start."""
    pair = load_server_pair(tmp_path)
    assert load_server_pair(tmp_path) == pair
    path = tmp_path / "keys" / "wireguard.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_bytes(b"short")
    with pytest.raises(StartError, match="tunnel's key"):
        load_server_pair(tmp_path)


def test_sealed_keys_open_for_their_device_only(tmp_path: Path) -> None:
    """T36: what is sealed can't be read, swapped or changed, and another installation can't open it."""
    seal, secret = Seal.load(tmp_path), make_pair().private
    sealed = seal.close(secret, 5)
    assert secret not in sealed
    assert seal.close(secret, 5) != sealed
    assert Seal.load(tmp_path).open(sealed, 5) == secret
    for broken, device_id in ((sealed, 6), (sealed[:-1], 5), (b"", 5), (bytes([sealed[0] ^ 1]) + sealed[1:], 5)):
        with pytest.raises(StorageError):
            seal.open(broken, device_id)
    with pytest.raises(StorageError):
        Seal(bytes(32)).open(sealed, 5)
