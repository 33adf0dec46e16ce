"""What has to change on an interface."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from pixlsrve.wg.interface import DesiredPeer, PeerState
from pixlsrve.wg.reconcile import changes

_KEYS = st.integers(0, 12).map(lambda number: bytes([number]) * 32)
_ADDRESSES = st.integers(2, 14)


def _desired(peers: dict[bytes, int]) -> list[DesiredPeer]:
    return [
        DesiredPeer(public_key=key, address=ipaddress.IPv4Address(f"10.100.0.{number}"))
        for key, number in peers.items()
    ]


def _state(peers: dict[bytes, set[str]]) -> list[PeerState]:
    return [PeerState(public_key=key, allowed_ips=tuple(sorted(ips))) for key, ips in peers.items()]


@given(
    st.dictionaries(_KEYS, _ADDRESSES, max_size=10).filter(lambda peers: len(set(peers.values())) == len(peers)),
    st.dictionaries(_KEYS, st.sets(_ADDRESSES.map(lambda number: f"10.100.0.{number}/32"), max_size=3), max_size=10),
)
def test_leads_there_in_one_step(wanted: dict[bytes, int], found: dict[bytes, set[str]]) -> None:
    """T8: applied as WireGuard does it, the changes lead from anything to what is wanted, and then there are none."""
    due = changes(_desired(wanted), _state(found))
    interface = {key: set(ips) for key, ips in found.items()}
    for peer in due.put:
        for ips in interface.values():
            ips.discard(f"{peer.address}/32")  # an address that another peer is given moves to it
        interface[peer.public_key] = {f"{peer.address}/32"}
    for key in due.remove:
        del interface[key]
    assert interface == {key: {f"10.100.0.{number}/32"} for key, number in wanted.items()}
    assert not changes(_desired(wanted), _state(interface))


def test_nothing_to_do_is_nothing() -> None:
    """An interface that is right is left alone, so that no phone has to shake hands anew."""
    peers = {bytes([1]) * 32: 2}
    assert not changes(_desired(peers), _state({bytes([1]) * 32: {"10.100.0.2/32"}}))
