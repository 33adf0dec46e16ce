"""Devices: keys, addresses, who sees them, revocation."""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path

import pytest

from pixlsrve.errors import Conflict, DeviceRevoked, InvalidInput, NotAuthenticated, NotFound, Unavailable
from pixlsrve.events import EventType
from pixlsrve.model import Principal, Role, Subject, SubjectKind
from tests.auth.kit import FakeTime, Kit, new_key, open_kit


async def test_a_hundred_pairings_at_once(kit: Kit) -> None:
    """T2: 100 parallel pairings give 100 distinct addresses, keys and ids."""
    devices = await asyncio.gather(
        *(
            kit.identity.devices.add(
                name=f"Phone {number}",
                type_="ios",
                role=Role.MEMBER,
                account_id=None,
                public_key=new_key() if number % 2 else None,
            )
            for number in range(100)
        )
    )
    configs = [await kit.peers.config_for(device.id) for device, _ in devices]
    assert len({config.device_ip for config in configs}) == 100
    assert len({device.uuid for device, _ in devices}) == 100
    assert len({row.public_key for row in await kit.peers.all_rows()}) == 100
    network = ipaddress.ip_network("10.100.0.0/24")
    for config in configs:
        address = ipaddress.ip_interface(config.device_ip)
        assert address.network.prefixlen == 32
        assert address.ip in network
        assert str(address.ip) not in {"10.100.0.0", "10.100.0.1", "10.100.0.255"}


async def test_full_pool_is_503(tmp_path: Path) -> None:
    """T2: when all addresses are taken the answer says so, and a revoked device makes room."""
    async with open_kit(tmp_path, network="10.9.0.0/29") as kit:
        devices = [(await kit.pair(f"Phone {number}"))[0] for number in range(5)]
        offer = kit.windows.open()
        with pytest.raises(Unavailable) as caught:
            await kit.pair("one too many")
        assert caught.value.reason == "address_pool_full"
        assert await kit.state.fetch_all("SELECT count(*) FROM device") == [(5,)]
        gone = await kit.peers.config_for(devices[2].id)
        await kit.identity.devices.revoke(devices[2])
        device, _ = await kit.pair("in its place")
        assert (await kit.peers.config_for(device.id)).device_ip == gone.device_ip
        assert device.id > devices[-1].id
        kit.windows.close(offer.id)


async def test_known_key_is_409_while_its_device_lives(kit: Kit) -> None:
    """T2, DESIGN 9: a second device with a known key is refused in words that say how to revoke the first."""
    key = new_key()
    device, _ = await kit.pair(public_key=key)
    with pytest.raises(Conflict) as caught:
        await kit.pair("another", public_key=key)
    assert f"pixlsrve revoke {device.id}" in caught.value.message
    with pytest.raises(Conflict):
        await kit.pair("ourselves", public_key=kit.peers.server_public_key)
    await kit.identity.devices.revoke(device)
    again, _ = await kit.pair("another", public_key=key)
    config = await kit.peers.config_for(again.id)
    assert config.private_key is None


async def test_revoked_device_is_shut_out(kit: Kit) -> None:
    """T7: access token, refresh token and session of a revoked device fail with DEVICE_REVOKED; others go on."""
    device, tokens = await kit.pair()
    other, others = await kit.pair("Ben's phone")
    session = await kit.identity.sessions.create(Subject(SubjectKind.DEVICE, device.id))
    refused: list[bool] = []

    async def close() -> None:
        with pytest.raises(DeviceRevoked):
            await kit.who(tokens.access_token)
        refused.append(True)

    kit.identity.revocation.on_change(close)
    await kit.identity.devices.revoke(device)
    assert refused == [True]
    with pytest.raises(DeviceRevoked):
        await kit.who(tokens.access_token)
    with pytest.raises(DeviceRevoked):
        await kit.identity.refresh.rotate(tokens.refresh_token, device.uuid)
    with pytest.raises(NotAuthenticated):
        kit.identity.sessions.find(session)
    with pytest.raises(NotFound):
        await kit.peers.config_for(device.id)
    assert (await kit.who(others.access_token)).device_id == other.uuid
    again = await kit.identity.devices.revoke(device)
    assert again.revoked_us is not None
    assert len(kit.events(EventType.DEVICE_REVOKED)) == 1


async def test_revocation_is_recorded_before_it_is_applied(tmp_path: Path) -> None:
    """T8: what is cut off late, or not at all because the process dies, is refused by the next run."""
    now = FakeTime()
    async with open_kit(tmp_path, now) as kit:
        device, tokens = await kit.pair()

        async def die() -> None:
            assert await kit.state.fetch_all("SELECT revoked_us IS NOT NULL FROM device") == [(1,)]
            assert await kit.state.fetch_all("SELECT count(*) FROM peer") == [(0,)]
            raise OSError("killed here")

        kit.identity.revocation.on_change(die)
        await kit.identity.devices.revoke(device)
    async with open_kit(tmp_path, now) as kit:
        with pytest.raises(DeviceRevoked):
            await kit.who(tokens.access_token)


