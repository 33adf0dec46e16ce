"""Access tokens: signed, checked, and resolved to whoever the store says their subject is now.

A token is a JWT signed with HS256 (RFC 7519, RFC 8725). It says only which subject it stands for; role and rights come
from the subject's own source, on every request (THREATS T9, T14, T16).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from typing import Any, Protocol

import jwt
import msgspec

from pixlsrve.auth.clock import Clock
from pixlsrve.auth.keys import SigningKey
from pixlsrve.errors import NotAuthenticated
from pixlsrve.model import Principal

ALGORITHM = "HS256"
ISSUER = "pixlsrve"
ACCESS = "access"
LONGEST_TOKEN = 2_048
CACHE_ENTRIES = 4_096
_REQUIRED = ["typ", "iss", "aud", "exp", "iat", "jti", "sub"]
_INVALID = "The token is not valid; get a new one."
_EXPIRED = "The token has expired; get a new one."


class Claims(msgspec.Struct, frozen=True):
    """What a token says besides its subject. It ends with its `family` of refresh tokens, where it has one."""

    jti: str
    generation: int = 0
    """Of the account when the token was made; void when the account has another."""
    family: str | None = None


class SubjectSource(Protocol):
    """Knows the subjects of one kind: scripts' tokens, devices, accounts."""

    def find(self, subject_id: str, claims: Claims) -> Principal:
        """Who this is, as the store knows it now. Raises NotAuthenticated, DeviceRevoked."""


class Authenticator:
    """Mints access tokens and says who sent one.

    `host_id` is the audience, so that a token of another host is worth nothing here even with the same key. A subject
    is written `KIND:ID`; `sources` has the source of each kind.
    """

    def __init__(self, key: SigningKey, host_id: str, clock: Clock, sources: dict[str, SubjectSource]) -> None:
        self._key = key
        self._host_id = host_id
        self._clock = clock
        self._sources = sources
        self._seen: OrderedDict[bytes, tuple[SubjectSource, str, Claims, float]] = OrderedDict()

    def mint(self, kind: str, subject_id: str, jti: str, lifetime_s: int, **claims: Any) -> str:
        """A signed access token. `claims` are further ones for clients to read; nothing here believes them."""
        now_s = int(self._clock.now_s())
        own = {
            "typ": ACCESS,
            "iss": ISSUER,
            "aud": self._host_id,
            "iat": now_s,
            "exp": now_s + lifetime_s,
            "jti": jti,
            "sub": f"{kind}:{subject_id}",
        }
        return jwt.encode({**claims, **own}, self._key.secret, ALGORITHM, headers={"kid": self._key.kid})

    async def authenticate(self, token: str) -> Principal:
        """Who sent this token. Raises NotAuthenticated, DeviceRevoked.

        A token that has been seen before costs a look into two dictionaries; its subject is looked up every time.
        """
        if len(token) > LONGEST_TOKEN:
            raise NotAuthenticated(_INVALID)
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._seen.get(digest)
        if known is None:
            known = self._verify(token)
            self._seen[digest] = known
            if len(self._seen) > CACHE_ENTRIES:
                self._seen.popitem(last=False)
        source, subject_id, claims, expires_s = known
        if self._clock.now_s() >= expires_s:
            raise NotAuthenticated(_EXPIRED)
        return source.find(subject_id, claims)

    def claims(self, token: str) -> Claims:
        """What a token that has just been accepted says besides its subject. Raises NotAuthenticated."""
        return self._verify(token)[2]

    def _verify(self, token: str) -> tuple[SubjectSource, str, Claims, float]:
        """The subject's source and id, the token's own claims and its expiry. Raises NotAuthenticated."""
        try:
            header = jwt.get_unverified_header(token)
            kid = header.get("kid")
            if header.get("alg") != ALGORITHM or "crit" in header or not isinstance(kid, str):
                raise NotAuthenticated(_INVALID)
            if not hmac.compare_digest(kid.encode(), self._key.kid.encode()):
                raise NotAuthenticated(_INVALID)
            claims = self._decode(token)
        except (jwt.InvalidTokenError, ValueError) as error:
            raise NotAuthenticated(_INVALID) from error
        return self._subject(claims)

    def _decode(self, token: str) -> dict[str, Any]:
        """The claims of a token with a good signature; times are checked against our clock, not the library's."""
        return jwt.decode(
            token,
            self._key.secret,
            algorithms=[ALGORITHM],
            audience=self._host_id,
            issuer=ISSUER,
            options={
                "require": _REQUIRED,
                "strict_aud": True,
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )

    def _subject(self, claims: dict[str, Any]) -> tuple[SubjectSource, str, Claims, float]:
        """Check the claims' types and values. Raises NotAuthenticated."""
        issued, expires, jti = claims["iat"], claims["exp"], claims["jti"]
        kind, _, subject_id = str(claims["sub"]).partition(":")
        source = self._sources.get(kind)
        generation, family = claims.get("gen", 0), claims.get("fam")
        is_sound = (
            claims["typ"] == ACCESS
            and type(issued) is int
            and type(expires) is int
            and isinstance(jti, str)
            and type(generation) is int
            and (family is None or isinstance(family, str))
            and issued <= self._clock.now_s() + 1
            and source is not None
        )
        if not is_sound or source is None:
            raise NotAuthenticated(_INVALID)
        return source, subject_id, Claims(jti, generation, family), float(expires)


def new_id() -> str:
    """A token's id: 128 random bits."""
    return secrets.token_hex(16)
