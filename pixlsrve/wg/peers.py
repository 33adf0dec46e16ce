"""Peers as they are provisioned: key, address, and the configuration each device gets. No interface is touched here."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from pixlsrve.config import WireguardConfig
from pixlsrve.errors import Conflict, NotFound, Unavailable
from pixlsrve.store import peers as rows
from pixlsrve.store.database import Database, Transaction
from pixlsrve.store.peers import PeerRow
from pixlsrve.wg import addresses
from pixlsrve.wg.endpoint import endpoint
from pixlsrve.wg.keys import KeyPair, Seal, encode_key, load_server_pair, make_pair, parse_public_key

KEEPALIVE_S = 25


class PeerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a device needs for its end of the tunnel (specs/pixlsrve-api-v1.md). Keys are base64."""

    private_key: str | None
    """None where only the device has it."""
    server_public_key: str
    server_endpoint: str
    allowed_ips: str
    device_ip: str
    dns: str | None
    """None where there is no resolver in the tunnel."""

    def __repr__(self) -> str:
        return f"PeerConfig(device_ip={self.device_ip!r})"


class Peers:
    """Gives devices keys and addresses, and takes them back."""

    def __init__(self, state: Database, config: WireguardConfig, server: KeyPair, seal: Seal) -> None:
        self._state = state
        self._config = config
        self._server = server
        self._seal = seal
        self._network = addresses.parse_network(config.network)

    @classmethod
    def load(cls, state: Database, config: WireguardConfig, data_dir: Path) -> Peers:
        """With this installation's keys; blocks. Raises StartError, ConfigError."""
        return cls(state, config, load_server_pair(data_dir), Seal.load(data_dir))

    @property
    def server_public_key(self) -> str:
        """The host's public key, base64."""
        return encode_key(self._server.public)

    async def fit(self) -> None:
        """Give peers that the setting's network has no room for another address, as far as there are any."""
        last = addresses.last_number(self._network)
        if all(peer.host_number <= last for peer in await rows.find_all(self._state)):
            return
        async with self._state.transaction() as transaction:
            found = await rows.find_all(transaction)
            taken = {peer.host_number for peer in found}
            for peer in found:
                if peer.host_number > last:
                    with contextlib.suppress(Unavailable):
                        number = addresses.lowest_free(self._network, taken)
                        taken.add(number)
                        await rows.save_number(transaction, peer.device_id, number)

    async def provision(self, transaction: Transaction, device_id: int, public_key: str | None, at_us: int) -> None:
        """Give a new device its key and address, as part of the caller's transaction.

        `public_key` is the device's own; without it the host makes the pair and keeps the private key sealed. Raises
        InvalidInput for a bad key, Conflict for one that another live device (or the host) holds, and Unavailable when
        all addresses are taken.
        """
        if public_key is None:
            pair = make_pair()
            public, private = pair.public, self._seal.close(pair.private, device_id)
        else:
            public, private = parse_public_key(public_key), None
            await self._refuse_known(transaction, public)
        number = addresses.lowest_free(self._network, await rows.find_numbers(transaction))
        peer = PeerRow(
            device_id=device_id, public_key=public, private_key=private, host_number=number, created_us=at_us
        )
        await rows.insert(transaction, peer)

    async def release(self, transaction: Transaction, device_id: int) -> None:
        """Free a device's key and address, as part of the caller's transaction."""
        await rows.delete(transaction, device_id)

    async def block(self, device_id: int, at_us: int, reason: str | None) -> None:
        """End a device's tunnel until it is allowed again. Raises NotFound."""
        await self._save_block(device_id, at_us, reason)

    async def unblock(self, device_id: int) -> None:
        """Allow a device's tunnel again. Raises NotFound."""
        await self._save_block(device_id, None, None)

    async def is_blocked(self, device_id: int) -> bool:
        """Whether the device's tunnel was ended and not allowed again."""
        peer = await rows.find(self._state, device_id)
        return peer is not None and peer.blocked_us is not None

    async def all_rows(self) -> list[PeerRow]:
        """Every peer, blocked ones included: what the interface is reconciled with."""
        return await rows.find_all(self._state)

    async def config_for(self, device_id: int) -> PeerConfig:
        """The device's configuration by today's settings. Raises NotFound, and Unavailable where it has no address."""
        peer = await rows.find(self._state, device_id)
        if peer is None:
            raise NotFound("This device has no tunnel.")
        if peer.host_number > addresses.last_number(self._network):
            raise Unavailable(addresses.POOL_FULL, reason="address_pool_full")
        private = None if peer.private_key is None else self._seal.open(peer.private_key, device_id)
        return PeerConfig(
            private_key=None if private is None else encode_key(private),
            server_public_key=self.server_public_key,
            server_endpoint=endpoint(self._config.endpoint, self._config.port),
            allowed_ips=str(self._network),
            device_ip=f"{addresses.address_of(self._network, peer.host_number)}/32",
            dns=str(addresses.address_of(self._network, addresses.SERVER_NUMBER)),
        )

    async def _refuse_known(self, transaction: Transaction, public: bytes) -> None:
        """Raises Conflict for a key that somebody holds."""
        if public == self._server.public:
            raise Conflict("That is this host's own key; send the device's public key.", reason="key_in_use")
        holder = await rows.find_by_key(transaction, public)
        if holder is not None:
            raise Conflict(
                f"Device number {holder} holds this key; revoke it first: run `pixlsrve revoke {holder}` on the host, "
                "or have an administrator send POST /api/v1/auth/revoke.",
                reason="key_in_use",
                number=holder,
            )

    async def _save_block(self, device_id: int, at_us: int | None, reason: str | None) -> None:
        async with self._state.transaction() as transaction:
            if not await rows.save_block(transaction, device_id, at_us, reason):
                raise NotFound("This device has no tunnel.")
