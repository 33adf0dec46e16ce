"""Social login through the real daemon and a real OpenID provider."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from tests.daemon import Daemon, StartDaemon, free_port
from tests.oidc import NATIVE, SECRET, Browser, OpenIdServer, StartOpenId

CALLBACK = "/accounts/home/login/callback/"


class Household:
    """A daemon with one login provider."""

    def __init__(self, daemon: Daemon, provider: OpenIdServer, port: int) -> None:
        self.daemon = daemon
        self.provider = provider
        self.base = f"http://127.0.0.1:{port}"

    def invite(self, *options: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.daemon.cli("user", "invite", "--json", *options))
        return answer

    def users(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.daemon.cli("user", "list", "--json"))
        return rows

    async def native(self, **body: object) -> tuple[int, dict[str, Any]]:
        """What an app gets for a token."""
        async with (
            aiohttp.ClientSession() as client,
            client.post(f"{self.base}/api/v1/auth/social", json={"provider": "home", **body}) as response,
        ):
            return response.status, await response.json()


StartHousehold = Callable[..., Household]


@pytest.fixture
def start(daemons: StartDaemon, openid: StartOpenId, tmp_path: Path) -> StartHousehold:
    """Starts a daemon and a provider, who know each other."""

    def begin(*, claims_in_id_token: bool = False, **env: str) -> Household:
        port = free_port()
        provider = openid(f"http://127.0.0.1:{port}{CALLBACK}", claims_in_id_token=claims_in_id_token)
        return Household(_daemon(daemons, provider, port, tmp_path, env), provider, port)

    return begin


@pytest.fixture
def household(start: StartHousehold) -> Household:
    """A daemon without http.public_url, and a provider that keeps claims for its user info endpoint."""
    return start()


def _daemon(daemons: StartDaemon, provider: OpenIdServer, port: int, tmp_path: Path, more: dict[str, str]) -> Daemon:
    secret = tmp_path / "client-secret"
    secret.write_text(SECRET + "\n")
    env = {
        "PIXLSRVE_SOCIAL__HOME__ISSUER": provider.issuer,
        "PIXLSRVE_SOCIAL__HOME__CLIENT_ID": "pixlsrve",
        "PIXLSRVE_SOCIAL__HOME__CLIENT_SECRET_FILE": str(secret),
        "PIXLSRVE_SOCIAL__HOME__CLIENT_IDS": NATIVE,
        "PIXLSRVE_RATE_LIMITS__AUTH": "1000/minute",
        **more,
    }
    (tmp_path / "photos").mkdir()
    return daemons("--photos", str(tmp_path / "photos"), "--no-tls", "--port", str(port), env=env).start()


async def _albums(browser: Browser, base: str) -> int:
    async with browser.session.get(f"{base}/api/v1/albums") as response:
        return response.status


async def test_browser_signs_in_by_invited_email(household: Household) -> None:
    """Who is invited by e-mail signs in with the provider: a member, with a session and nothing of the library."""
    household.invite("--email", "Anna@Example.org")
    async with Browser() as browser:
        status, where, _ = await browser.sign_in(f"{household.base}/accounts/home/login/", "anna")
        assert where == f"{household.base}/", (status, where)
        assert await _albums(browser, household.base) == 200
    (user,) = household.users()
    assert (user["username"], user["role"], user["library"], user["has_password"]) == ("anna", "member", "none", False)

    async with Browser() as browser:
        await browser.sign_in(f"{household.base}/accounts/home/login/", "anna")
        assert await _albums(browser, household.base) == 200
    assert len(household.users()) == 1


async def test_browser_signs_in_by_code(household: Household) -> None:
    """The link of an invitation lets one person in, once."""
    (link,) = household.invite()["links"]
    async with Browser() as browser:
        _, where, _ = await browser.sign_in(household.base + link, "bert")
        assert where == f"{household.base}/"
    async with Browser() as browser:
        status, where, text = await browser.sign_in(household.base + link, "carla")
        assert (status, "invit" in text) == (403, True)
        assert await _albums(browser, household.base) == 401
    assert [user["username"] for user in household.users()] == ["bert"]


@pytest.mark.parametrize("name", ["stranger", "unverified-anna"])
async def test_strangers_stay_out(household: Household, name: str) -> None:
    """T12: who is not invited, or whose address the provider has not verified, gets in neither by e-mail nor at all."""
    household.invite("--email", "anna@example.org")
    household.invite("--email", "unverified-anna@example.org")
    async with Browser() as browser:
        status, _, _ = await browser.sign_in(f"{household.base}/accounts/home/login/", name)
        assert status == 403
        assert await _albums(browser, household.base) == 401
    assert household.users() == []


async def test_callback_belongs_to_the_browser_that_began(household: Household) -> None:
    """T12: another browser can't finish a login; nor can the same one finish it twice."""
    household.invite("--email", "anna@example.org")
    async with Browser() as first, Browser() as other:
        status, callback, _ = await first.sign_in(
            f"{household.base}/accounts/home/login/", "anna", stop_before=CALLBACK
        )
        assert status == 0
        assert (await other.get(callback))[0] == 400
        assert (await first.get(callback))[0] == 400, "the attempt has used the state up"
    assert household.users() == []


async def test_state_works_once(household: Household) -> None:
    """T12: the address of a finished login is worth nothing."""
    household.invite("--email", "anna@example.org")
    async with Browser() as browser:
        await browser.sign_in(f"{household.base}/accounts/home/login/", "anna")
        (callback,) = [url for url in browser.visited if CALLBACK in url]
        assert (await browser.get(callback))[0] == 400
        forged = callback.replace("state=", "state=x")
        assert (await browser.get(forged))[0] == 400
        assert (await browser.get(f"{household.base}{CALLBACK}?code=x"))[0] == 400


