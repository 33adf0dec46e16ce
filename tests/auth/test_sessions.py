"""Browser sessions: found by their cookie, prolonged by use, ended for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from pixlsrve.auth.sessions import LIFETIME_S, MOST_SESSIONS
from pixlsrve.errors import NotAuthenticated
from pixlsrve.model import Subject, SubjectKind
from tests.auth.kit import FakeTime, Kit, open_kit


async def _subject(kit: Kit) -> Subject:
    return Subject(SubjectKind.ACCOUNT, (await kit.add("anna")).id)


async def test_sessions_belong_to_whoever_signed_in(kit: Kit) -> None:
    """A cookie stands for its account, one of a paired browser for the device; made-up ones for nobody."""
    subject = await _subject(kit)
    device, _ = await kit.pair("Browser")
    value = await kit.identity.sessions.create(subject)
    paired = await kit.identity.sessions.create(Subject(SubjectKind.DEVICE, device.id))
    assert kit.identity.sessions.find(value).account_id is not None
    assert kit.identity.sessions.find(paired).device_id == device.uuid
    for forged in ("", "x", value[:-1], value + "A", value.swapcase(), "\ud800"):
        with pytest.raises(NotAuthenticated):
            kit.identity.sessions.find(forged)


async def test_sessions_live_30_days_from_last_use(tmp_path: Path) -> None:
    """DESIGN 9: use prolongs a session, also over a restart; time without use ends it (T11: for good)."""
    now = FakeTime()
    async with open_kit(tmp_path, now) as kit:
        value = await kit.identity.sessions.create(await _subject(kit))
        now.pass_s(LIFETIME_S - 1)
        kit.identity.sessions.find(value)
        await kit.identity.devices.save_seen()
    now.pass_s(LIFETIME_S - 1)
    async with open_kit(tmp_path, now) as kit:
        kit.identity.sessions.find(value)
        now.pass_s(LIFETIME_S)
        with pytest.raises(NotAuthenticated):
            kit.identity.sessions.find(value)
        now.wall_s -= 5 * LIFETIME_S
        with pytest.raises(NotAuthenticated):
            kit.identity.sessions.find(value)


async def test_signing_out_ends_the_session(kit: Kit) -> None:
    """A session that was ended is over, and what it held open is looked at again."""
    subject = await _subject(kit)
    value, other = await kit.identity.sessions.create(subject), await kit.identity.sessions.create(subject)
    told: list[bool] = []

    async def close() -> None:
        told.append(True)

    kit.identity.revocation.on_change(close)
    await kit.identity.sessions.end(value)
    await kit.identity.sessions.end("unknown")
    assert told == [True]
    with pytest.raises(NotAuthenticated):
        kit.identity.sessions.find(value)
    kit.identity.sessions.find(other)


async def test_sessions_are_bounded(kit: Kit) -> None:
    """Signing in again and again ends the oldest sessions."""
    subject = await _subject(kit)
    values = [await kit.identity.sessions.create(subject) for _ in range(MOST_SESSIONS + 1)]
    with pytest.raises(NotAuthenticated):
        kit.identity.sessions.find(values[0])
    kit.identity.sessions.find(values[1])
    assert await kit.state.fetch_all("SELECT count(*) FROM browser_session") == [(MOST_SESSIONS,)]
