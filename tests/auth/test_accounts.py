"""Accounts: names, logins, roles, what each may see, and the last admin."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pixlsrve.errors import Conflict, DeviceRevoked, InvalidInput, NotAuthenticated, NotFound, NotPermitted
from pixlsrve.model import LibraryAccess, Role, Subject, SubjectKind
from tests.auth.kit import PASSWORD, FakeTime, Kit, open_kit


@pytest.mark.parametrize("same", ["anna", "ANNA", " Anna ", "\uff21nna", "aNn\u0061"])
async def test_names_that_look_the_same_are_one(kit: Kit, same: str) -> None:
    """Names are unique in any case and any spelling of the same letters."""
    account = await kit.add("Anna")
    with pytest.raises(Conflict) as caught:
        await kit.add(same)
    assert caught.value.reason == "name_taken"
    assert kit.identity.accounts.named(same) == account
    assert (await kit.identity.accounts.check_password(same, PASSWORD)).id == account.id


@pytest.mark.parametrize("name", ["", "   ", "x" * 65, "a\0b", "a\nb", "a\u202eb", "a\u200bb", "\ud800", "x" * 9_999])
async def test_bad_names_are_refused(kit: Kit, name: str) -> None:
    """A name has 1 to 64 visible characters; at the login a bad one is just unknown (T3, T4)."""
    with pytest.raises(InvalidInput):
        await kit.add(name)
    with pytest.raises(NotAuthenticated):
        await kit.identity.accounts.check_password(name, PASSWORD)


async def test_unknown_name_and_wrong_password_look_the_same(kit: Kit) -> None:
    """T4: neither words nor reason tell which it was; a social-only account is no different."""
    await kit.add("anna")
    await kit.identity.accounts.add("social", None)
    said = set()
    for name, password in (("anna", "wrong"), ("nobody", PASSWORD), ("social", PASSWORD), ("anna", "x" * 5_000)):
        with pytest.raises(NotAuthenticated) as caught:
            await kit.identity.accounts.check_password(name, password)
        said.add((type(caught.value), caught.value.message, caught.value.reason))
    assert len(said) == 1


async def test_accounts_survive_a_restart(tmp_path: Path) -> None:
    """What is answered is durable: name, role, password, roots and the login's time."""
    now = FakeTime()
    async with open_kit(tmp_path, now) as kit:
        await kit.add("anna", Role.ADMIN)
        tokens = await kit.login("anna")
        before = kit.identity.accounts.list_all()
    async with open_kit(tmp_path, now) as kit:
        assert kit.identity.accounts.list_all() == before
        assert before[0].last_login_us is not None
        assert (await kit.who(tokens.access_token)).role is Role.ADMIN


async def test_the_last_admin_stays(kit: Kit) -> None:
    """T16: the last admin can neither be removed nor demoted, whatever happens at the same time."""
    accounts = kit.identity.accounts
    anna, ben = await kit.add("anna", Role.ADMIN), await kit.add("ben", Role.ADMIN)
    done = await asyncio.gather(
        accounts.remove(anna.id), accounts.set_role(ben.id, Role.MEMBER), return_exceptions=True
    )
    assert [type(outcome) for outcome in done].count(Conflict) == 1
    (left,) = [account for account in accounts.list_all() if account.role is Role.ADMIN]
    with pytest.raises(Conflict):
        await accounts.remove(left.id)
    with pytest.raises(Conflict):
        await accounts.set_role(left.id, Role.MEMBER)


async def test_roles_come_from_the_store(kit: Kit) -> None:
    """T16: a role that was given or taken counts for the very next request, also of the account's devices."""
    await kit.add("boss", Role.ADMIN)
    anna = await kit.add("anna", Role.ADMIN)
    _, device = await kit.pair(account=anna)
    assert (await kit.who(device.access_token)).role is Role.ADMIN
    session = await kit.identity.sessions.create(Subject(SubjectKind.ACCOUNT, anna.id))
    await kit.identity.accounts.set_role(anna.id, Role.MEMBER)
    with pytest.raises(NotAuthenticated):
        kit.identity.sessions.find(session)
    uuid = kit.identity.devices.list_all()[0].uuid
    again = await kit.identity.refresh.rotate(device.refresh_token, uuid)
    assert (await kit.who(again.access_token)).role is Role.MEMBER


