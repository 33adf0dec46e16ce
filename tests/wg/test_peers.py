"""What a device gets for its end of the tunnel."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from pixlsrve.errors import NotFound, Unavailable
from tests.auth.kit import FakeTime, new_key, open_kit


async def test_configuration_is_the_specs(tmp_path: Path) -> None:
    """specs/pixlsrve-api-v1.md: exactly these six fields; the private key belongs to the public one."""
    async with open_kit(tmp_path) as kit:
        device, _ = await kit.pair()
        config = msgspec.to_builtins(await kit.peers.config_for(device.id))
        private = X25519PrivateKey.from_private_bytes(base64.b64decode(config.pop("private_key")))
        (row,) = await kit.peers.all_rows()
        assert private.public_key().public_bytes_raw() == row.public_key
        assert config == {
            "server_public_key": kit.peers.server_public_key,
            "server_endpoint": "192.0.2.9:51820",
            "allowed_ips": "10.100.0.0/24",
            "device_ip": "10.100.0.2/32",
            "dns": "10.100.0.1",
        }


async def test_own_key_means_no_private_key_here(tmp_path: Path) -> None:
    """T2: where the device sent its public key, the host never has or returns a private one."""
    async with open_kit(tmp_path) as kit:
        device, _ = await kit.pair(public_key=new_key())
        assert (await kit.peers.config_for(device.id)).private_key is None
        assert (await kit.peers.all_rows())[0].private_key is None


async def test_addresses_survive_and_follow_the_setting(tmp_path: Path) -> None:
    """Peers keep their place over restarts; when the network is set anew, all move with it."""
    now = FakeTime()
    async with open_kit(tmp_path, now) as kit:
        devices = [(await kit.pair(f"Phone {number}"))[0] for number in range(6)]
        keys = [(await kit.peers.config_for(device.id)).private_key for device in devices]
        await kit.identity.devices.revoke(devices[0])
    async with open_kit(tmp_path, now, network="10.7.0.0/16") as kit:
        configs = [await kit.peers.config_for(device.id) for device in devices[1:]]
        assert [config.device_ip for config in configs] == [f"10.7.0.{number}/32" for number in range(3, 8)]
        assert [config.private_key for config in configs] == keys[1:]
        assert configs[0].dns == "10.7.0.1"
    async with open_kit(tmp_path, now, network="10.7.0.0/30") as kit:
        first, *others = devices[1:]
        assert (await kit.peers.config_for(first.id)).device_ip == "10.7.0.2/32"
        for device in others:
            with pytest.raises(Unavailable):
                await kit.peers.config_for(device.id)


async def test_ending_the_tunnel_only(tmp_path: Path) -> None:
    """DESIGN 9: vpn/revoke is a mark that can be taken back; key and address stay the device's."""
    async with open_kit(tmp_path) as kit:
        device, tokens = await kit.pair()
        await kit.peers.block(device.id, 5, "lost")
        (row,) = await kit.peers.all_rows()
        assert (row.blocked_us, row.blocked_reason) == (5, "lost")
        await kit.who(tokens.access_token)
        await kit.peers.unblock(device.id)
        assert (await kit.peers.all_rows())[0].blocked_us is None
        await kit.identity.devices.revoke(device)
        with pytest.raises(NotFound):
            await kit.peers.block(device.id, 5, None)
