"""ID tokens that are not what they claim (THREATS T12; OpenID Connect Core §3.1.3.7, RFC 8725)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pixlsrve.auth.clock import Clock
from pixlsrve.auth.social.id_tokens import KEYS_LIFE_S, KEYS_PAUSE_S, IdTokens, Keys
from pixlsrve.auth.social.openid import Client, OpenIdProvider
from pixlsrve.errors import InvalidInput, NotAuthenticated, Unavailable
from pixlsrve.outbound import Outbound
from tests.oidc import KID, NATIVE, OpenIdServer, StartOpenId

CLIENT = Client(client_id="pixlsrve", secret="s", further=frozenset({NATIVE}))
NONCE = "the nonce of this login"


@pytest.fixture
def server(openid: StartOpenId) -> OpenIdServer:
    """The provider."""
    return openid("http://127.0.0.1:9/accounts/home/login/callback/")


async def recognise(
    server: OpenIdServer, outbound: Outbound, token: str, *, nonce: str | None = None, clock: Clock | None = None
) -> str:
    """Whose token this is."""
    provider = OpenIdProvider(server.issuer, CLIENT, outbound, clock or Clock())
    return (await provider.recognise(id_token=token, access_token=None, nonce=nonce)).subject


async def test_good_tokens(server: OpenIdServer, outbound: Outbound) -> None:
    """Tokens of the provider's key, meant for us or for our app, are good."""
    for claims in ({}, {"aud": NATIVE}, {"aud": ["pixlsrve", NATIVE]}, {"aud": "pixlsrve", "azp": "android"}):
        assert await recognise(server, outbound, server.token(**claims)) == "anna"
    assert await recognise(server, outbound, server.token(nonce=NONCE), nonce=NONCE) == "anna"


def _forged(server: OpenIdServer) -> dict[str, str]:
    """Tokens that each differ from a good one in one thing."""
    now_s = int(time.time())
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    public_pem = server.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    other_jwk = jwt.algorithms.RSAAlgorithm.to_jwk(other.public_key(), as_dict=True)
    good = server.token(nonce=NONCE)
    head, body, signature = good.split(".")
    make = server.token
    return {
        "no signature": f"{head}.{body}.",
        "algorithm none": _joined({"alg": "none", "kid": KID}, _claims(good), b""),
        "algorithm None": _joined({"alg": "None", "kid": KID}, _claims(good), b""),
        "another signature": f"{head}.{body}.{signature[:-8]}AAAAAAAA",
        "another body": f"{head}.{_encode({**_claims(good), 'sub': 'bert'})}.{signature}",
        "another key": make(key=other, nonce=NONCE),
        "an unknown key": make(key=other, header={"kid": "unknown"}, nonce=NONCE),
        "a key in the header": make(key=other, header={"jwk": other_jwk}, nonce=NONCE),
        "the address of a key": make(key=other, header={"jku": "http://127.0.0.1:9/keys"}, nonce=NONCE),
        "a critical extension": make(header={"crit": ["exp"], "exp": 1}, nonce=NONCE),
        "the public key as a shared secret": _hmac(good, public_pem),
        "the client secret as a key": _hmac(good, CLIENT.secret.encode()),
        "another algorithm than the key's": make(alg="RS384", nonce=NONCE),
        "padding of another kind": make(alg="PS256", nonce=NONCE),
        "another issuer": make(iss="http://127.0.0.1:9", nonce=NONCE),
        "an issuer with a slash more": make(iss=server.issuer + "/", nonce=NONCE),
        "no issuer": make(iss=None, nonce=NONCE),
        "a list of issuers": make(iss=[server.issuer], nonce=NONCE),
        "another audience": make(aud="another", nonce=NONCE),
        "a further audience": make(aud=["pixlsrve", "another"], nonce=NONCE),
        "no audience": make(aud=None, nonce=NONCE),
        "an empty audience": make(aud=[], nonce=NONCE),
        "an audience that is a number": make(aud=5, nonce=NONCE),
        "expired": make(exp=now_s - 3_600, nonce=NONCE),
        "no expiry": make(exp=None, nonce=NONCE),
        "an expiry in words": make(exp="tomorrow", nonce=NONCE),
        "an expiry that is true": make(exp=True, nonce=NONCE),
        "an endless expiry": _resigned(server, good, '"exp": 1e999'),
        "from the future": make(iat=now_s + 3_600, nonce=NONCE),
        "no time of issue": make(iat=None, nonce=NONCE),
        "another nonce": make(nonce=NONCE + "x"),
        "a nonce that is a list": make(nonce=[NONCE]),
        "no nonce": make(),
        "no subject": make(sub=None, nonce=NONCE),
        "an empty subject": make(sub="", nonce=NONCE),
        "a long subject": make(sub="s" * 256, nonce=NONCE),
        "too long": make(name="n" * 20_000, nonce=NONCE),
        "no token": "",
        "only dots": "..",
        "no JSON": "e30.e30.e30",
        "a list": f"{head}.{_encode([])}.{signature}",
    }


