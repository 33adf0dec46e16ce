"""Refresh tokens: rotation, lost answers, reuse, races, restarts."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import sqlite3
from pathlib import Path
from typing import Any

import jwt
import pytest

from pixlsrve.auth.refresh import ACCESS_LIFETIME_S, GRACE_S, MOST_FAMILIES, REFRESH_LIFETIME_S
from pixlsrve.errors import DeviceRevoked, InvalidInput, NotAuthenticated
from pixlsrve.events import EventType
from tests.auth.kit import HOST_ID, KEY, FakeTime, Kit, open_kit

REFRESH_KEY = hmac.digest(KEY.secret, b"pixlsrve refresh tokens", hashlib.sha256)


async def test_every_use_rotates(kit: Kit) -> None:
    """T6: each exchange gives a new refresh token and an access token that works for an hour."""
    device, tokens = await kit.pair()
    seen = {tokens.refresh_token}
    for _ in range(5):
        kit.time.pass_s(60)
        tokens = await kit.identity.refresh.rotate(tokens.refresh_token, device.uuid)
        seen.add(tokens.refresh_token)
        assert (await kit.who(tokens.access_token)).device_id == device.uuid
        assert tokens.expires_in == ACCESS_LIFETIME_S
    assert len(seen) == 6
    kit.time.pass_s(ACCESS_LIFETIME_S)
    with pytest.raises(NotAuthenticated):
        await kit.who(tokens.access_token)


async def test_lost_answers_lock_nobody_out(kit: Kit) -> None:
    """T6: the same old token within 30 s gives the same successor, also when that has been used meanwhile."""
    device, first = await kit.pair()
    rotate = kit.identity.refresh.rotate
    second = await rotate(first.refresh_token, device.uuid)
    kit.time.pass_s(GRACE_S - 1)
    assert (await rotate(first.refresh_token, device.uuid)).refresh_token == second.refresh_token
    third = await rotate(second.refresh_token, device.uuid)
    kit.time.pass_s(1)
    again = await rotate(first.refresh_token, device.uuid)
    assert again.refresh_token == second.refresh_token
    assert (await rotate(again.refresh_token, device.uuid)).refresh_token == third.refresh_token
    await kit.who(again.access_token)


async def test_later_reuse_ends_the_family(kit: Kit) -> None:
    """T6: an old token after its grace ends all tokens of its family, at once, and raises an event."""
    device, first = await kit.pair()
    rotate = kit.identity.refresh.rotate
    second = await rotate(first.refresh_token, device.uuid)
    closed: list[bool] = []

    async def close() -> None:
        with pytest.raises(NotAuthenticated):
            await kit.who(second.access_token)
        closed.append(True)

    kit.identity.revocation.on_change(close)
    kit.time.pass_s(GRACE_S + 1)
    with pytest.raises(NotAuthenticated) as caught:
        await rotate(first.refresh_token, device.uuid)
    assert caught.value.reason == "refresh_token_reused"
    assert closed == [True]
    for token in (first.access_token, second.access_token):
        with pytest.raises(NotAuthenticated):
            await kit.who(token)
    with pytest.raises(NotAuthenticated):
        await rotate(second.refresh_token, device.uuid)
    (event,) = kit.events(EventType.TOKEN_REUSED)
    assert event.data["device_id"] == device.uuid


async def test_parallel_refreshes_yield_one_family(kit: Kit) -> None:
    """T6: twenty requests with one token at once get one and the same successor."""
    device, first = await kit.pair()
    done = await asyncio.gather(*(kit.identity.refresh.rotate(first.refresh_token, device.uuid) for _ in range(20)))
    assert len({tokens.refresh_token for tokens in done}) == 1
    await kit.identity.refresh.rotate(done[0].refresh_token, device.uuid)
    rows = await kit.state.fetch_all("SELECT newest, ended_us FROM refresh_family")
    assert rows == [(2, None)]


async def test_device_id_must_match(kit: Kit) -> None:
    """A device's token needs its own id, an account's none; a mismatch changes nothing."""
    device, tokens = await kit.pair()
    other, _ = await kit.pair("Ben's phone")
    await kit.add("anna")
    account = await kit.login("anna")
    rotate = kit.identity.refresh.rotate
    for wrong in (other.uuid, "", f"{{{device.uuid}}}", str(device.id)):
        with pytest.raises(NotAuthenticated):
            await rotate(tokens.refresh_token, wrong)
    with pytest.raises(InvalidInput):
        await rotate(tokens.refresh_token, None)
    with pytest.raises(NotAuthenticated):
        await rotate(account.refresh_token, device.uuid)
    await rotate(tokens.refresh_token, device.uuid)
    assert (await kit.who((await rotate(account.refresh_token, None)).access_token)).account_id is not None


async def test_refresh_tokens_live_180_days_from_last_use(kit: Kit) -> None:
    """A token that is used in time lives on; one that is not is over."""
    device, tokens = await kit.pair()
    for _ in range(3):
        kit.time.pass_s(REFRESH_LIFETIME_S - 1)
        tokens = await kit.identity.refresh.rotate(tokens.refresh_token, device.uuid)
    kit.time.pass_s(REFRESH_LIFETIME_S)
    with pytest.raises(NotAuthenticated):
        await kit.identity.refresh.rotate(tokens.refresh_token, device.uuid)


async def test_exchanges_survive_a_crash(tmp_path: Path) -> None:
    """T6: successor and grace are durable before the answer: the next run knows both."""
    now = FakeTime()
    async with open_kit(tmp_path, now) as kit:
        device, first = await kit.pair()
        second = await kit.identity.refresh.rotate(first.refresh_token, device.uuid)
    now.pass_s(GRACE_S)
    async with open_kit(tmp_path, now) as kit:
        rotate = kit.identity.refresh.rotate
        assert (await rotate(first.refresh_token, device.uuid)).refresh_token == second.refresh_token
        await kit.who(second.access_token)
        now.pass_s(1)
        with pytest.raises(NotAuthenticated):
            await rotate(first.refresh_token, device.uuid)


async def test_state_restored_from_a_copy_locks_nobody_out(tmp_path: Path) -> None:
    """T39: after the state came back from an older copy, devices go on with the tokens they have."""
    now = FakeTime()
    async with open_kit(tmp_path, now) as kit:
        device, first = await kit.pair()
        with sqlite3.connect(tmp_path / "state.db") as source, sqlite3.connect(tmp_path / "copy.db") as copy:
            source.backup(copy)
        second = await kit.identity.refresh.rotate(first.refresh_token, device.uuid)
        third = await kit.identity.refresh.rotate(second.refresh_token, device.uuid)
    copy.close()
    source.close()
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"state.db{suffix}").unlink(missing_ok=True)
    (tmp_path / "copy.db").rename(tmp_path / "state.db")
    async with open_kit(tmp_path, now) as kit:
        fourth = await kit.identity.refresh.rotate(third.refresh_token, device.uuid)
        assert (await kit.who(fourth.access_token)).device_id == device.uuid
        now.pass_s(GRACE_S + 1)
        with pytest.raises(NotAuthenticated):
            await kit.identity.refresh.rotate(second.refresh_token, device.uuid)


async def test_a_refresh_that_races_a_revocation_loses(kit: Kit) -> None:
    """T7: whichever comes first, no token of the device works when both are done."""
    for head_start in (0, 1, 3, 10):
        device, tokens = await kit.pair()
        refreshing = asyncio.ensure_future(kit.identity.refresh.rotate(tokens.refresh_token, device.uuid))
        for _ in range(head_start):
            await asyncio.sleep(0)
        await kit.identity.devices.revoke(device)
        try:
            newer = await refreshing
        except DeviceRevoked:
            newer = tokens
        with pytest.raises(DeviceRevoked):
            await kit.who(newer.access_token)
        with pytest.raises(DeviceRevoked):
            await kit.identity.refresh.rotate(newer.refresh_token, device.uuid)


async def test_a_client_that_hangs_up_changes_nothing(kit: Kit) -> None:
    """A request that is cancelled in the middle is finished all the same: memory and disk agree."""
    device, tokens = await kit.pair()
    asking = asyncio.ensure_future(kit.identity.refresh.rotate(tokens.refresh_token, device.uuid))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    again = await kit.identity.refresh.rotate(tokens.refresh_token, device.uuid)
    await kit.who(again.access_token)
    assert await kit.state.fetch_all("SELECT newest FROM refresh_family") == [(1,)]


def _claims(token: str, **changes: Any) -> dict[str, Any]:
    """A genuine refresh token's claims, changed."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def _sign(claims: dict[str, Any], key: bytes = REFRESH_KEY, **headers: Any) -> str:
    return jwt.encode(claims, key, "HS256", headers=headers or None)