async def test_request_is_bound(household: Household) -> None:
    """T12: the browser is sent to the issuer's own page with state, nonce, PKCE and our one redirect address."""
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"{household.base}/accounts/home/login/", allow_redirects=False) as response,
    ):
        assert response.status == 303
        target = urlsplit(response.headers["Location"])
        cookie = response.headers["Set-Cookie"]
    query = parse_qs(target.query)
    assert f"{target.scheme}://{target.netloc}" == household.provider.issuer
    assert query["redirect_uri"] == [household.base + CALLBACK]
    assert query["code_challenge_method"] == ["S256"]
    assert query["response_type"] == ["code"]
    assert all(len(query[name][0]) >= 43 for name in ("state", "nonce", "code_challenge"))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Max-Age=600" in cookie


async def test_other_hosts_need_a_public_url(household: Household) -> None:
    """Without http.public_url only a browser on the host itself is offered the flow."""
    async with aiohttp.ClientSession() as client:
        url = f"{household.base}/accounts/home/login/"
        async with client.get(url, headers={"Host": "192.168.7.7:8080"}, allow_redirects=False) as response:
            assert response.status == 403
            assert "http.public_url" in await response.text()
        async with client.get(f"{household.base}/accounts/nobody/login/") as response:
            assert response.status == 404


async def test_native_app_signs_in(household: Household) -> None:
    """A native app's ID token, made for it or for us, gives a token pair that works; the account is the browser's."""
    household.invite("--email", "anna@example.org")
    for audience in ("pixlsrve", NATIVE):
        status, answer = await household.native(id_token=household.provider.token(aud=audience))
        assert status == 200, answer
        assert household.daemon.get("/api/v1/albums", answer["api_token"])[0] == 200
    status, answer = await household.native(id_token=household.provider.token(nonce="n"), nonce="n")
    assert status == 200
    assert len(household.users()) == 1


async def test_email_alone_never_links(household: Household) -> None:
    """T12: another subject with a known person's address is another person, who needs an invitation of their own."""
    household.invite("--email", "anna@example.org")
    assert (await household.native(id_token=household.provider.token()))[0] == 200
    status, answer = await household.native(id_token=household.provider.token(sub="impostor"))
    assert (status, answer["error"]["details"]["reason"]) == (403, "not_invited")
    household.daemon.cli("user", "remove", "anna")
    assert (await household.native(id_token=household.provider.token()))[0] == 403
    household.invite("--email", "anna@example.org")
    assert (await household.native(id_token=household.provider.token()))[0] == 200


async def test_native_route_refuses_what_is_wrong(household: Household) -> None:
    """Missing tokens, the wrong kind, wrong types and unknown providers are refused, and nothing gives a 5xx."""
    for body, expected in (
        ({}, 400),
        ({"access_token": "opaque"}, 400),
        ({"id_token": 5}, 400),
        ({"id_token": "x"}, 401),
        ({"id_token": "a.b.c"}, 401),
        ({"id_token": "\u00e9.b.c"}, 401),
        ({"provider": "nobody", "id_token": "x"}, 404),
    ):
        assert (await household.native(**body))[0] == expected, body
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"{household.base}/api/v1/auth/social") as response,
    ):
        assert await response.json() == {"providers": [{"name": "home", "login_url": "/accounts/home/login/"}]}


async def test_claims_in_the_id_token(start: StartHousehold) -> None:
    """Providers that put the e-mail address into the ID token, as Google does, are understood as well."""
    household = start(claims_in_id_token=True)
    household.invite("--email", "anna@example.org")
    async with Browser() as browser:
        _, where, _ = await browser.sign_in(f"{household.base}/accounts/home/login/", "anna")
        assert where == f"{household.base}/"


async def test_public_url_is_the_base(start: StartHousehold) -> None:
    """With http.public_url browsers begin and come back there, over TLS, whatever address they used first."""
    household = start(PIXLSRVE_HTTP__PUBLIC_URL="https://photos.example.org")
    login = f"{household.base}/accounts/home/login/"
    async with aiohttp.ClientSession() as client:
        async with client.get(login, params={"invite": "a&b"}, allow_redirects=False) as response:
            moved = urlsplit(response.headers["Location"])
            assert f"{moved.scheme}://{moved.netloc}{moved.path}" == "https://photos.example.org/accounts/home/login/"
            assert parse_qs(moved.query) == {"moved": ["true"], "invite": ["a&b"]}
        for query, host in (("", "photos.example.org"), ("?moved=true", "127.0.0.1")):
            async with client.get(login + query, headers={"Host": host}, allow_redirects=False) as response:
                sent = parse_qs(urlsplit(response.headers["Location"]).query)
                assert sent["redirect_uri"] == [f"https://photos.example.org{CALLBACK}"]
                assert "Secure" in response.headers["Set-Cookie"]
    assert household.invite()["links"][0].startswith("https://photos.example.org/accounts/home/login/?invite=")


async def test_a_provider_that_is_away(household: Household) -> None:
    """Without the provider nobody signs in with it, and everybody is told so; all else goes on."""
    token = household.provider.token()
    household.provider.stop()
    status, answer = await household.native(id_token=token)
    assert (status, answer["error"]["details"]["reason"]) == (503, "provider_unreachable")
    async with Browser() as browser:
        status, _, text = await browser.get(f"{household.base}/accounts/home/login/")
        assert (status, "reached" in text) == (503, True)
    assert household.daemon.get("/healthz")[0] == 200
    assert token not in household.daemon.log