async def test_forged_tokens(server: OpenIdServer, outbound: Outbound) -> None:
    """T12: a token that is wrong in anything at all is refused, in the same words."""
    assert await recognise(server, outbound, server.token(nonce=NONCE), nonce=NONCE) == "anna"
    forged = _forged(server)
    assert len(forged) >= 40
    for what, token in forged.items():
        with pytest.raises(NotAuthenticated, match="can't be trusted") as refused:
            pytest.fail(f"{what}: {await recognise(server, outbound, token, nonce=NONCE)}")
        assert refused.value.reason == "invalid_social_token", what


async def test_expiry_by_our_clock(server: OpenIdServer, outbound: Outbound) -> None:
    """T11: a token that has expired by the clock that never goes back stays so."""
    token = server.token()
    late = Clock(wall=lambda: time.time() + 3_600)
    with pytest.raises(NotAuthenticated):
        await recognise(server, outbound, token, clock=late)


async def test_access_token_must_be_the_one(server: OpenIdServer, outbound: Outbound) -> None:
    """Where the ID token names the hash of an access token, no other one comes with it (§3.1.3.6)."""
    digest = hashlib.sha256(b"mine").digest()
    at_hash = base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
    tokens = IdTokens(frozenset({server.issuer}), Keys(outbound), Clock())
    for access_token, is_good in (("mine", True), ("other", False)):
        checking = tokens.check(
            server.token(at_hash=at_hash),
            keys_url=f"{server.issuer}/jwks",
            audiences=frozenset({"pixlsrve"}),
            nonce=None,
            access_token=access_token,
        )
        if is_good:
            assert (await checking)["sub"] == "anna"
        else:
            with pytest.raises(NotAuthenticated):
                await checking


async def test_keys_are_fetched_sparingly(server: OpenIdServer) -> None:
    """Unknown keys have the provider asked once a minute, not for every forged token; known ones once an hour."""

    class Counting(Outbound):
        calls = 0

        async def get(self, url: str, **more: Any) -> dict[str, Any]:
            self.calls += 1
            return await super().get(url, **more)

    now_s = 0.0
    async with Counting() as outbound:
        keys, url = Keys(outbound, lambda: now_s), f"{server.issuer}/jwks"
        for _ in range(5):
            await keys.find(url, KID, "RS256")
            with pytest.raises(NotAuthenticated):
                await keys.find(url, "unknown", "RS256")
        assert outbound.calls == 1
        now_s += KEYS_PAUSE_S + 1
        with pytest.raises(NotAuthenticated):
            await keys.find(url, "unknown", "RS256")
        assert outbound.calls == 2
        now_s += KEYS_LIFE_S + 1
        await keys.find(url, KID, "RS256")
        assert outbound.calls == 3


async def test_issuer_must_describe_itself(server: OpenIdServer, outbound: Outbound) -> None:
    """T12: a description that names another issuer is not used; nor does an access token stand for an ID token."""
    other = OpenIdProvider(server.issuer + "/", CLIENT, outbound, Clock())
    with pytest.raises(Unavailable) as refused:
        await other.recognise(id_token=server.token(), access_token=None, nonce=None)
    assert refused.value.reason == "provider_misconfigured"
    provider = OpenIdProvider(server.issuer, CLIENT, outbound, Clock())
    with pytest.raises(InvalidInput):
        await provider.recognise(id_token=None, access_token="opaque", nonce=None)


def _encode(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _joined(header: dict[str, Any], claims: dict[str, Any], signature: bytes) -> str:
    return f"{_encode(header)}.{_encode(claims)}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def _hmac(token: str, secret: bytes) -> str:
    """The same claims signed with a shared secret, as the library would refuse to do it."""
    start = f"{_encode({'alg': 'HS256', 'kid': KID})}.{token.split('.')[1]}"
    digest = hmac.digest(secret, start.encode(), "sha256")
    return f"{start}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _resigned(server: OpenIdServer, token: str, expiry: str) -> str:
    """The token with another expiry, written out in JSON, and the provider's own signature."""
    text = json.dumps({**_claims(token), "exp": 0}).replace('"exp": 0', expiry)
    start = f"{token.split('.')[0]}.{base64.urlsafe_b64encode(text.encode()).rstrip(b'=').decode()}"
    signature = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).sign(start.encode(), server.key)
    return f"{start}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
