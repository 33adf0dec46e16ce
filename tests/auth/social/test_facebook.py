"""Facebook's login against a small stand-in for its dialog and Graph API, which can't be had on loopback."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from pixlsrve.auth.social.facebook import Facebook
from pixlsrve.auth.social.openid import Client, challenge
from pixlsrve.auth.social.provider import Attempt, Person
from pixlsrve.errors import InvalidInput, NotAuthenticated
from pixlsrve.outbound import Outbound

APP, SECRET = "1234567890", "facebook-secret"
ATTEMPT = Attempt(
    redirect_uri="https://photos.example.org/accounts/facebook/login/callback/", state="s", nonce="n", verifier="v" * 43
)
TOKENS = {
    "good": {"is_valid": True, "app_id": APP, "user_id": "42"},
    "native": {"is_valid": True, "app_id": "native", "user_id": "42"},
    "foreign": {"is_valid": True, "app_id": "another app", "user_id": "42"},
    "expired": {"is_valid": False, "app_id": APP, "user_id": "42"},
    "truthy": {"is_valid": "yes", "app_id": APP, "user_id": "42"},
    "someone": {"is_valid": True, "app_id": APP, "user_id": "43"},
}


async def exchange(request: web.Request) -> web.Response:
    """POST /oauth/access_token: the code works with the right secret, redirect address and verifier."""
    form = await request.post()
    expected = {
        "client_id": APP,
        "client_secret": SECRET,
        "redirect_uri": ATTEMPT.redirect_uri,
        "code": "code",
        "code_verifier": ATTEMPT.verifier,
    }
    if dict(form) != expected:
        return web.json_response({"error": {"message": "no"}}, status=400)
    return web.json_response({"access_token": "good", "token_type": "bearer", "expires_in": 5_000})


async def debug_token(request: web.Request) -> web.Response:
    """GET /debug_token: what a token is, told to the app itself."""
    if request.query["access_token"] != f"{APP}|{SECRET}" or request.query["input_token"] not in TOKENS:
        return web.json_response({"error": {"message": "no"}}, status=400)
    return web.json_response({"data": TOKENS[request.query["input_token"]]})


async def me(request: web.Request) -> web.Response:
    """GET /me: the person, for a proven app."""
    token = request.headers["Authorization"].removeprefix("Bearer ")
    proof = hmac.new(SECRET.encode(), token.encode(), hashlib.sha256).hexdigest()
    if request.query["appsecret_proof"] != proof:
        return web.json_response({"error": {"message": "no"}}, status=400)
    return web.json_response({"id": "42", "name": "Anna Facebook", "email": "anna@example.org"})


@pytest.fixture
async def facebook(outbound: Outbound) -> AsyncIterator[Facebook]:
    """Facebook's login, at the stand-in."""
    app = web.Application()
    app.router.add_post("/oauth/access_token", exchange)
    app.router.add_get("/debug_token", debug_token)
    app.router.add_get("/me", me)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    client = Client(client_id=APP, secret=SECRET, further=frozenset({"native"}))
    yield Facebook(client, outbound, graph=f"http://127.0.0.1:{runner.addresses[0][1]}")
    await runner.cleanup()


async def test_browser_flow(facebook: Facebook) -> None:
    """The code becomes a person, keyed by Facebook's id; the e-mail address, which nobody vouches for, is left."""
    address = urlsplit(await facebook.authorization_url(ATTEMPT))
    query = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert address.netloc == "www.facebook.com"
    assert (query["state"], query["redirect_uri"]) == (ATTEMPT.state, ATTEMPT.redirect_uri)
    assert query["code_challenge"] == challenge(ATTEMPT.verifier)
    person = await facebook.redeem(ATTEMPT, "code", None)
    assert person == Person(issuer="https://www.facebook.com", subject="42", name="Anna Facebook")
    with pytest.raises(NotAuthenticated):
        await facebook.redeem(ATTEMPT, "another code", None)


@pytest.mark.parametrize("token", ["good", "native"])
async def test_native_flow(facebook: Facebook, token: str) -> None:
    """A token that was made for our app, or for one of our native apps, is good."""
    person = await facebook.recognise(id_token=None, access_token=token, nonce=None)
    assert person.subject == "42"


@pytest.mark.parametrize("token", ["foreign", "expired", "truthy", "someone", "unknown"])
async def test_tokens_of_others_are_refused(facebook: Facebook, token: str) -> None:
    """T12: a token that any other app was given for its own use signs nobody in here; nor does an expired one."""
    with pytest.raises(NotAuthenticated):
        await facebook.recognise(id_token=None, access_token=token, nonce=None)


async def test_id_token_is_no_access_token(facebook: Facebook) -> None:
    """Facebook takes an access_token only."""
    with pytest.raises(InvalidInput):
        await facebook.recognise(id_token="x", access_token=None, nonce=None)
