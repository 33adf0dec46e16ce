"""A real OpenID provider (npm's oidc-provider) on loopback, and a browser that signs in with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

FOLDER = Path(__file__).parent / "tools" / "oidc"
SECRET = "only for tests, and long enough for the provider"
KID = "test-key"
NATIVE = "native-app"


class OpenIdServer:
    """The provider, with a key that the test has too, so that it can forge what only a few checks tell apart."""

    def __init__(self, *redirect_uris: str, claims_in_id_token: bool = False) -> None:
        self.key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        jwk = {**jwt.algorithms.RSAAlgorithm.to_jwk(self.key, as_dict=True), "kid": KID, "use": "sig", "alg": "RS256"}
        jwk.pop("key_ops", None)
        client = {"client_id": "pixlsrve", "client_secret": SECRET, "redirect_uris": list(redirect_uris)}
        settings = {"clients": [client], "jwks": {"keys": [jwk]}, "claims_in_id_token": claims_in_id_token}
        self.process = subprocess.Popen(
            ["node", str(FOLDER / "provider.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OIDC_SETTINGS": json.dumps(settings)},
        )
        assert self.process.stdout is not None
        self.issuer: str = json.loads(self.process.stdout.readline())["issuer"]

    def token(self, *, key: Any = None, alg: str = "RS256", header: dict[str, Any] | None = None, **claims: Any) -> str:
        """An ID token as the provider would sign it, but for what is given; None leaves a claim out."""
        now_s = int(time.time())
        whole = {
            "iss": self.issuer,
            "sub": "anna",
            "aud": "pixlsrve",
            "iat": now_s,
            "exp": now_s + 300,
            "email": "anna@example.org",
            "email_verified": True,
            "name": "anna",
            **claims,
        }
        kept = {name: value for name, value in whole.items() if value is not None}
        content = json.dumps(kept).encode()
        return jwt.PyJWS().encode(content, key or self.key, alg, headers={"kid": KID, "typ": "JWT", **(header or {})})

    def stop(self) -> None:
        """End it."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        self.process.wait(30)


StartOpenId = Callable[..., OpenIdServer]


@pytest.fixture
def openid() -> Iterator[StartOpenId]:
    """Starts providers: `openid(*redirect_uris)`; all are ended after the test."""
    if shutil.which("node") is None or not (FOLDER / "node_modules").is_dir():
        pytest.skip("the OpenID provider of the tests is not installed: npm ci --prefix tests/tools/oidc")
    made: list[OpenIdServer] = []

    def start(*redirect_uris: str, claims_in_id_token: bool = False) -> OpenIdServer:
        made.append(OpenIdServer(*redirect_uris, claims_in_id_token=claims_in_id_token))
        return made[-1]

    yield start
    for server in made:
        server.stop()


class _Form(HTMLParser):
    """The first form of a page: where it goes, and its fields."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form" and self.action is None:
            self.action = given.get("action") or ""
        elif tag == "input" and given.get("name"):
            self.fields[str(given["name"])] = given.get("value") or ""


class Browser:
    """Follows redirects, keeps cookies, and fills in the provider's forms."""

    def __init__(self) -> None:
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        self.visited: list[str] = []

    async def __aenter__(self) -> Browser:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def get(self, url: str) -> tuple[int, str, str]:
        """Status, final address and body, as after a click."""
        return await self._follow("GET", url, None)

    async def sign_in(self, url: str, name: str, *, stop_before: str = "\0") -> tuple[int, str, str]:
        """Begin at our login page, give the provider a name, agree, and come back.

        An address that holds `stop_before` is not opened but answered with status 0.
        """
        status, where, text = await self._follow("GET", url, None, stop_before)
        for _ in range(5):
            form = _Form()
            form.feed(text)
            if status != 200 or form.action is None:
                break
            fields = {**form.fields, **({"login": name, "password": "any"} if "login" in form.fields else {})}
            status, where, text = await self._follow("POST", urljoin(where, form.action), fields, stop_before)
        return status, where, text

    async def _follow(
        self, method: str, url: str, fields: dict[str, str] | None, stop_before: str = "\0"
    ) -> tuple[int, str, str]:
        for _ in range(12):
            self.visited.append(url)
            async with self.session.request(method, url, data=fields, allow_redirects=False) as response:
                text = await response.text()
                if response.status not in {302, 303, 307}:
                    return response.status, url, text
                url = urljoin(url, response.headers["Location"])
            method, fields = "GET", None
            if stop_before in url:
                return 0, url, ""
        raise AssertionError("redirected in a circle")
