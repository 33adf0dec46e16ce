"""People who make their own account: whether they may, and how little they get (THREATS T5)."""

from __future__ import annotations

from typing import Literal

from pixlsrve.auth.accounts import Accounts
from pixlsrve.auth.invitations import Invitations
from pixlsrve.errors import NotPermitted
from pixlsrve.model import Account, LibraryAccess, Role
from pixlsrve.store.database import Transaction

Mode = Literal["closed", "invite", "open"]
CLOSED = "Registration is closed"


class Registration:
    """Makes accounts for strangers, always members, and without the library until an admin opens it."""

    def __init__(self, mode: Mode, accounts: Accounts, invitations: Invitations) -> None:
        self._mode = mode
        self._accounts = accounts
        self._invitations = invitations

    async def register(self, username: str, password: str, invite: str | None = None) -> Account:
        """A new account.

        Raises NotPermitted where registration is closed or needs another invitation, InvalidInput for a bad name or
        password, Conflict for a name that is taken, RateLimited.
        """
        if self._mode == "closed":
            raise NotPermitted(CLOSED, reason="registration_closed")
        if self._mode == "open":
            return await self._accounts.add(username, password, role=Role.MEMBER, library=LibraryAccess.NONE)
        if not invite:
            raise NotPermitted("Registration needs an invitation", reason="invalid_invitation")
        await self._invitations.check(invite)  # before the slow hash, so that guesses stay cheap for us

        async def use(transaction: Transaction, _: int) -> None:
            await self._invitations.use(transaction, code=invite)

        return await self._accounts.add(username, password, role=Role.MEMBER, library=LibraryAccess.NONE, also=use)
