"""Tokens for scripts, minted at the terminal: stored, listed, withdrawn."""

from __future__ import annotations

import msgspec

from pixlsrve.auth.clock import Clock
from pixlsrve.auth.tokens import Authenticator, Claims, new_id
from pixlsrve.errors import DeviceRevoked, InvalidInput, NotAuthenticated, NotFound
from pixlsrve.model import Principal, Role
from pixlsrve.store import tokens
from pixlsrve.store.database import Database
from pixlsrve.store.tokens import ScriptToken

KIND = "script"
LONGEST_LIFETIME_S = 10 * 366 * 86_400
_KEPT_AFTER_EXPIRY_US = 30 * 86_400 * 1_000_000


class ScriptTokens:
    """The rows of script_token, kept in memory too: this process is the only one that writes them."""

    def __init__(self, state: Database, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._rows: dict[str, ScriptToken] = {}
        self._principals: dict[str, Principal] = {}

    async def load(self) -> None:
        """Read the rows."""
        self._rows = {row.jti: row for row in await tokens.find_all(self._state)}
        self._principals = {row.jti: _principal(row) for row in self._rows.values() if row.revoked_us is None}

    def find(self, subject_id: str, claims: Claims) -> Principal:
        """The principal of a live token. Raises DeviceRevoked when it was withdrawn, NotAuthenticated when unknown."""
        principal = self._principals.get(claims.jti)
        if principal is not None and subject_id == claims.jti:
            return principal
        if claims.jti in self._rows:
            raise DeviceRevoked("This token has been revoked; get a new one.")
        raise NotAuthenticated("The token is not valid; get a new one.")

    async def mint(self, authenticator: Authenticator, role: Role, lifetime_s: int) -> tuple[str, ScriptToken]:
        """A new bearer token and its row, which is durable by then. Raises InvalidInput."""
        if not 1 <= lifetime_s <= LONGEST_LIFETIME_S:
            raise InvalidInput("A token lives between one second and ten years.", expires_s=lifetime_s)
        now_us = self._clock.now_us()
        row = ScriptToken(new_id(), role, now_us, now_us + lifetime_s * 1_000_000)
        async with self._state.transaction() as transaction:
            await tokens.delete_expired(transaction, now_us - _KEPT_AFTER_EXPIRY_US)
            await tokens.insert(transaction, row)
        self._rows[row.jti] = row
        self._principals[row.jti] = _principal(row)
        return authenticator.mint(KIND, row.jti, row.jti, lifetime_s), row

    def list_live(self) -> list[ScriptToken]:
        """The tokens that work, the oldest first."""
        now_us = self._clock.now_us()
        return [row for row in self._rows.values() if row.revoked_us is None and row.expires_us > now_us]

    async def revoke(self, jti: str) -> None:
        """Withdraw a token; it fails from the next request on. Raises NotFound."""
        row = self._rows.get(jti)
        if row is None:
            raise NotFound("There is no such token; `pixlsrve token list` shows those that exist.")
        if row.revoked_us is not None:
            return
        row = msgspec.structs.replace(row, revoked_us=self._clock.now_us())
        async with self._state.transaction() as transaction:
            await tokens.mark_revoked(transaction, jti, self._clock.now_us())
        self._rows[jti] = row
        self._principals.pop(jti, None)


def _principal(row: ScriptToken) -> Principal:
    """Whoever holds this token."""
    return Principal(id=f"{KIND}:{row.jti}", role=row.role)
