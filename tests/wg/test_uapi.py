"""WireGuard's control protocol, by the words of https://www.wireguard.com/xplatform/."""

from __future__ import annotations

import ipaddress

import pytest

from pixlsrve.wg import uapi
from pixlsrve.wg.interface import DesiredPeer, PeerState

KEY = bytes(range(32))
OTHER = bytes(range(32, 64))
ANSWER = f"""private_key={OTHER.hex()}
listen_port=51820
public_key={KEY.hex()}
preshared_key={bytes(32).hex()}
endpoint=[2001:db8::7]:1234
last_handshake_time_sec=1800000000
last_handshake_time_nsec=5
tx_bytes=11
rx_bytes=22
persistent_keepalive_interval=0
allowed_ip=10.100.0.2/32
allowed_ip=fd00::2/128
protocol_version=1
public_key={OTHER.hex()}
last_handshake_time_sec=0
errno=0

"""


def test_request_says_each_thing_once() -> None:
    """A peer's addresses are replaced and not added to; keys are in hex; peers to drop come last."""
    peer = DesiredPeer(public_key=KEY, address=ipaddress.IPv4Address("10.100.0.2"))
    text = uapi.encode_set(private_key=OTHER, listening_port=1, put=[peer], remove=[OTHER])
    assert text.splitlines() == [
        "set=1",
        f"private_key={OTHER.hex()}",
        "listen_port=1",
        f"public_key={KEY.hex()}",
        "replace_allowed_ips=true",
        "allowed_ip=10.100.0.2/32",
        f"public_key={OTHER.hex()}",
        "remove=true",
        "",
    ]
    assert text.endswith("\n\n")


def test_answer_is_read_peer_by_peer() -> None:
    """What follows a public_key belongs to that peer; no handshake is None."""
    device = uapi.parse(ANSWER)
    assert (device.private_key, device.listening_port) == (OTHER, 51820)
    assert device.peers == (
        PeerState(
            public_key=KEY,
            allowed_ips=("10.100.0.2/32", "fd00::2/128"),
            endpoint="[2001:db8::7]:1234",
            last_handshake_s=1_800_000_000,
            received_bytes=22,
            sent_bytes=11,
        ),
        PeerState(public_key=OTHER, allowed_ips=()),
    )
    assert OTHER.hex() not in repr(device)


@pytest.mark.parametrize("number", ["98", "-98"])
def test_error_number_is_an_error(number: str) -> None:
    """errno is told as the system's error, whichever sign the implementation gives it."""
    with pytest.raises(OSError, match="in use") as caught:
        uapi.check(f"errno={number}\n\n")
    assert caught.value.errno == 98


@pytest.mark.parametrize("answer", ["", "listen_port=1\n", "errno=no\n\n", "listen_port=x\nerrno=0\n\n"])
def test_what_is_no_answer(answer: str) -> None:
    """Anything cut short or malformed is an error, and not an empty device."""
    with pytest.raises(ValueError, match=r"."):
        uapi.parse(answer)
