"""Which account belongs to whom a login provider vouches for, and who gets a new one (THREATS T5, T12)."""

from __future__ import annotations

import asyncio

import structlog

from pixlsrve.auth.accounts import LONGEST_NAME, Accounts, clean_name
from pixlsrve.auth.clock import Clock
from pixlsrve.auth.directory import Directory
from pixlsrve.auth.invitations import Invitations
from pixlsrve.auth.social.provider import Person
from pixlsrve.errors import Conflict, NotPermitted
from pixlsrve.model import Account, LibraryAccess, Role
from pixlsrve.store import social as rows
from pixlsrve.store.database import Database, Transaction

log = structlog.get_logger(__name__)

_SAME_NAMES = 100
_STRANGER = "Nobody here has invited you yet; ask the host's owner for an invitation, then sign in again."


class People:
    """Finds accounts by issuer and subject; an e-mail address alone never leads to one that exists."""

    def __init__(
        self, state: Database, directory: Directory, accounts: Accounts, invitations: Invitations, clock: Clock
    ) -> None:
        self._state = state
        self._directory = directory
        self._accounts = accounts
        self._invitations = invitations
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()

    async def sign_in(self, person: Person, invite: str | None = None) -> Account:
        """The person's account; for somebody invited, by code or by verified e-mail address, a new one.

        It is a member's, and sees nothing of the library until an admin opens it. Raises NotPermitted.
        """
        async with self._one_at_a_time:
            account_id = await rows.find_account(self._state, person.issuer, person.subject)
            if account_id is not None:
                return await self._accounts.note_login(account_id)
            return await self._welcome(person, invite)

    async def _welcome(self, person: Person, invite: str | None) -> Account:
        """A new account under the first name that is free."""

        async def admit(transaction: Transaction, account_id: int) -> None:
            try:
                await self._invitations.use(transaction, code=invite, email=person.email)
            except NotPermitted as error:
                raise NotPermitted(_STRANGER, reason="not_invited") from error
            now_us = self._clock.now_us()
            await rows.save(transaction, person.issuer, person.subject, account_id, email=person.email, at_us=now_us)

        wanted = _user_name(person)
        for number in range(1, _SAME_NAMES + 1):
            name = wanted if number == 1 else f"{wanted[: LONGEST_NAME - 4]} {number}"
            try:
                account = await self._accounts.add(name, None, role=Role.MEMBER, library=LibraryAccess.NONE, also=admit)
            except Conflict:
                continue
            log.info("somebody signed in for the first time", issuer=person.issuer, account=account.id)
            return account
        raise Conflict("Too many people have this name; ask the host's owner for an account.", reason="name_taken")


def _user_name(person: Person) -> str:
    """What to call a new person: the name they go by, else the first part of their address."""
    for text in (person.name, (person.email or "").partition("@")[0]):
        name = clean_name((text or "")[:LONGEST_NAME])
        if name is not None:
            return name
    return "guest"