async def test_forged_refresh_tokens_are_refused(kit: Kit) -> None:
    """T9, T14: other kinds, keys, audiences, families and shapes are no refresh tokens, nor is an access token."""
    device, tokens = await kit.pair()
    good = tokens.refresh_token
    family = _claims(good)["jti"].partition(".")[0]
    await kit.identity.refresh.rotate(_sign(_claims(good)), device.uuid)
    forged = [
        "",
        ".",
        "..",
        "a.b.c",
        "\ud800",
        "x" * 10_000,
        tokens.access_token,
        good[:-2],
        good + "A",
        good.rpartition(".")[0] + ".",
        _sign(_claims(good), KEY.secret),
        _sign(_claims(good), b"\0" * 32),
        _sign(_claims(good), crit=["b64"], b64=True),
        jwt.encode(_claims(good), "", "none"),
        jwt.encode(_claims(good), REFRESH_KEY * 2, "HS512"),
        *(_sign(_claims(good, typ=typ)) for typ in ("access", "", None, 1)),
        *(_sign(_claims(good, iss=iss)) for iss in ("other", None)),
        *(_sign(_claims(good, aud=aud)) for aud in ("other", None, [HOST_ID], [])),
        *(_sign(_claims(good, jti=jti)) for jti in ("0" * 32 + ".0", family, family + ".", "." + family, None)),
        *(_sign(_claims(good, jti=f"{family}.{number}")) for number in ("-1", "x", "\u0663", "1e3")),
        *(_sign(_claims(good, **{name: None})) for name in ("exp", "iat")),
    ]
    for token in forged:
        with pytest.raises(NotAuthenticated):
            await kit.identity.refresh.rotate(token, device.uuid)
        with pytest.raises(NotAuthenticated):
            await kit.who(good)
    assert await kit.state.fetch_all("SELECT newest, ended_us FROM refresh_family") == [(1, None)]


