"""Whose account a person at a login provider gets (THREATS T5, T12)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pixlsrve.auth.invitations import Invitations
from pixlsrve.auth.social.people import People
from pixlsrve.auth.social.provider import Person
from pixlsrve.errors import NotPermitted
from pixlsrve.model import LibraryAccess, Role
from tests.auth.kit import Kit, open_kit

ANNA = Person(issuer="https://id.example.org", subject="1", email="anna@example.org", name="Anna")


def _people(kit: Kit) -> tuple[People, Invitations]:
    identity = kit.identity
    invitations = Invitations(kit.state, identity.clock)
    return People(kit.state, identity.directory, identity.accounts, invitations, identity.clock), invitations


async def test_first_sign_in_uses_one_invitation(tmp_path: Path) -> None:
    """T5: the account is a member's, sees nothing of the library, and uses up one invitation however often it asks."""
    async with open_kit(tmp_path) as kit:
        people, invitations = _people(kit)
        await invitations.create(email="ANNA@example.org")
        accounts = await asyncio.gather(*(people.sign_in(ANNA) for _ in range(10)))
        assert {account.id for account in accounts} == {accounts[0].id}
        assert (accounts[0].role, accounts[0].library) == (Role.MEMBER, LibraryAccess.NONE)
        assert await invitations.list_open() == []
        with pytest.raises(NotPermitted):
            await people.sign_in(Person(issuer=ANNA.issuer, subject="2", email=ANNA.email, name="Anna"))
        assert len(kit.identity.accounts.list_all()) == 1


async def test_an_existing_account_is_not_taken_over(tmp_path: Path) -> None:
    """T12: a person with the name and address of somebody who has an account gets another account."""
    async with open_kit(tmp_path) as kit:
        people, invitations = _people(kit)
        known = await kit.add("Anna", Role.ADMIN)
        await invitations.create(email=ANNA.email)
        account = await people.sign_in(ANNA)
        assert (account.id != known.id, account.username, account.role) == (True, "Anna 2", Role.MEMBER)


@pytest.mark.parametrize(
    ("name", "email", "expected"),
    [
        (None, "anna@example.org", "anna"),
        ("\x00\n", None, "guest"),
        ("  Anna  ", None, "Anna"),
        ("A" * 500, None, "A" * 64),
        ("\uff21\uff4e\uff4e\uff41", None, "Anna"),
    ],
)
async def test_user_names(tmp_path: Path, name: str | None, email: str | None, expected: str) -> None:
    """Whatever a provider calls a person, the user name is one that can be shown."""
    async with open_kit(tmp_path) as kit:
        people, invitations = _people(kit)
        code, _ = await invitations.create()
        person = Person(issuer="https://id.example.org", subject="1", email=email, name=name)
        assert (await people.sign_in(person, code)).username == expected
        assert await kit.state.fetch_one("SELECT count(*) FROM social_identity") == (1,)


async def test_an_invitation_survives_a_failure(tmp_path: Path) -> None:
    """An account and the invitation that made it are one: neither is there without the other."""
    async with open_kit(tmp_path) as kit:
        people, invitations = _people(kit)
        await invitations.create(email="other@example.org")
        with pytest.raises(NotPermitted):
            await people.sign_in(ANNA)
        assert len(await invitations.list_open()) == 1
        assert kit.identity.accounts.list_all() == []
