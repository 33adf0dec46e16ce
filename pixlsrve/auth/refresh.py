"""Refresh tokens: families of which one token is good at a time, and what happens to the others (THREATS T6).

A refresh token is a JWT that names its family and its number. It is derived, not stored: with the family's row and the
installation's key the next one can be made again, which is what a client gets whose first answer was lost.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import jwt
import msgspec
import structlog

from pixlsrve.auth.clock import Clock
from pixlsrve.auth.directory import Directory
from pixlsrve.auth.finish import finish
from pixlsrve.auth.keys import SigningKey
from pixlsrve.auth.tokens import ALGORITHM, ISSUER, LONGEST_TOKEN, Authenticator, Claims, new_id
from pixlsrve.errors import InvalidInput, NotAuthenticated
from pixlsrve.events import EventBus, EventType
from pixlsrve.model import Principal, Subject, SubjectKind
from pixlsrve.store import refresh as rows
from pixlsrve.store.database import Database, Transaction
from pixlsrve.store.refresh import Family

log = structlog.get_logger(__name__)

ACCESS_LIFETIME_S = 3_600
REFRESH_LIFETIME_S = 180 * 86_400
GRACE_S = 30
MOST_FAMILIES = 50
"""Of one account; the oldest ends when one more begins."""
_TYPE = "refresh"
_US = 1_000_000
_NUMBER = re.compile("[0-9]{1,12}")
_INVALID = "The refresh token is not valid; sign in or pair again."


@dataclass(frozen=True)
class TokenPair:
    """What a client gets. `expires_in` is the access token's life in seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int = ACCESS_LIFETIME_S