async def test_tokens_are_not_stored(kit: Kit, tmp_path: Path) -> None:
    """T36: nothing in the database gives a token or a private key away."""
    device, tokens = await kit.pair()
    config = await kit.peers.config_for(device.id)
    session = await kit.identity.sessions.create(kit.identity.directory.subject(device.uuid) or pytest.fail("unknown"))
    with sqlite3.connect(kit.state.path) as connection:
        dump = "\n".join(connection.iterdump()).encode()
    connection.close()
    for secret in (*tokens.access_token.split("."), *tokens.refresh_token.split(".")[1:], session, config.private_key):
        assert secret is not None
        assert secret.encode() not in dump
    assert "secret" not in repr(tokens)
    assert tokens.refresh_token not in repr(tokens)
    assert str(config.private_key) not in repr(config)


async def test_families_are_bounded(kit: Kit) -> None:
    """Logging in again and again ends the oldest logins, and does not fill the memory."""
    anna = await kit.add("anna")
    await kit.login("anna")
    subject = kit.identity.directory.subject(anna.uuid)
    assert subject is not None
    first = await kit.identity.refresh.issue(subject)
    for _ in range(MOST_FAMILIES):
        last = await kit.identity.refresh.issue(subject)
    with pytest.raises(NotAuthenticated):
        await kit.who(first.access_token)
    await kit.who(last.access_token)
    rows = await kit.state.fetch_all("SELECT count(*) FROM refresh_family WHERE ended_us IS NULL")
    assert rows == [(MOST_FAMILIES,)]


async def test_pisync_shows_number_and_name(kit: Kit) -> None:
    """DESIGN section 5: an account's access token says `userId` and `username`, for clients to read."""
    account = await kit.add("anna")
    token = (await kit.login("anna")).access_token
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["userId"], claims["username"]) == (account.id, "anna")
