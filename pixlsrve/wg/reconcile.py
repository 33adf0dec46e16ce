"""What has to change on an interface so that it has the peers that it should have. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from pixlsrve.wg.interface import DesiredPeer, PeerState


class Changes(msgspec.Struct, frozen=True):
    """Peers to add or correct, and the keys of those to drop."""

    put: list[DesiredPeer]
    remove: list[bytes]

    def __bool__(self) -> bool:
        return bool(self.put or self.remove)


def changes(wanted: Iterable[DesiredPeer], found: Collection[PeerState]) -> Changes:
    """What leads from `found` to `wanted`: each peer with its one address and nothing else (THREATS T35)."""
    by_key = {peer.public_key: peer for peer in wanted}
    right = {
        state.public_key
        for state in found
        if state.public_key in by_key and state.allowed_ips == (f"{by_key[state.public_key].address}/32",)
    }
    return Changes(
        put=sorted(peer for key, peer in by_key.items() if key not in right),
        remove=sorted(state.public_key for state in found if state.public_key not in by_key),
    )