class RefreshTokens:
    """Begins families, exchanges their tokens, ends them; says whether a family lives."""

    def __init__(
        self,
        state: Database,
        directory: Directory,
        authenticator: Authenticator,
        bus: EventBus,
        *,
        key: SigningKey,
        host_id: str,
        clock: Clock,
    ) -> None:
        self._state = state
        self._directory = directory
        self._authenticator = authenticator
        self._bus = bus
        self._key = hmac.digest(key.secret, b"pixlsrve refresh tokens", hashlib.sha256)
        self._host_id = host_id
        self._clock = clock
        self._live: dict[str, Family] = {}
        self._after_end: Callable[[], Awaitable[None]] | None = None

    def on_end(self, hook: Callable[[], Awaitable[None]]) -> None:
        """Have `hook` called when a family has ended by itself: what its access tokens hold open is over."""
        self._after_end = hook

    async def load(self) -> None:
        """Read the rows. Nothing is written, so that a full disk does not keep the daemon from starting."""
        self._live = {family.id: family for family in await rows.find_all(self._state)}

    def is_live(self, family_id: str, subject: Subject) -> bool:
        """Whether this subject's family has neither ended nor expired."""
        family = self._live.get(family_id)
        return family is not None and family.subject == subject and family.expires_us > self._clock.now_us()

    async def begin(self, transaction: Transaction, subject: Subject) -> Family:
        """A new family as part of a transaction; `keep` it once that is committed."""
        now_us = self._clock.now_us()
        await rows.delete_expired(transaction, now_us)
        family = Family(
            id=new_id(), subject=subject, newest=0, created_us=now_us, expires_us=now_us + REFRESH_LIFETIME_S * _US
        )
        await rows.insert(transaction, family)
        for old in self._surplus(subject):
            await rows.end(transaction, old.id, now_us)
        return family

    def keep(self, family: Family) -> TokenPair:
        """The first tokens of a family that is durable now."""
        now_us = self._clock.now_us()
        self._live = {key: kept for key, kept in self._live.items() if kept.expires_us > now_us}
        for old in self._surplus(family.subject):
            self._live.pop(old.id)
        self._live[family.id] = family
        return self._pair(family, family.newest, family.created_us)

    async def issue(self, subject: Subject, *, generation: int | None = None) -> TokenPair:
        """The first tokens of a new family, which is durable by then.

        `generation` is the account's when its password was checked; a password or role that was changed since makes
        the check void. Raises DeviceRevoked, NotAuthenticated.
        """
        return await finish(self._issue(subject, generation))

    async def rotate(self, token: str, device_uuid: str | None) -> TokenPair:
        """Exchange a refresh token; what it is exchanged for is durable by then.

        A device's token needs the device's own id, an account's none. The same token again within 30 s gives the same
        successor; later it ends the family, since two parties hold it. Raises NotAuthenticated, DeviceRevoked, and
        InvalidInput when a device's id is missing.
        """
        family_id, number = self._read(token)
        return await finish(self._rotate(family_id, number, device_uuid))

    async def end(self, family_id: str) -> None:
        """End a family with its access tokens, as logging out does."""
        await finish(self._end(family_id))

    def forget(self, subjects: frozenset[Subject]) -> None:
        """The families of these have been ended in the database."""
        self._live = {key: family for key, family in self._live.items() if family.subject not in subjects}

    def _surplus(self, subject: Subject) -> list[Family]:
        """The oldest families of a subject, which make room for one more."""
        own = [family for family in self._live.values() if family.subject == subject]
        return own[: max(0, len(own) - MOST_FAMILIES + 1)]

    async def _issue(self, subject: Subject, generation: int | None) -> TokenPair:
        async with self._state.transaction() as transaction:
            self._directory.check_current(subject, generation)
            family = await self.begin(transaction, subject)
        return self.keep(family)

    async def _end(self, family_id: str) -> None:
        async with self._state.transaction() as transaction:
            await rows.end(transaction, family_id, self._clock.now_us())
        await self._ended(family_id)

    async def _ended(self, family_id: str) -> None:
        """What the database says takes effect."""
        self._live.pop(family_id, None)
        if self._after_end is not None:
            await self._after_end()

    async def _rotate(self, family_id: str, number: int, device_uuid: str | None) -> TokenPair:
        """One exchange; transactions follow each other, so that it happens before or after a revocation, not amid."""
        async with self._state.transaction() as transaction:
            family = await rows.find(transaction, family_id)
            now_us = self._clock.now_us()
            if family is None:
                raise NotAuthenticated(_INVALID)
            self._check(family, device_uuid, now_us)
            at_us: int | None = now_us
            if number >= family.newest:
                # A number from the future is honest too: the state was restored from an older copy.
                family = msgspec.structs.replace(
                    family, newest=number + 1, expires_us=now_us + REFRESH_LIFETIME_S * _US
                )
                await rows.exchange(transaction, family, number, now_us, now_us - GRACE_S * _US)
            else:
                at_us = await rows.find_exchange(transaction, family_id, number)
                if at_us is None or now_us - at_us > GRACE_S * _US:
                    at_us = None
                    await rows.end(transaction, family_id, now_us)
        if at_us is None:
            self._report(family.subject)
            await self._ended(family_id)
            raise NotAuthenticated(_INVALID, reason="refresh_token_reused")
        self._live[family_id] = family
        return self._pair(family, number + 1, at_us)

    def _check(self, family: Family, device_uuid: str | None, now_us: int) -> None:
        """Raises unless the family lives and belongs to whoever shows its token."""
        subject = family.subject
        principal = self._directory.principal(subject)
        if subject.kind is SubjectKind.DEVICE and device_uuid is None:
            raise InvalidInput(
                "A device's refresh token needs its device_id.", reason="invalid_field", parameter="device_id"
            )
        expected = principal.device_id if subject.kind is SubjectKind.DEVICE else None
        shown = None if device_uuid is None else device_uuid.lower()
        if shown != expected or family.ended_us is not None or family.expires_us <= now_us:
            raise NotAuthenticated(_INVALID)

    def _report(self, subject: Subject) -> None:
        """Tell the log and the owner that a token was used by two parties."""
        principal = self._directory.principal(subject)
        log.warning("a refresh token was used again; its family has ended", subject=principal.id)
        self._bus.publish(
            EventType.TOKEN_REUSED,
            {"device_id": principal.device_id, "account_id": principal.account_id},
            audience=frozenset(filter(None, (principal.device_id, principal.account_id))),
        )

    def _pair(self, family: Family, number: int, at_us: int) -> TokenPair:
        """The tokens of a number; the refresh token is the same each time, the access token a new one."""
        subject = family.subject
        claims = {
            "typ": _TYPE,
            "iss": ISSUER,
            "aud": self._host_id,
            "iat": at_us // _US,
            "exp": at_us // _US + REFRESH_LIFETIME_S,
            "jti": f"{family.id}.{number}",
        }
        return TokenPair(
            access_token=self.mint_access(subject, family.id),
            refresh_token=jwt.encode(claims, self._key, ALGORITHM),
        )

    def mint_access(self, subject: Subject, family_id: str | None = None) -> str:
        """An access token of one hour, without `family_id` one that can't be refreshed. The subject must be there."""
        principal = self._directory.principal(subject)
        uuid = principal.device_id if subject.kind is SubjectKind.DEVICE else principal.account_id
        claims: dict[str, Any] = {"gen": self._directory.generation(subject)}
        if family_id is not None:
            claims["fam"] = family_id
        owner = self._directory.owner(subject)
        if owner is not None:
            claims |= {"userId": owner.id, "username": owner.username}
        return self._authenticator.mint(subject.kind, uuid or "", new_id(), ACCESS_LIFETIME_S, **claims)

    def _read(self, token: str) -> tuple[str, int]:
        """Family and number of a genuine refresh token. Raises NotAuthenticated."""
        if len(token) > LONGEST_TOKEN:
            raise NotAuthenticated(_INVALID)
        options: Any = {
            "require": ["typ", "iss", "aud", "exp", "iat", "jti"],
            "strict_aud": True,
            "verify_exp": False,
            "verify_iat": False,
        }
        try:
            if "crit" in jwt.get_unverified_header(token):
                raise NotAuthenticated(_INVALID)
            claims = jwt.decode(
                token, self._key, algorithms=[ALGORITHM], audience=self._host_id, issuer=ISSUER, options=options
            )
            family_id, _, number = str(claims["jti"]).partition(".")
            if claims["typ"] != _TYPE or not _NUMBER.fullmatch(number):
                raise NotAuthenticated(_INVALID)
        except (jwt.InvalidTokenError, ValueError) as error:
            raise NotAuthenticated(_INVALID) from error
        return family_id, int(number)


class SubjectTokens:
    """Resolves access tokens of one kind of subject: the Authenticator's source for devices, or for accounts."""

    def __init__(self, kind: SubjectKind, directory: Directory) -> None:
        self._kind = kind
        self._directory = directory
        self._families: RefreshTokens | None = None

    def attach(self, families: RefreshTokens) -> None:
        """Tokens that belong to a family end with it from now on; until then none is accepted."""
        self._families = families

    def find(self, subject_id: str, claims: Claims) -> Principal:
        """Who this is now. Raises DeviceRevoked, NotAuthenticated."""
        subject = self._directory.subject(subject_id)
        if subject is None or subject.kind is not self._kind or self._families is None:
            raise NotAuthenticated("The token is not valid; get a new one.")
        principal = self._directory.principal(subject)
        is_current = claims.generation == self._directory.generation(subject)
        if not is_current or (claims.family is not None and not self._families.is_live(claims.family, subject)):
            raise NotAuthenticated("The token has been withdrawn; get a new one.")
        return principal
