"""Pairing windows: who gets in, who doesn't, and what a refusal leaves behind."""

from __future__ import annotations

import asyncio

import pytest

from pixlsrve.auth.pairing import ALPHABET, MOST_TRIES, MOST_WINDOWS, Applicant, Paired
from pixlsrve.errors import Conflict, InvalidInput, NotFound, NotPermitted, Unavailable
from pixlsrve.events import EventType
from pixlsrve.model import Role
from tests.auth.kit import Kit, new_key

PHONE = Applicant(name="Anna's phone", type="ios", address="192.0.2.7")


async def _counts(kit: Kit) -> tuple[int, ...]:
    """How many rows pairing has written."""
    sql = "SELECT (SELECT count(*) FROM device), (SELECT count(*) FROM peer), (SELECT count(*) FROM refresh_family)"
    return (await kit.state.fetch_all(sql))[0]


async def _refused(kit: Kit, code: str | None, applicant: Applicant = PHONE) -> None:
    """Pairing with this code is forbidden and changes nothing."""
    before = await _counts(kit)
    with pytest.raises(NotPermitted):
        await kit.windows.pair(applicant, code)
    assert await _counts(kit) == before


@pytest.mark.parametrize("code", [None, "", "ABCDEFGH", "x" * 22, "x" * 10_000, "\ud800", "\uff21" * 8])
async def test_closed_by_default(kit: Kit, code: str | None) -> None:
    """T1: without a window nobody gets in, whatever they send."""
    await _refused(kit, code)


async def test_codes_are_what_they_promise(kit: Kit) -> None:
    """T1: 128 bits for the QR code, 8 unmistakable characters to type, all different, none in a repr."""
    offers = [kit.windows.open() for _ in range(MOST_WINDOWS)]
    assert len({offer.qr_code for offer in offers} | {offer.typed_code for offer in offers}) == 2 * MOST_WINDOWS
    for offer in offers:
        assert len(offer.qr_code) == 22
        assert len(offer.typed_code) == 8
        assert set(offer.typed_code) <= set(ALPHABET)
        assert offer.typed_code not in repr(offer)
    assert not set(ALPHABET) & set("IO01")
    with pytest.raises(Unavailable):
        kit.windows.open()


@pytest.mark.parametrize("spell", [str, str.lower, lambda code: f" {code[:4]}-{code[4:].lower()} "])
async def test_typed_code_lets_one_device_in(kit: Kit, spell: object) -> None:
    """T1: a code works once, in any case; using it kills both codes of its window."""
    assert callable(spell)
    offer = kit.windows.open()
    paired = await kit.windows.pair(PHONE, spell(offer.typed_code))
    assert (await kit.who(paired.tokens.access_token)).role is Role.MEMBER
    await _refused(kit, offer.typed_code)
    await _refused(kit, offer.qr_code)
    (event,) = kit.events(EventType.DEVICE_PAIRED)
    assert event.data["device_id"] == paired.device.uuid


async def test_scanned_code_kills_the_typed_one(kit: Kit) -> None:
    """T1: using either kills both; other windows go on."""
    offer, other = kit.windows.open(), kit.windows.open()
    await kit.windows.pair(PHONE, offer.qr_code)
    await _refused(kit, offer.typed_code)
    await kit.windows.pair(PHONE, other.typed_code)


async def test_scanned_code_is_exact(kit: Kit) -> None:
    """The QR code's case counts: all of its 128 bits do."""
    offer = kit.windows.open()
    await _refused(kit, offer.qr_code.swapcase())
    await kit.windows.pair(PHONE, offer.qr_code)


async def test_one_code_one_device_in_parallel(kit: Kit) -> None:
    """T1: of many requests with one code at once exactly one gets in."""
    offer = kit.windows.open()
    codes = [offer.qr_code, offer.typed_code] * 5
    done = await asyncio.gather(*(kit.windows.pair(PHONE, code) for code in codes), return_exceptions=True)
    assert sum(isinstance(outcome, Paired) for outcome in done) == 1
    assert {type(outcome) for outcome in done} == {Paired, NotPermitted}
    assert await _counts(kit) == (1, 1, 1)


