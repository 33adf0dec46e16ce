"""OpenID Connect: the authorisation code flow with PKCE, and native apps' ID tokens (OpenID Connect Core, RFC 9700)."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec

from pixlsrve.auth.clock import Clock
from pixlsrve.auth.social.id_tokens import IdTokens, Keys
from pixlsrve.auth.social.provider import Attempt, Person, refusal
from pixlsrve.errors import InvalidInput, Unavailable
from pixlsrve.outbound import Outbound, Refused

GOOGLE = "https://accounts.google.com"
_ALIASES = {GOOGLE: frozenset({GOOGLE, "accounts.google.com"})}
"""Google's tokens name their issuer in either way (its documentation of ID tokens)."""
SCOPE = "openid email profile"
METADATA_LIFE_S = 3_600.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_BAD_METADATA = "The login provider's description of itself is not what its issuer says; look at the setting issuer."


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """Who we are to a provider. `further` are the ids of native apps whose tokens count too."""

    client_id: str
    secret: str = ""
    further: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"Client({self.client_id!r})"

    @property
    def audiences(self) -> frozenset[str]:
        """The ids that a native app's token may be for."""
        return self.further | {self.client_id}


class _Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What we use of a provider's description (OpenID Connect Discovery §3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class OpenIdProvider:
    """One issuer, which is fixed by the settings."""

    def __init__(
        self,
        issuer: str,
        client: Client,
        outbound: Outbound,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._client = client
        self._outbound = outbound
        self._monotonic = monotonic
        self._tokens = IdTokens(_ALIASES.get(issuer, frozenset({issuer})), Keys(outbound, monotonic), clock)
        self._metadata: _Metadata | None = None
        self._fetched_s = float("-inf")

    async def authorization_url(self, attempt: Attempt) -> str:
        """Where to send the browser. Raises Unavailable."""
        metadata = await self._describe()
        parameters = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": attempt.redirect_uri,
            "scope": SCOPE,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
        return with_query(metadata.authorization_endpoint, parameters)

    async def redeem(self, attempt: Attempt, code: str, issuer: str | None) -> Person:
        """Whom the code stands for that the browser brought back. Raises NotAuthenticated, Unavailable."""
        metadata = await self._describe()
        if issuer != self._issuer and (issuer or metadata.authorization_response_iss_parameter_supported):
            raise refusal()
        answer = await self._exchange(metadata, attempt, code)
        id_token, access_token = answer.get("id_token"), answer.get("access_token")
        if not isinstance(id_token, str) or not isinstance(access_token, str):
            raise refusal()
        claims = await self._tokens.check(
            id_token,
            keys_url=metadata.jwks_uri,
            audiences=frozenset({self._client.client_id}),
            nonce=attempt.nonce,
            access_token=access_token,
        )
        if claims.get("azp", self._client.client_id) != self._client.client_id:
            raise refusal()
        if "email" not in claims and metadata.userinfo_endpoint is not None:
            claims = await self._ask_about(metadata.userinfo_endpoint, access_token, claims)
        return self._person(claims)

    async def recognise(self, *, id_token: str | None, access_token: str | None, nonce: str | None) -> Person:
        """Whom a native app's ID token stands for. Raises NotAuthenticated, InvalidInput, Unavailable.

        An access token alone says for whom it was made to nobody but its own app, so that it proves nothing here.
        """
        if id_token is None:
            raise InvalidInput("This provider needs an id_token.", reason="invalid_field", parameter="id_token")
        metadata = await self._describe()
        claims = await self._tokens.check(
            id_token, keys_url=metadata.jwks_uri, audiences=self._client.audiences, nonce=nonce
        )
        return self._person(claims)

    async def _describe(self) -> _Metadata:
        """The provider's description, at most an hour old. Raises Unavailable."""
        if self._metadata is None or self._monotonic() - self._fetched_s > METADATA_LIFE_S:
            try:
                given = await self._outbound.get(self._issuer.rstrip("/") + "/.well-known/openid-configuration")
                metadata = msgspec.convert(given, _Metadata)
            except (Refused, msgspec.ValidationError) as error:
                raise Unavailable(_BAD_METADATA, reason="provider_misconfigured") from error
            self._check(metadata)
            self._metadata, self._fetched_s = metadata, self._monotonic()
        return self._metadata

    def _check(self, metadata: _Metadata) -> None:
        """The description must be the issuer's own and lead to TLS. Raises Unavailable."""
        endpoints = [metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri]
        if metadata.userinfo_endpoint is not None:
            endpoints.append(metadata.userinfo_endpoint)
        may_be_plain = is_plain_loopback(self._issuer)
        is_sound = all(is_secure(url) or (may_be_plain and is_plain_loopback(url)) for url in endpoints)
        if metadata.issuer != self._issuer or not is_sound:
            raise Unavailable(_BAD_METADATA, reason="provider_misconfigured")

    async def _exchange(self, metadata: _Metadata, attempt: Attempt, code: str) -> dict[str, Any]:
        """The answer of the token endpoint (RFC 6749 §4.1.3). Raises NotAuthenticated, Unavailable."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        headers: dict[str, str] = {}
        client, methods = self._client, metadata.token_endpoint_auth_methods_supported
        if client.secret and ("client_secret_basic" in methods or "client_secret_post" not in methods):
            headers["Authorization"] = _basic(client.client_id, client.secret)
        else:
            form["client_id"] = client.client_id
            if client.secret:
                form["client_secret"] = client.secret
        try:
            return await self._outbound.post(metadata.token_endpoint, form, headers=headers)
        except Refused as error:
            raise refusal() from error

    async def _ask_about(self, url: str, access_token: str, claims: dict[str, Any]) -> dict[str, Any]:
        """The claims with those of the user info endpoint, which must be about the same subject (§5.3.2)."""
        try:
            told = await self._outbound.get(url, headers={"Authorization": f"Bearer {access_token}"})
        except Refused as error:
            raise refusal() from error
        if told.get("sub") != claims["sub"]:
            raise refusal()
        return {
            **claims,
            **{name: told.get(name) for name in ("email", "email_verified", "name", "preferred_username")},
        }

    def _person(self, claims: dict[str, Any]) -> Person:
        email, name = claims.get("email"), claims.get("name") or claims.get("preferred_username")
        is_verified = claims.get("email_verified") in (True, "true")  # some providers write it as text
        return Person(
            issuer=self._issuer,
            subject=claims["sub"],
            email=email if is_verified and isinstance(email, str) else None,
            name=name if isinstance(name, str) else None,
        )


def challenge(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier (RFC 7636 §4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode("ascii")


def with_query(url: str, parameters: dict[str, str]) -> str:
    """The address with further parameters (RFC 6749 §3.1)."""
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(parameters)}"


def is_secure(url: str) -> bool:
    """Whether it is an https address of a host, without user or fragment."""
    return _has_form(url, "https")


def is_plain_loopback(url: str) -> bool:
    """Whether it is an http address on this very computer, where nobody can listen in."""
    return _has_form(url, "http") and urlsplit(url).hostname in _LOOPBACK


def _has_form(url: str, scheme: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == scheme and bool(parts.hostname) and parts.username is None and not parts.fragment
    except ValueError:
        return False


def _basic(client_id: str, secret: str) -> str:
    """RFC 6749 §2.3.1: both form-encoded, then as HTTP Basic."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")
