"""PCP's and NAT-PMP's messages, byte by byte, and answers that are none."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlsrve.wg.router import pcp
from pixlsrve.wg.router.mapping import make_wish
from pixlsrve.wg.router.protocol import Mapping, Refusal

WISH = make_wish(port=51_820, outer_port=4_000, secret=b"secret")
OUTER = bytes(10) + b"\xff\xff\x51\x02\x45\x0a"


def _answer(*, nonce: bytes = WISH.nonce, port: int = 51_820, result: int = 0, version: int = 2) -> bytes:
    """A MAP answer (RFC 6887 §7.2, §11.1)."""
    return struct.pack("!BBxBII12x", version, 0x81, result, 600, 7) + struct.pack(
        "!12sB3xHH16s", nonce, 17, port, 4_001, OUTER
    )


def test_request() -> None:
    """RFC 6887 §7.1 and §11.1: 60 bytes, our address mapped to IPv6, UDP, the ports."""
    made = pcp.pcp_request(IPv4Address("192.168.7.2"), WISH, outer_port=4_000, lease_s=600)
    assert made[:8] == bytes([2, 1, 0, 0]) + (600).to_bytes(4)
    assert made[8:24] == bytes(10) + b"\xff\xff" + bytes([192, 168, 7, 2])
    assert made[24:36] == WISH.nonce
    assert made[36:44] == bytes([17, 0, 0, 0]) + (51_820).to_bytes(2) + (4_000).to_bytes(2)
    assert made[44:] == bytes(10) + b"\xff\xff" + bytes(4)
    assert pcp.pcp_request(IPv6Address("2001:db8::2"), WISH, outer_port=1, lease_s=1)[44:] == bytes(16)


def test_answer() -> None:
    """The router's port, lease and outer address."""
    found = pcp.parse_pcp(_answer(), WISH)
    assert found == Mapping(outer=IPv4Address("81.2.69.10"), port=4_001, lease_s=600)


@pytest.mark.parametrize(
    "data",
    [b"", b"\2", _answer()[:59], _answer(nonce=bytes(12)), _answer(port=1), _answer()[:1] + b"\1" + _answer()[2:]],
)
def test_answers_that_are_not_ours_are_passed_over(data: bytes) -> None:
    """T24: too short, another's nonce or port, or no answer at all."""
    assert pcp.parse_pcp(data, WISH) is None


def test_refusals() -> None:
    """A code says why; another version is no refusal, so that NAT-PMP is tried (RFC 6887 §9, RFC 6886 §9)."""
    with pytest.raises(Refusal, match="does not allow"):
        pcp.parse_pcp(_answer(result=2), WISH)
    with pytest.raises(pcp.Unsupported):
        pcp.parse_pcp(_answer(result=1), WISH)
    with pytest.raises(pcp.Unsupported):
        pcp.parse_pcp(struct.pack("!BBHI", 0, 0x80, 1, 0), WISH)
    with pytest.raises(Refusal, match="no network"):
        pcp.parse_natpmp_address(struct.pack("!BBHI4s", 0, 128, 3, 1, bytes(4)))


def test_natpmp() -> None:
    """RFC 6886 §3.2 and §3.3."""
    assert pcp.natpmp_request(WISH, outer_port=4_000, lease_s=600) == struct.pack(
        "!BBHHHI", 0, 1, 0, 51_820, 4_000, 600
    )
    assert pcp.parse_natpmp_map(struct.pack("!BBHIHHI", 0, 129, 0, 9, 51_820, 4_001, 60), WISH) == (4_001, 60)
    assert pcp.parse_natpmp_map(struct.pack("!BBHIHHI", 0, 129, 0, 9, 51_821, 4_001, 60), WISH) is None
    assert pcp.parse_natpmp_address(struct.pack("!BBHI4s", 0, 128, 0, 9, bytes([81, 2, 69, 10]))) == IPv4Address(
        "81.2.69.10"
    )


@given(st.binary(max_size=1_100))
def test_any_bytes(data: bytes) -> None:
    """T24: whatever a router sends is a result, a refusal or nothing."""
    for parse in (lambda: pcp.parse_pcp(data, WISH), lambda: pcp.parse_natpmp_map(data, WISH)):
        try:
            parse()
        except (Refusal, pcp.Unsupported):
            continue


def test_wish_is_the_same_after_a_crash() -> None:
    """RFC 6887 §11.3: only the same nonce may renew; further ports are the same each time, and not another host's."""
    again = make_wish(port=51_820, outer_port=4_000, secret=b"secret")
    other = make_wish(port=51_820, outer_port=4_000, secret=b"other")
    assert again == WISH
    assert WISH.outer_ports[0] == 4_000
    assert all(49_152 <= port <= 65_535 for port in WISH.outer_ports[1:])
    assert other.nonce != WISH.nonce
    assert other.outer_ports != WISH.outer_ports
    assert WISH.nonce.hex() not in repr(WISH)
