"""Invitations: how an admin lets a person in who has no account yet; used once, over after a time (THREATS T5)."""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata

from pixlsrve.auth.clock import Clock
from pixlsrve.auth.finish import finish
from pixlsrve.errors import InvalidInput, NotFound, NotPermitted
from pixlsrve.store import invitations as rows
from pixlsrve.store.database import Database, Transaction
from pixlsrve.store.invitations import Invitation

LIFETIME_S = 7 * 86_400
LONGEST_LIFETIME_S = 90 * 86_400
MOST_OPEN = 1_000
LONGEST_CODE = 100
LONGEST_EMAIL = 254
_CODE_BYTES = 16
_EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f]{1,64}@[^\s@\x00-\x1f\x7f]{1,190}")
_US = 1_000_000
_WRONG = "The invitation is wrong, used or over; ask for another one."


def email_key(email: str) -> str | None:
    """What two spellings of one e-mail address have in common, or None where it is no address."""
    if len(email) > 2 * LONGEST_EMAIL:
        return None
    text = unicodedata.normalize("NFKC", email).strip().casefold()
    return text if len(text) <= LONGEST_EMAIL and _EMAIL.fullmatch(text) else None


class Invitations:
    """Makes, lists, withdraws and uses up invitations. Codes are 128 random bits, kept as SHA-256 only."""

    def __init__(self, state: Database, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    async def create(self, *, email: str | None = None, lifetime_s: int = LIFETIME_S) -> tuple[str, Invitation]:
        """The code of a new invitation, and its row, which is durable by then.

        With `email` it is good only for a social login whose provider vouches for that address. Raises InvalidInput.
        """
        key = None if email is None else email_key(email)
        if email is not None and key is None:
            raise InvalidInput("That is no e-mail address.", reason="invalid_email", parameter="email")
        if not 1 <= lifetime_s <= LONGEST_LIFETIME_S:
            raise InvalidInput(
                "An invitation lives between one second and 90 days.", reason="invalid_lifetime", parameter="expires_in"
            )
        return await finish(self._create(key, lifetime_s))

    async def list_open(self) -> list[Invitation]:
        """Those that can still be used, the oldest first."""
        return await rows.list_open(self._state, self._clock.now_us())

    async def withdraw(self, invitation_id: int) -> None:
        """Take back an invitation that nobody has used. Raises NotFound."""
        async with self._state.transaction() as transaction:
            if not await rows.delete(transaction, invitation_id):
                raise NotFound("There is no open invitation of that number.")

    async def check(self, code: str) -> None:
        """Raises NotPermitted unless this code would let somebody in now who has no address to show."""
        found = await rows.find_open(self._state, _digest(code), self._clock.now_us())
        if found is None or found.email_key is not None:
            raise NotPermitted(_WRONG, reason="invalid_invitation")

    async def use(self, transaction: Transaction, *, code: str | None = None, email: str | None = None) -> None:
        """Use up what lets this person in: the invitation of that code, or the one for the verified address `email`.

        Raises NotPermitted where there is none.
        """
        now_us = self._clock.now_us()
        key = None if email is None else email_key(email)
        found = None if code is None else await rows.find_open(transaction, _digest(code), now_us)
        if found is not None and found.email_key not in {None, key}:
            found = None
        if found is None and key is not None:
            found = await rows.find_open_for(transaction, key, now_us)
        if found is None or not await rows.mark_used(transaction, found.id, now_us):
            raise NotPermitted(_WRONG, reason="invalid_invitation")

    async def _create(self, key: str | None, lifetime_s: int) -> tuple[str, Invitation]:
        code = secrets.token_urlsafe(_CODE_BYTES)
        now_us = self._clock.now_us()
        invitation = Invitation(
            id=0, digest=_digest(code), email_key=key, created_us=now_us, expires_us=now_us + lifetime_s * _US
        )
        async with self._state.transaction() as transaction:
            await rows.delete_over(transaction, now_us)
            if len(await rows.list_open(transaction, now_us)) >= MOST_OPEN:
                raise InvalidInput("Too many invitations are open; withdraw some.", reason="too_many_invitations")
            number = await rows.insert(transaction, invitation)
        return code, Invitation(
            id=number,
            digest=invitation.digest,
            email_key=key,
            created_us=now_us,
            expires_us=invitation.expires_us,
        )


def _digest(code: str) -> bytes:
    return hashlib.sha256(code[: LONGEST_CODE + 1].encode("utf-8", "surrogatepass")).digest()
