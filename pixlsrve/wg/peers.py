"""Peers as they are provisioned: key, address, and the configuration each device gets. No interface is touched here."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import structlog

from pixlsrve.config import WireguardConfig
from pixlsrve.errors import Conflict, NotFound, PixlsrveError, Unavailable
from pixlsrve.store import peers as rows
from pixlsrve.store.database import Database, Transaction
from pixlsrve.store.peers import PeerRow
from pixlsrve.wg import addresses
from pixlsrve.wg.endpoint import endpoint, parse_endpoint
from pixlsrve.wg.interface import DesiredPeer, InterfaceSettings
from pixlsrve.wg.keys import KeyPair, Seal, encode_key, load_server_pair, make_pair, parse_public_key
from pixlsrve.wg.lan import allowed_ips

log = structlog.get_logger(__name__)

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
        self._hooks: list[Callable[[], Awaitable[None]]] = []
        parse_endpoint(config.endpoint, config.port)
        self._told: dict[int, str] = {}
        self.endpoint: Callable[[], str] = lambda: endpoint(config.endpoint, config.port)
        """Where devices reach this host just now, HOST:PORT."""

    @classmethod
    def load(cls, state: Database, config: WireguardConfig, data_dir: Path) -> Peers:
        """With this installation's keys; blocks. Raises StartError, ConfigError."""
        return cls(state, config, load_server_pair(data_dir), Seal.load(data_dir))

    @property
    def server_public_key(self) -> str:
        """The host's public key, base64."""
        return encode_key(self._server.public)

    async def fit(self) -> None:
        """Give peers that the setting's network has no room for another address, as far as there are any.

        What they have been told is known from then on.
        """
        self._told = {peer.device_id: peer.told_endpoint for peer in await self.all_rows() if peer.told_endpoint}
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
        self._told.pop(device_id, None)

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
        """Every peer, blocked ones included."""
        return await rows.find_all(self._state)

    async def wanted(self) -> dict[int, DesiredPeer]:
        """The peers that the interface is to have, by device: not the blocked ones, nor those without an address."""
        last = addresses.last_number(self._network)
        return {
            row.device_id: DesiredPeer(
                public_key=row.public_key, address=addresses.address_of(self._network, row.host_number)
            )
            for row in await self.all_rows()
            if row.blocked_us is None and row.host_number <= last
        }

    def interface_settings(self) -> InterfaceSettings:
        """The host's end of the tunnel."""
        own = addresses.address_of(self._network, addresses.SERVER_NUMBER)
        return InterfaceSettings(
            name=self._config.interface,
            private_key=self._server.private,
            port=self._config.port,
            address=ipaddress.IPv4Interface(f"{own}/{self._network.prefixlen}"),
        )

    def on_change(self, hook: Callable[[], Awaitable[None]]) -> None:
        """Have `hook` called when a device's tunnel has been ended or allowed again, once that is durable."""
        self._hooks.append(hook)

    async def config_for(self, device_id: int) -> PeerConfig:
        """The device's configuration by today's settings, noted as what the device has been told.

        Raises NotFound, and Unavailable where it has no address.
        """
        peer = await rows.find(self._state, device_id)
        if peer is None:
            raise NotFound("This device has no tunnel.")
        if peer.host_number > addresses.last_number(self._network):
            raise Unavailable(addresses.POOL_FULL, reason="address_pool_full")
        private = None if peer.private_key is None else self._seal.open(peer.private_key, device_id)
        told = self.endpoint()
        await self._note_told(device_id, told)
        return PeerConfig(
            private_key=None if private is None else encode_key(private),
            server_public_key=self.server_public_key,
            server_endpoint=told,
            allowed_ips=allowed_ips(self._config),
            device_ip=f"{addresses.address_of(self._network, peer.host_number)}/32",
            dns=str(addresses.address_of(self._network, addresses.SERVER_NUMBER)),
        )

    def is_outdated(self, device_id: int) -> bool:
        """Whether the configuration that the device was given last leads to another endpoint than today's."""
        return is_outdated(self._told.get(device_id), self.endpoint())

    def outdated(self) -> list[int]:
        """The devices for which that is so."""
        now = self.endpoint()
        return sorted(device_id for device_id, told in self._told.items() if is_outdated(told, now))

    async def _note_told(self, device_id: int, told: str) -> None:
        """Remember what a device is told; a disk that takes nothing is no reason not to tell it."""
        if self._told.get(device_id) == told:
            return
        self._told[device_id] = told
        try:
            async with self._state.transaction() as transaction:
                await rows.save_told(transaction, device_id, told)
        except PixlsrveError as error:
            log.warning("what a device was told is not remembered", device=device_id, cause=error.message)

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
        for hook in self._hooks:
            await hook()


def is_outdated(told: str | None, endpoint: str) -> bool:
    """Whether a device that was told `told` last would look for this host somewhere else than at `endpoint`."""
    return told is not None and told != endpoint