async def test_five_wrong_tries_kill_all_typed_codes(kit: Kit) -> None:
    """T1, DESIGN 9: wrong codes count against every open window's typed code; QR codes can't be guessed and stay."""
    offers = [kit.windows.open(), kit.windows.open()]
    for _ in range(MOST_TRIES - 1):
        await _refused(kit, "AAAAAAAA")
    late = kit.windows.open()
    await _refused(kit, "AAAAAAAA")
    for offer in offers:
        await _refused(kit, offer.typed_code)
    await _refused(kit, "AAAAAAAA")
    for offer in (*offers, late):
        await kit.windows.pair(PHONE, offer.qr_code)


async def test_windows_end_by_the_monotonic_clock(kit: Kit) -> None:
    """T1, T11: a window ends after its time, whatever the wall clock says meanwhile."""
    offer = kit.windows.open(lifetime_s=60)
    kit.time.monotonic_s += 59
    kit.time.wall_s -= 10_000
    other = kit.windows.open(lifetime_s=60)
    kit.time.monotonic_s += 1
    await _refused(kit, offer.typed_code)
    await _refused(kit, offer.qr_code)
    await kit.windows.pair(PHONE, other.qr_code)
    with pytest.raises(NotFound):
        await kit.windows.wait(offer.id)


@pytest.mark.parametrize("lifetime_s", [0, -1, 301, 10**9])
async def test_windows_are_short(kit: Kit, lifetime_s: int) -> None:
    """T1: 1 to 300 seconds."""
    with pytest.raises(InvalidInput):
        kit.windows.open(lifetime_s=lifetime_s)


async def test_other_refusals_leave_the_code_alive(kit: Kit) -> None:
    """DESIGN 3: a request refused for another reason than its code (400, 409) does not use it up."""
    key = new_key()
    await kit.pair(public_key=key)
    offer, before = kit.windows.open(), await _counts(kit)
    for bad in (Applicant(name="", type="ios"), Applicant(name="x", type="\0"), Applicant(name="x" * 101, type="ios")):
        with pytest.raises(InvalidInput):
            await kit.windows.pair(bad, offer.typed_code)
    with pytest.raises(InvalidInput):
        await kit.windows.pair(Applicant(name="x", type="ios", public_key="no key"), offer.typed_code)
    with pytest.raises(Conflict):
        await kit.windows.pair(Applicant(name="x", type="ios", public_key=key), offer.typed_code)
    assert await _counts(kit) == before
    await kit.windows.pair(PHONE, offer.typed_code)


async def test_whoever_waits_is_told(kit: Kit) -> None:
    """The terminal gets the device that joined; None when it closes the window."""
    offer, given_up = kit.windows.open(), kit.windows.open()
    waiting = asyncio.ensure_future(kit.windows.wait(offer.id))
    in_vain = asyncio.ensure_future(kit.windows.wait(given_up.id))
    await asyncio.sleep(0)
    paired = await kit.windows.pair(PHONE, offer.qr_code)
    assert await waiting == paired.device
    kit.windows.close(given_up.id)
    kit.windows.close(given_up.id)
    assert await in_vain is None


async def test_waiting_ends_with_the_window(kit: Kit) -> None:
    """Waiting in vain ends when the window does."""
    offer = kit.windows.open(lifetime_s=1)
    kit.time.monotonic_s += 0.999_999
    assert await kit.windows.wait(offer.id) is None
    await _refused(kit, offer.qr_code)


async def test_a_yes_at_the_terminal_lets_in(kit: Kit) -> None:
    """T1: a client that knows no code is asked about at the newest waiting terminal, and becomes a member."""
    asked: list[str] = []

    def terminal(name: str) -> object:
        async def ask(applicant: Applicant) -> bool:
            asked.append(f"{name}: {applicant.name} from {applicant.address}")
            return True

        return ask

    kit.windows.open(role=Role.ADMIN, ask=terminal("old"))  # type: ignore[arg-type]
    newest = kit.windows.open(role=Role.ADMIN, ask=terminal("new"))  # type: ignore[arg-type]
    kit.windows.open()
    paired = await kit.windows.pair(PHONE, None)
    assert asked == ["new: Anna's phone from 192.0.2.7"]
    assert (await kit.who(paired.tokens.access_token)).role is Role.MEMBER
    await _refused(kit, newest.qr_code)


