"""Facebook's own OAuth 2: its dialog, and its Graph API, which says for which app a token was made."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from pixlsrve.auth.social.openid import Client, challenge, with_query
from pixlsrve.auth.social.provider import Attempt, Person, refusal
from pixlsrve.errors import InvalidInput
from pixlsrve.outbound import Outbound, Refused

ISSUER = "https://www.facebook.com"
DIALOG = "https://www.facebook.com/v23.0/dialog/oauth"
GRAPH = "https://graph.facebook.com/v23.0"
SCOPE = "public_profile"


class Facebook:
    """Facebook Login. It does not say whether it verified an e-mail address, so that none is taken from it."""

    def __init__(self, client: Client, outbound: Outbound, *, graph: str = GRAPH) -> None:
        self._client = client
        self._outbound = outbound
        self._graph = graph

    async def authorization_url(self, attempt: Attempt) -> str:
        """Where to send the browser."""
        parameters = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": attempt.redirect_uri,
            "scope": SCOPE,
            "state": attempt.state,
            "code_challenge": challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
        return with_query(DIALOG, parameters)

    async def redeem(self, attempt: Attempt, code: str, issuer: str | None) -> Person:
        """Whom the code stands for that the browser brought back. Raises NotAuthenticated, Unavailable."""
        form = {
            "client_id": self._client.client_id,
            "client_secret": self._client.secret,
            "redirect_uri": attempt.redirect_uri,
            "code": code,
            "code_verifier": attempt.verifier,
        }
        try:
            answer = await self._outbound.post(f"{self._graph}/oauth/access_token", form)
        except Refused as error:
            raise refusal() from error
        token = answer.get("access_token")
        if not isinstance(token, str):
            raise refusal()
        return await self._whose(token, frozenset({self._client.client_id}))

    async def recognise(self, *, id_token: str | None, access_token: str | None, nonce: str | None) -> Person:
        """Whom a native app's access token stands for. Raises NotAuthenticated, InvalidInput, Unavailable."""
        if access_token is None:
            raise InvalidInput("This provider needs an access_token.", reason="invalid_field", parameter="access_token")
        return await self._whose(access_token, self._client.audiences)

    async def _whose(self, token: str, apps: frozenset[str]) -> Person:
        """Whose token this is, which must have been made for one of these apps."""
        secret = self._client.secret
        inspect = {"input_token": token, "access_token": f"{self._client.client_id}|{secret}"}
        proof = hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        try:
            facts: Any = (await self._outbound.get(f"{self._graph}/debug_token", query=inspect)).get("data")
            if not isinstance(facts, dict) or facts.get("is_valid") is not True or facts.get("app_id") not in apps:
                raise refusal()
            person = await self._outbound.get(
                f"{self._graph}/me",
                query={"fields": "id,name", "appsecret_proof": proof},
                headers={"Authorization": f"Bearer {token}"},
            )
        except Refused as error:
            raise refusal() from error
        subject, name = person.get("id"), person.get("name")
        if not isinstance(subject, str) or not subject or facts.get("user_id") != subject:
            raise refusal()
        return Person(issuer=ISSUER, subject=subject, name=name if isinstance(name, str) else None)
