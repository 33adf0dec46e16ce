"""People: names, passwords, roles, and what of the library each may see."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Awaitable, Callable, Iterable

from pixlsrve.auth.clock import Clock
from pixlsrve.auth.directory import Directory
from pixlsrve.auth.finish import finish
from pixlsrve.auth.passwords import Hasher
from pixlsrve.auth.revocation import LAST_ADMIN, Revocation
from pixlsrve.errors import Conflict, InvalidInput, NotAuthenticated, NotFound, NotPermitted
from pixlsrve.model import Account, LibraryAccess, Role, Subject, SubjectKind
from pixlsrve.store import accounts as rows
from pixlsrve.store.database import Database, Transaction

LONGEST_NAME = 64
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
Also = Callable[[Transaction, int], Awaitable[None]]
"""Work that belongs to the making of an account; gets its number."""
_NO_MATCH = "The user name or the password is wrong."


def clean_name(username: str) -> str | None:
    """The name as it is shown (NFKC, without spaces around it), or None where it can't be one."""
    if len(username) > 4 * LONGEST_NAME:
        return None
    name = unicodedata.normalize("NFKC", username).strip()
    if not 1 <= len(name) <= LONGEST_NAME or any(unicodedata.category(letter) in _UNPRINTABLE for letter in name):
        return None
    return name


