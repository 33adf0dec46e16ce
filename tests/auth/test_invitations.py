"""Invitations and registration (THREATS T5)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pixlsrve.auth.invitations import LIFETIME_S, MOST_OPEN, Invitations, email_key
from pixlsrve.auth.registration import Registration
from pixlsrve.errors import Conflict, InvalidInput, NotFound, NotPermitted
from pixlsrve.model import LibraryAccess, Role
from tests.auth.kit import PASSWORD, FakeTime, Kit, open_kit


def _doors(kit: Kit, mode: str = "invite") -> tuple[Registration, Invitations]:
    invitations = Invitations(kit.state, kit.identity.clock)
    return Registration(mode, kit.identity.accounts, invitations), invitations  # type: ignore[arg-type]  # one of three


async def test_code_works_once(tmp_path: Path) -> None:
    """T5: of many who register at once with one code, one gets an account: a member's that sees nothing."""
    async with open_kit(tmp_path) as kit:
        registration, invitations = _doors(kit)
        code, _ = await invitations.create()
        tries = [registration.register(f"user{number}", PASSWORD, code) for number in range(8)]
        results = await asyncio.gather(*tries, return_exceptions=True)
        made = [result for result in results if not isinstance(result, BaseException)]
        assert [(account.role, account.library) for account in made] == [(Role.MEMBER, LibraryAccess.NONE)]
        assert all(isinstance(result, NotPermitted) for result in results if isinstance(result, BaseException))
        assert len(kit.identity.accounts.list_all()) == 1


async def test_code_survives_a_name_that_is_taken(tmp_path: Path) -> None:
    """Whose name or password was refused can try again with the same code."""
    async with open_kit(tmp_path) as kit:
        registration, invitations = _doors(kit)
        await kit.add("anna")
        code, _ = await invitations.create()
        with pytest.raises(Conflict):
            await registration.register("Anna", PASSWORD, code)
        with pytest.raises(InvalidInput):
            await registration.register("bert", "short", code)
        assert (await registration.register("bert", PASSWORD, code)).username == "bert"


async def test_wrong_codes(tmp_path: Path) -> None:
    """No code, a wrong one, one that is over or withdrawn, and one that belongs to an e-mail address: all refused."""
    now = FakeTime()
    async with open_kit(tmp_path, now) as kit:
        registration, invitations = _doors(kit)
        bound, _ = await invitations.create(email="anna@example.org")
        withdrawn, row = await invitations.create()
        await invitations.withdraw(row.id)
        with pytest.raises(NotFound):
            await invitations.withdraw(row.id)
        old, _ = await invitations.create()
        now.pass_s(LIFETIME_S)
        for code in (None, "", "wrong", "\ud800", "x" * 100_000, bound, withdrawn, old):
            with pytest.raises(NotPermitted):
                await registration.register("anna", PASSWORD, code)
        assert kit.identity.accounts.list_all() == []


@pytest.mark.parametrize("mode", ["closed", "open"])
async def test_modes(tmp_path: Path, mode: str) -> None:
    """Closed is closed with an invitation too; open needs none, and gives no more than an invitation does."""
    async with open_kit(tmp_path) as kit:
        registration, invitations = _doors(kit, mode)
        code, _ = await invitations.create()
        if mode == "closed":
            with pytest.raises(NotPermitted, match="Registration is closed"):
                await registration.register("anna", PASSWORD, code)
        else:
            account = await registration.register("anna", PASSWORD)
            assert (account.role, account.library) == (Role.MEMBER, LibraryAccess.NONE)


async def test_codes_are_not_stored(tmp_path: Path) -> None:
    """T36: the database knows a code's hash only."""
    async with open_kit(tmp_path) as kit:
        _, invitations = _doors(kit)
        code, _ = await invitations.create()
        rows = await kit.state.fetch_all("SELECT * FROM invitation")
        assert len(rows) == 1
        assert code.encode() not in repr(rows).encode()
    assert all(code.encode() not in file.read_bytes() for file in tmp_path.iterdir() if file.is_file())


async def test_invitations_are_bounded(tmp_path: Path) -> None:
    """A mistake in a loop does not fill the database."""
    async with open_kit(tmp_path, durability="OFF") as kit:
        _, invitations = _doors(kit)
        for _ in range(MOST_OPEN):
            await invitations.create()
        with pytest.raises(InvalidInput):
            await invitations.create()
        for bad in (0, -1, 10**9):
            with pytest.raises(InvalidInput):
                await invitations.create(lifetime_s=bad)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (" Anna@Example.ORG ", "anna@example.org"),
        ("\uff41nna@example.org", "anna@example.org"),
        ("anna", None),
        ("@example.org", None),
        ("a@b@c", None),
        ("a b@c.de", None),
        ("a\x00@c.de", None),
        ("", None),
        ("a" * 65 + "@c.de", None),
        ("a" * 10**6, None),
    ],
)
def test_email_addresses(text: str, key: str | None) -> None:
    """Spellings of one address are one; what is no address is none."""
    assert email_key(text) == key