async def test_a_part_that_hangs_does_not_hold_a_revocation_up(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """T7: the answer to a revocation does not wait for ever for what it closes."""
    monkeypatch.setattr("pixlsrve.auth.revocation.APPLIED_WITHIN_S", 0.01)
    device, tokens = await kit.pair()
    never = asyncio.Event()

    async def hang() -> None:
        await never.wait()

    kit.identity.revocation.on_change(hang)
    await kit.identity.devices.revoke(device)
    never.set()
    with pytest.raises(DeviceRevoked):
        await kit.who(tokens.access_token)


async def test_who_sees_which_device(kit: Kit) -> None:
    """T17, DESIGN 9: a household device sees itself, a person and their devices theirs, admins all."""
    anna = await kit.add("anna")
    household, first = await kit.pair("Tablet")
    own, second = await kit.pair("Anna's phone", account=anna)
    _, admin = await kit.pair("Desk", role=Role.ADMIN)

    async def visible(token: str) -> list[str]:
        return [device.name for device in kit.identity.devices.list_visible(await kit.who(token))]

    assert await visible(first.access_token) == ["Tablet"]
    assert await visible(second.access_token) == ["Anna's phone"]
    assert await visible((await kit.login("anna")).access_token) == ["Anna's phone"]
    assert await visible(admin.access_token) == ["Tablet", "Anna's phone", "Desk"]
    assert kit.identity.devices.list_visible(Principal(id="script:1", role=Role.MEMBER)) == []
    assert {household.id, own.id} == {1, 2}


async def test_events_of_devices_are_for_those_concerned(kit: Kit) -> None:
    """DESIGN 9: that a device was paired is told to admins, the device and its owner, and to nobody else."""
    anna = await kit.add("anna")
    _, other = await kit.pair("Tablet")
    _, own = await kit.pair("Anna's phone", account=anna)
    _, admin = await kit.pair("Desk", role=Role.ADMIN)
    event = kit.events(EventType.DEVICE_PAIRED)[1]
    assert event.is_for(await kit.who(own.access_token))
    assert event.is_for(await kit.who(admin.access_token))
    assert event.is_for(await kit.who((await kit.login("anna")).access_token))
    assert not event.is_for(await kit.who(other.access_token))


async def test_last_seen_is_kept(tmp_path: Path) -> None:
    """Devices show when they were last heard of, also after a restart."""
    now = FakeTime()
    async with open_kit(tmp_path, now) as kit:
        device, tokens = await kit.pair()
        assert kit.identity.devices.list_all()[0].last_seen_us == device.paired_us
        now.pass_s(3_000)
        await kit.who(tokens.access_token)
        seen_us = kit.identity.devices.list_all()[0].last_seen_us
        assert seen_us == device.paired_us + 3_000 * 1_000_000
        await kit.identity.devices.save_seen()
        assert kit.identity.devices.list_all()[0].last_seen_us == seen_us
    async with open_kit(tmp_path, now) as kit:
        assert kit.identity.devices.list_all()[0].last_seen_us == seen_us


async def test_devices_are_found_by_what_people_call_them(kit: Kit) -> None:
    """A number, an id or a name will do; a name that two have is asked back, an unknown one says how to look."""
    first, _ = await kit.pair("Tablet")
    second, _ = await kit.pair("Phone")
    third, _ = await kit.pair("Phone")
    named = kit.identity.devices.named
    assert named("1") == named(first.uuid) == named("tablet")
    assert named(str(third.id)).uuid == third.uuid
    with pytest.raises(InvalidInput, match=f"{second.id}, {third.id}"):
        named("phone")
    with pytest.raises(NotFound):
        named("nothing")


async def test_ids_are_not_given_again(tmp_path: Path) -> None:
    """The small numbers stay unique for ever, so that a log and a client never mean another device."""
    now = FakeTime()
    async with open_kit(tmp_path, now) as kit:
        device, _ = await kit.pair()
        await kit.identity.devices.revoke(device)
    async with open_kit(tmp_path, now) as kit:
        assert (await kit.pair())[0].id == device.id + 1


@pytest.mark.parametrize("name", ["\u0645\u0631\u062d\u0628\u0627", "e\u0301t\u00e9", "\U0001f4f1 x", "x" * 100])
async def test_names_in_any_language(kit: Kit, name: str) -> None:
    """Names are NFC, in any script."""
    device, _ = await kit.pair(f"  {name} ")
    assert [known.name for known in kit.identity.devices.list_all()] == [device.name]
    assert len(device.name) <= len(name)