async def test_password_change_ends_older_tokens(kit: Kit) -> None:
    """T7: access tokens, refresh tokens and sessions from before a new password are void; others' are not."""
    anna, _ = await kit.add("anna"), await kit.add("ben")
    old, other = await kit.login("anna"), await kit.login("ben")
    session = await kit.identity.sessions.create(Subject(SubjectKind.ACCOUNT, anna.id))
    with pytest.raises(NotPermitted):
        await kit.identity.accounts.change_password(anna.id, "wrong", "new password")
    await kit.who(old.access_token)
    await kit.identity.accounts.change_password(anna.id, PASSWORD, "new password")
    with pytest.raises(NotAuthenticated):
        await kit.who(old.access_token)
    with pytest.raises(NotAuthenticated):
        await kit.identity.refresh.rotate(old.refresh_token, None)
    with pytest.raises(NotAuthenticated):
        kit.identity.sessions.find(session)
    with pytest.raises(NotAuthenticated):
        await kit.login("anna")
    await kit.who(other.access_token)
    await kit.who((await kit.login("anna", "new password")).access_token)


async def test_password_change_that_races_a_reset_loses(kit: Kit) -> None:
    """T7: who began to change a password with the old one can't undo the new one that an admin set meanwhile."""
    anna = await kit.add("anna")
    change = asyncio.ensure_future(kit.identity.accounts.change_password(anna.id, PASSWORD, "the thief's own"))
    reset = asyncio.ensure_future(kit.identity.accounts.set_password(anna.id, "the owner's own"))
    await asyncio.gather(change, reset, return_exceptions=True)
    with pytest.raises(NotPermitted):
        await change
    await kit.login("anna", "the owner's own")


async def test_login_that_races_a_password_change_loses(kit: Kit) -> None:
    """T7: a login whose password is replaced before, while or after it is checked gives nothing that lasts."""
    anna = await kit.add("anna")
    login = asyncio.ensure_future(kit.login("anna"))
    await kit.identity.accounts.set_password(anna.id, "another one")
    with pytest.raises(NotAuthenticated):
        await kit.who((await login).access_token)
    account = await kit.identity.accounts.check_password("anna", "another one")
    await kit.identity.accounts.set_password(anna.id, "a third one")
    subject = Subject(SubjectKind.ACCOUNT, anna.id)
    with pytest.raises(NotAuthenticated):
        await kit.identity.refresh.issue(subject, generation=account.generation)
    with pytest.raises(NotAuthenticated):
        await kit.identity.sessions.create(subject, generation=account.generation)


async def test_removed_account_is_shut_out_with_its_devices(kit: Kit) -> None:
    """T7: tokens of a removed account and of its devices are refused as revoked; its name is free again."""
    anna = await kit.add("anna")
    tokens, (device, paired) = await kit.login("anna"), await kit.pair(account=anna)
    await kit.identity.accounts.remove(anna.id)
    for token in (tokens.access_token, paired.access_token):
        with pytest.raises(DeviceRevoked):
            await kit.who(token)
    with pytest.raises(DeviceRevoked):
        await kit.identity.refresh.rotate(tokens.refresh_token, None)
    with pytest.raises(DeviceRevoked):
        await kit.identity.refresh.rotate(paired.refresh_token, device.uuid)
    with pytest.raises(NotFound):
        kit.identity.accounts.named("anna")
    assert (await kit.add("Anna")).uuid != anna.uuid
    assert not await kit.peers.all_rows()


async def test_library_access(kit: Kit) -> None:
    """An account sees the whole library, some roots, or nothing, and its devices the same; admins see everything."""
    async with kit.state.transaction() as transaction:
        await transaction.execute(
            "INSERT INTO library_root (id, uid, path, name, added_us) VALUES (7, x'01', x'02', 'Photos', 0)"
        )
    accounts = kit.identity.accounts
    anna = await accounts.add("anna", PASSWORD, library=LibraryAccess.NONE)
    tokens, (_, device) = await kit.login("anna"), await kit.pair(account=anna)
    assert (await kit.who(tokens.access_token)).roots == frozenset()
    assert (await kit.who(device.access_token)).roots == frozenset()
    await accounts.allow(anna.id, LibraryAccess.SOME, [7])
    assert (await kit.who(tokens.access_token)).roots == frozenset({7})
    assert (await kit.who(device.access_token)).roots == frozenset({7})
    await accounts.allow(anna.id, LibraryAccess.ALL)
    assert (await kit.who(tokens.access_token)).roots is None
    with pytest.raises(InvalidInput):
        await accounts.allow(anna.id, LibraryAccess.SOME, [])


async def test_changes_call_the_hooks_after_they_are_in_force(kit: Kit) -> None:
    """T7: what closes sockets is called when the old rights are gone already."""
    anna = await kit.add("anna")
    tokens = await kit.login("anna")
    found: list[str] = []

    async def look() -> None:
        try:
            await kit.who(tokens.access_token)
        except NotAuthenticated:
            found.append("refused")

    async def fail() -> None:
        raise ValueError("a part that is broken")

    kit.identity.revocation.on_change(fail)
    kit.identity.revocation.on_change(look)
    await kit.identity.accounts.set_password(anna.id, "another one")
    assert found == ["refused"]