def name_key(name: str) -> str:
    """What two names that look the same to people have in common."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


class Accounts:
    """Makes, changes and removes accounts, and checks passwords. Each change is durable when its call returns."""

    def __init__(
        self, state: Database, directory: Directory, hasher: Hasher, revocation: Revocation, clock: Clock
    ) -> None:
        self._state = state
        self._directory = directory
        self._hasher = hasher
        self._revocation = revocation
        self._clock = clock

    def list_all(self) -> list[Account]:
        """The accounts, the oldest first."""
        return self._directory.accounts()

    def named(self, username: str) -> Account:
        """The account with this name, in any case of letters. Raises NotFound."""
        name = clean_name(username)
        for account in self._directory.accounts():
            if name is not None and name_key(account.username) == name_key(name):
                return account
        raise NotFound("There is no account of that name; `pixlsrve user list` shows those that exist.")

    async def add(
        self,
        username: str,
        password: str | None,
        *,
        role: Role = Role.MEMBER,
        library: LibraryAccess = LibraryAccess.ALL,
        roots: Iterable[int] = (),
        also: Also | None = None,
    ) -> Account:
        """A new account; without a password it can sign in by a social account only.

        `also` is done in the same transaction; what it raises undoes the account. Raises InvalidInput
        for a bad name or password, Conflict (reason `name_taken`) and RateLimited.
        """
        name = clean_name(username)
        if name is None:
            raise InvalidInput(
                f"A user name has 1 to {LONGEST_NAME} characters, none of them invisible.",
                reason="invalid_username",
                parameter="username",
            )
        _check_roots(library, roots := frozenset(roots))
        hashed = None if password is None else await self._hasher.hash(password)
        return await finish(self._add(name, hashed, role, library, roots, also))

    async def check_password(self, username: str, password: str) -> Account:
        """Whose name and password these are. Raises NotAuthenticated, which does not say what was wrong; RateLimited.

        Takes as long for a name that doesn't exist (THREATS T4).
        """
        name = clean_name(username)
        credential = await rows.find_credential(self._state, "" if name is None else name_key(name))
        account_id, hashed = credential or (0, None)
        if not await self._hasher.verify(password, hashed) or hashed is None:
            raise NotAuthenticated(_NO_MATCH, reason="wrong_credentials")
        renewed = await self._hasher.hash_again(password) if self._hasher.is_outdated(hashed) else None
        return await finish(self._note_login(account_id, hashed, renewed))

    async def note_login(self, account_id: int) -> Account:
        """Note that somebody has signed in by other means than a password. Raises NotFound."""
        return await finish(self._note_other_login(account_id))

    async def change_password(self, account_id: int, old: str, new: str) -> Account:
        """Change one's own password; all older tokens and sessions are void.

        Raises NotPermitted when `old` is wrong, or replaced by somebody else meanwhile; InvalidInput when `new` can't
        be a password, RateLimited.
        """
        known = await rows.find_password(self._state, account_id)
        if not await self._hasher.verify(old, known):
            raise _wrong_password()
        hashed = await self._hasher.hash(new)
        return await finish(self._set_password(account_id, hashed, instead_of=known))

    async def set_password(self, account_id: int, password: str) -> Account:
        """Give an account another password; all older tokens and sessions are void. Raises InvalidInput, NotFound."""
        hashed = await self._hasher.hash(password)
        return await finish(self._set_password(account_id, hashed))

    async def set_role(self, account_id: int, role: Role) -> Account:
        """Change a role; older tokens are void. Raises NotFound, and Conflict for the last admin."""
        return await finish(self._set_role(account_id, role))

    async def allow(self, account_id: int, library: LibraryAccess, roots: Iterable[int] = ()) -> Account:
        """Say what an account may see; in force from the next request on. Raises NotFound, InvalidInput."""
        _check_roots(library, chosen := frozenset(roots))
        return await finish(self._allow(account_id, library, chosen))

    async def remove(self, account_id: int) -> None:
        """Remove an account and revoke its devices. Raises NotFound, and Conflict for the last admin."""
        await self._revocation.remove_account(account_id)

    async def _add(
        self,
        name: str,
        hashed: str | None,
        role: Role,
        library: LibraryAccess,
        roots: frozenset[int],
        also: Also | None,
    ) -> Account:
        key = name_key(name)
        async with self._state.transaction() as transaction:
            if await rows.find_id(transaction, key) is not None:
                raise Conflict("That user name is taken.", reason="name_taken")
            account = Account(
                id=0,
                uuid=str(uuid.uuid4()),
                username=name,
                role=role,
                library=library,
                created_us=self._clock.now_us(),
            )
            account_id = await rows.insert(transaction, account, key=key, password=hashed)
            if roots:
                await rows.save_library(transaction, account_id, library, roots)
            if also is not None:
                await also(transaction, account_id)
            account = await _read(transaction, account_id)
        self._directory.put_account(account)
        return account

    async def _note_login(self, account_id: int, hashed: str, renewed: str | None) -> Account:
        """Note a login whose password was right, unless it has been changed since it was looked at."""
        async with self._state.transaction() as transaction:
            if await rows.find_password(transaction, account_id) != hashed:
                raise NotAuthenticated(_NO_MATCH, reason="wrong_credentials")
            if renewed is not None:
                await rows.rehash_password(transaction, account_id, hashed, renewed)
            await rows.save_login(transaction, account_id, self._clock.now_us())
            account = await _read(transaction, account_id)
        self._directory.put_account(account)
        return account

    async def _note_other_login(self, account_id: int) -> Account:
        async with self._state.transaction() as transaction:
            self._directory.account(account_id)
            await rows.save_login(transaction, account_id, self._clock.now_us())
            account = await _read(transaction, account_id)
        self._directory.put_account(account)
        return account

    async def _set_password(self, account_id: int, hashed: str, *, instead_of: str | None = None) -> Account:
        """Store a password; only in place of `instead_of`, where that is given. Raises NotPermitted."""
        subject = Subject(SubjectKind.ACCOUNT, account_id)
        async with self._state.transaction() as transaction:
            self._directory.account(account_id)
            if instead_of is not None and await rows.find_password(transaction, account_id) != instead_of:
                raise _wrong_password()
            await rows.save_password(transaction, account_id, hashed)
            await self._revocation.end_credentials(transaction, subject)
            account = await _read(transaction, account_id)
        return await self._changed(account, ends_credentials=True)

    async def _set_role(self, account_id: int, role: Role) -> Account:
        subject = Subject(SubjectKind.ACCOUNT, account_id)
        async with self._state.transaction() as transaction:
            known = self._directory.account(account_id)
            if known.role is role:
                return known
            if role is not Role.ADMIN and not await rows.count_admins(transaction, without=account_id):
                raise Conflict(LAST_ADMIN, reason="last_admin")
            await rows.save_role(transaction, account_id, role)
            await self._revocation.end_credentials(transaction, subject)
            account = await _read(transaction, account_id)
        return await self._changed(account, ends_credentials=True)

    async def _allow(self, account_id: int, library: LibraryAccess, roots: frozenset[int]) -> Account:
        async with self._state.transaction() as transaction:
            self._directory.account(account_id)
            await rows.save_library(transaction, account_id, library, roots)
            account = await _read(transaction, account_id)
        return await self._changed(account, ends_credentials=False)

    async def _changed(self, account: Account, *, ends_credentials: bool) -> Account:
        """After the commit: what is known of the account is so from now on, and what is open is looked at again."""
        self._directory.put_account(account)
        if ends_credentials:
            self._revocation.forget_credentials(frozenset({Subject(SubjectKind.ACCOUNT, account.id)}))
        await self._revocation.apply()
        return account


def _check_roots(library: LibraryAccess, roots: frozenset[int]) -> None:
    """Folders are named where some may be seen, and only there. Raises InvalidInput."""
    if (library is LibraryAccess.SOME) != bool(roots):
        raise InvalidInput("Name the folders that this account may see.", reason="no_roots", parameter="roots")


def _wrong_password() -> NotPermitted:
    return NotPermitted("The current password is wrong.", reason="wrong_credentials")


async def _read(transaction: Transaction, account_id: int) -> Account:
    account = await rows.find(transaction, account_id)
    if account is None:
        raise NotFound("There is no such account.")
    return account