async def test_a_yes_never_makes_an_admin_by_way_of_an_account(kit: Kit) -> None:
    """DESIGN 9: a device without code in an admin's window goes to the household; in a member's it is the member's."""

    async def ask(_: Applicant) -> bool:
        return True

    boss, anna = await kit.add("boss", Role.ADMIN), await kit.add("anna")
    kit.windows.open(account=boss, role=Role.ADMIN, ask=ask)
    principal = await kit.who((await kit.windows.pair(PHONE, None)).tokens.access_token)
    assert (principal.role, principal.account_id) == (Role.MEMBER, None)
    kit.windows.open(account=anna, ask=ask)
    principal = await kit.who((await kit.windows.pair(PHONE, None)).tokens.access_token)
    assert principal.account_id == anna.uuid
    with pytest.raises(InvalidInput):
        kit.windows.open(account=anna, role=Role.ADMIN)


async def test_without_a_yes_nobody_gets_in(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """T1: a no, no terminal, no answer in time, a terminal that went away: 403 and nothing changes; codes go on."""
    offer = kit.windows.open()
    await _refused(kit, None)

    async def no(_: Applicant) -> bool:
        return False

    async def never(_: Applicant) -> bool:
        await asyncio.Event().wait()
        return True

    asking = kit.windows.open(ask=no)
    await _refused(kit, None)
    kit.windows.close(asking.id)
    monkeypatch.setattr("pixlsrve.auth.pairing.QUESTION_LIMIT_S", 0.01)
    asking = kit.windows.open(ask=never)
    await _refused(kit, None)
    kit.windows.close(asking.id)

    async def close_then_yes(_: Applicant) -> bool:
        kit.windows.close(asking.id)
        return True

    asking = kit.windows.open(ask=close_then_yes)
    await _refused(kit, None)

    async def yes(_: Applicant) -> bool:
        return True

    kit.windows.open(ask=yes)
    await _refused(kit, None, Applicant(name="gone", type="ios", is_there=lambda: False))
    await kit.windows.pair(PHONE, offer.typed_code)


async def test_one_question_at_a_time(kit: Kit) -> None:
    """DESIGN 9: while one question stands, the next ones wait."""
    open_questions, most = 0, 0
    answer = asyncio.Event()

    async def ask(_: Applicant) -> bool:
        nonlocal open_questions, most
        open_questions += 1
        most = max(most, open_questions)
        await answer.wait()
        open_questions -= 1
        return True

    kit.windows.open(ask=ask)
    kit.windows.open(ask=ask)
    asking = [asyncio.ensure_future(kit.windows.pair(PHONE, None)) for _ in range(3)]
    for _ in range(20):
        await asyncio.sleep(0)
    answer.set()
    done = await asyncio.gather(*asking, return_exceptions=True)
    assert most == 1
    assert sorted(type(outcome).__name__ for outcome in done) == ["NotPermitted", "Paired", "Paired"]


async def test_windows_know_whose_device_it_will_be(kit: Kit) -> None:
    """DESIGN 9: `pair --admin` makes an admin's device, `pair --user` one of the account's."""
    _, tokens = await kit.pair(role=Role.ADMIN)
    assert (await kit.who(tokens.access_token)).role is Role.ADMIN
    anna = await kit.add("anna")
    device, tokens = await kit.pair(account=anna)
    assert (await kit.who(tokens.access_token)).account_id == anna.uuid
    assert kit.identity.devices.owner(device) == anna
    offer = kit.windows.open(account=anna)
    await kit.identity.accounts.remove(anna.id)
    with pytest.raises(NotFound):
        await kit.windows.pair(PHONE, offer.qr_code)
