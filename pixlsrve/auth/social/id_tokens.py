"""ID tokens: checked against the provider's published keys (OpenID Connect Core §3.1.3.7, RFC 8725)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

import jwt
import structlog

from pixlsrve.auth.clock import Clock
from pixlsrve.auth.social.provider import refusal
from pixlsrve.outbound import Outbound, Refused

log = structlog.get_logger(__name__)

ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
"""Signatures by a key that only the provider has; `none` and shared secrets are not among them."""
LEEWAY_S = 60
LONGEST_TOKEN = 16 * 1024
KEYS_MAX = 100
KEYS_LIFE_S = 3_600.0
KEYS_PAUSE_S = 60.0
"""A token with an unknown key has the keys fetched anew, but not for every such token."""
LONGEST_SUBJECT = 255


class Keys:
    """A provider's signing keys (RFC 7517), fetched when first needed, each hour, and when an unknown one appears."""

    def __init__(self, outbound: Outbound, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._outbound = outbound
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self._keys: list[dict[str, Any]] = []
        self._fetched_s = float("-inf")

    async def find(self, url: str, kid: object, alg: str) -> jwt.PyJWK:
        """The key that a token's header names. Raises NotAuthenticated, Unavailable."""
        async with self._lock:
            if self._monotonic() - self._fetched_s > KEYS_LIFE_S:
                await self._fetch(url)
            key = self._pick(kid)
            if key is None and self._monotonic() - self._fetched_s > KEYS_PAUSE_S:
                await self._fetch(url)
                key = self._pick(kid)
        if key is None or key.get("alg", alg) != alg:
            raise refusal()
        try:
            return jwt.PyJWK(key, algorithm=alg)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise refusal() from error

    def _pick(self, kid: object) -> dict[str, Any] | None:
        """The key of that name; without a name the only one there is."""
        found = [key for key in self._keys if kid is None or key.get("kid") == kid]
        return found[0] if len(found) == 1 else None

    async def _fetch(self, url: str) -> None:
        try:
            given = (await self._outbound.get(url)).get("keys")
        except Refused as error:
            raise refusal() from error
        keys = given if isinstance(given, list) else []
        self._keys = [key for key in keys[:KEYS_MAX] if isinstance(key, dict) and key.get("use", "sig") == "sig"]
        self._fetched_s = self._monotonic()


class IdTokens:
    """Checks the ID tokens of one issuer. `issuers` are the spellings that it uses for itself."""

    def __init__(self, issuers: frozenset[str], keys: Keys, clock: Clock) -> None:
        self._issuers = issuers
        self._keys = keys
        self._clock = clock

    async def check(
        self,
        token: str,
        *,
        keys_url: str,
        audiences: frozenset[str],
        nonce: str | None,
        access_token: str | None = None,
    ) -> dict[str, Any]:
        """The claims of a good token meant for one of `audiences`, and for nobody else.

        `nonce` and `access_token`, where given, must be the token's own. Raises NotAuthenticated, Unavailable.
        """
        try:
            header = _header(token)
            key = await self._keys.find(keys_url, header.get("kid"), header["alg"])
            claims = _decode(token, key, header["alg"], audiences)
            self._check_claims(claims, audiences, nonce)
            if access_token is not None and "at_hash" in claims:
                _check_hash(claims["at_hash"], access_token, key)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            log.info("an ID token was refused", cause=type(error).__name__)
            raise refusal() from error
        return claims

    def _check_claims(self, claims: dict[str, Any], audiences: frozenset[str], nonce: str | None) -> None:
        """What the library leaves to us: times by our clock, and who it is for. Raises ValueError."""
        now_s = self._clock.now_s()
        audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        issued, expires, subject = claims["iat"], claims["exp"], claims["sub"]
        is_sound = (
            claims["iss"] in self._issuers
            and set(audience) <= audiences
            and _is_number(issued)
            and _is_number(expires)
            and issued <= now_s + LEEWAY_S
            and now_s < expires + LEEWAY_S
            and isinstance(subject, str)
            and 0 < len(subject) <= LONGEST_SUBJECT
        )
        if not is_sound:
            raise ValueError("a claim is wrong")
        if nonce is not None:
            given = claims.get("nonce")
            if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
                raise ValueError("the nonce is another one")


def _header(token: str) -> dict[str, Any]:
    """The header of a token with an algorithm that we accept; keys and addresses in it count for nothing.

    Raises ValueError, PyJWTError.
    """
    if len(token) > LONGEST_TOKEN:
        raise ValueError("too long")
    header = jwt.get_unverified_header(token)
    if header.get("alg") not in ALGORITHMS or "crit" in header:
        raise ValueError("another algorithm")
    return header


def _decode(token: str, key: jwt.PyJWK, alg: str, audiences: frozenset[str]) -> dict[str, Any]:
    """The claims of a token with a good signature. Raises PyJWTError."""
    return jwt.decode(
        token,
        key,
        algorithms=[alg],
        audience=sorted(audiences),
        options={
            "require": ["iss", "sub", "aud", "exp", "iat"],
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
        },
    )


def _check_hash(given: object, access_token: str, key: jwt.PyJWK) -> None:
    """OpenID Connect Core §3.1.3.6: the left half of the access token's hash. Raises ValueError."""
    content = access_token.encode()
    is_edwards = key.algorithm_name == "EdDSA"  # which the library has no hash for; RFC 8032 signs with SHA-512
    digest = hashlib.sha512(content).digest() if is_edwards else key.Algorithm.compute_hash_digest(content)
    expected = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), expected):
        raise ValueError("the access token is another one")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12
