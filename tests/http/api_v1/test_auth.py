"""Pairing, login, refresh, revocation and passwords over HTTP, against the real identity."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pixlsrve.auth.pairing import Applicant, Offer
from pixlsrve.config import Config, RateLimitsConfig
from pixlsrve.errors import DeviceRevoked
from pixlsrve.http import application, identity, keys, library
from pixlsrve.http.api_v1 import auth, devices, vpn
from pixlsrve.http.hosts import Hosts
from pixlsrve.http.identity import JoinLinks
from pixlsrve.http.library import HostInfo
from pixlsrve.http.push import ROUTES as PUSH_ROUTES
from pixlsrve.http.server import HttpServer
from pixlsrve.model import Role
from tests.auth.kit import HOST_ID, PASSWORD, Kit, new_key, open_kit

V1 = "/api/v1/auth"
PHONE = {"device_name": "John's iPhone", "device_type": "ios"}
CONFIG_FIELDS = ["private_key", "server_public_key", "server_endpoint", "allowed_ips", "device_ip", "dns"]


class Door:
    """A client of the identity routes. Windows are opened at `kit`, as the terminal does."""

    def __init__(self, kit: Kit, client: aiohttp.ClientSession, base: str) -> None:
        self.kit = kit
        self.client = client
        self.base = base

    async def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **more: Any
    ) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.client.request(method, self.base + path, json=body, headers=headers, **more) as answer:
            assert answer.headers["Cache-Control"] != ""
            return answer.status, await answer.json()

    async def post(self, path: str, body: Any = None, *, token: str | None = None) -> tuple[int, Any]:
        return await self.call("POST", V1 + path, body, token=token)

    def open(self, **more: Any) -> Offer:
        return self.kit.identity.pairing.open(**more)

    async def pair(self, **more: Any) -> Any:
        """The answer to a pairing that must succeed; `role` and `account` are the window's."""
        offer = self.open(**{name: more.pop(name) for name in ("role", "account") if name in more})
        status, answer = await self.post("/pair", {**PHONE, "pairing_code": offer.qr_code, **more})
        assert status == 200, answer
        return answer

    async def code(self, path: str, body: Any = None, *, token: str | None = None) -> tuple[int, str]:
        """Status and code of a refusal."""
        status, answer = await self.post(path, body, token=token)
        return status, answer["error"]["code"]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    """The routes on a free port, without limits."""
    config = Config(data_dir="", storage_dir="", rate_limits=RateLimitsConfig(auth="off", other="off"))
    routes = (*auth.ROUTES, *devices.ROUTES, *vpn.ROUTES, *PUSH_ROUTES)
    async with open_kit(tmp_path) as kit:
        app = application.build(
            routes,
            config,
            authenticator=kit.identity.authenticator,
            sessions=kit.identity.sessions,
            bus=kit.bus,
            hosts=Hosts([], names=["box"]),
        )
        app[identity.IDENTITY], app[identity.TUNNEL] = kit.identity, kit.peers
        app[identity.JOIN_LINKS] = links = JoinLinks("127.0.0.1", HOST_ID)
        app[library.HOST] = HostInfo(host_id=HOST_ID, name="John's Mac", version="1", started_s=time.monotonic())
        for part in (app[keys.HUB], app[keys.RUNNING]):
            kit.identity.revocation.on_change(part.recheck)
        async with HttpServer(app, host="127.0.0.1") as server, aiohttp.ClientSession() as client:
            links.port = server.bound_port
            yield Door(kit, client, f"http://127.0.0.1:{server.bound_port}")


async def test_pairing_answers_as_specified(door: Door) -> None:
    """specs/pixlsrve-api-v1.md: the spec's answer, and what DESIGN adds: tokens' facts and the ways."""
    answer = await door.pair()
    of_the_spec = ["device_id", "api_token", "wireguard_config", "host_id", "host_name"]
    assert sorted(answer) == sorted([*of_the_spec, "refresh_token", "expires_in", "addresses"])
    assert sorted(answer["wireguard_config"]) == sorted(CONFIG_FIELDS)
    assert (answer["host_id"], answer["host_name"], answer["expires_in"]) == (HOST_ID, "John's Mac", 3600)
    assert len(base64.b64decode(answer["wireguard_config"]["private_key"])) == 32
    status, listed = await door.call("GET", "/api/v1/devices", token=answer["api_token"])
    assert status == 200
    (device,) = listed["devices"]
    assert (device["device_id"], device["number"], device["device_name"]) == (answer["device_id"], 1, "John's iPhone")
    assert device["is_current"] is True
    assert device["last_seen_at"] is not None


async def test_own_key_gets_no_private_one(door: Door) -> None:
    """T2: with a public key `private_key` is null, in the answer and in vpn/config."""
    answer = await door.pair(public_key=new_key())
    assert answer["wireguard_config"]["private_key"] is None
    status, config = await door.call("GET", "/api/v1/vpn/config", token=answer["api_token"])
    assert status == 200
    assert config == {**answer["wireguard_config"], "device_id": answer["device_id"], "keepalive": 25}


async def test_closed_window_is_403(door: Door) -> None:
    """T1: without an open window 403 UNAUTHORIZED, with whatever code, and nothing is written."""
    assert await door.code("/pair", PHONE) == (403, "UNAUTHORIZED")
    assert await door.code("/pair", {**PHONE, "pairing_code": "ABCDEFGH"}) == (403, "UNAUTHORIZED")
    offer = door.open()
    assert await door.code("/pair", PHONE) == (403, "UNAUTHORIZED")
    assert await door.code("/pair", {**PHONE, "pairing_code": "wrong"}) == (403, "UNAUTHORIZED")
    assert await door.kit.state.fetch_all("SELECT count(*) FROM device") == [(0,)]
    assert (await door.post("/pair", {**PHONE, "pairing_code": offer.typed_code.lower()}))[0] == 200
    assert await door.code("/pair", {**PHONE, "pairing_code": offer.qr_code}) == (403, "UNAUTHORIZED")


@pytest.mark.parametrize(
    "change",
    [
        {"device_name": 5},
        {"device_name": ""},
        {"device_name": "a\0b"},
        {"device_name": None},
        {"device_type": "x" * 33},
        {"public_key": ""},
        {"public_key": "wireguard_public_key_base64"},
        {"public_key": base64.b64encode(bytes(32)).decode()},
        {"public_key": base64.b64encode(b"\1" + bytes(31)).decode()},
        {"public_key": 7},
        {"pairing_code": 12345678},
    ],
    ids=str,
)
async def test_bad_fields_are_400_and_leave_the_code(door: Door, change: dict[str, Any]) -> None:
    """T2, T18: a bad field is 400 and named; the code still works."""
    offer = door.open()
    status, answer = await door.post("/pair", {**PHONE, "pairing_code": offer.typed_code, **change})
    assert status == 400
    assert answer["error"]["code"] == "INVALID_REQUEST"
    assert answer["error"]["details"]["parameter"] == next(iter(change))
    assert (await door.post("/pair", {**PHONE, "pairing_code": offer.typed_code, "more": [1]}))[0] == 200


async def test_known_key_is_409(door: Door) -> None:
    """T2: a key that a live device holds is 409 with the way out; the code still works."""
    key = new_key()
    first = await door.pair(public_key=key)
    offer = door.open()
    status, answer = await door.post("/pair", {**PHONE, "public_key": key, "pairing_code": offer.typed_code})
    assert status == 409
    assert "pixlsrve revoke 1" in answer["error"]["message"]
    await door.post("/revoke", {"device_id": first["device_id"]}, token=first["api_token"])
    again = await door.post("/pair", {**PHONE, "public_key": key, "pairing_code": offer.typed_code})
    assert again[0] == 200
    assert again[1]["wireguard_config"]["device_ip"] == first["wireguard_config"]["device_ip"]


async def test_a_question_reaches_the_terminal(door: Door) -> None:
    """T1: a client that knows only the spec is asked about, with name and address, and becomes a member."""
    asked: list[Applicant] = []

    async def ask(applicant: Applicant) -> bool:
        asked.append(applicant)
        return True

    door.open(role=Role.ADMIN, ask=ask)
    status, answer = await door.post("/pair", PHONE)
    assert status == 200
    assert (asked[0].name, asked[0].address) == ("John's iPhone", "127.0.0.1")
    assert (await door.kit.who(answer["api_token"])).role is Role.MEMBER


async def test_a_client_that_hung_up_is_not_let_in(door: Door) -> None:
    """T1: a yes that comes after the client has gone lets nobody in."""
    asked, answered = asyncio.Event(), asyncio.Event()

    async def ask(applicant: Applicant) -> bool:
        asked.set()
        while applicant.is_there():
            await asyncio.sleep(0.01)
        answered.set()
        return True

    offer = door.open(ask=ask)
    asking = asyncio.ensure_future(door.post("/pair", PHONE))
    await asked.wait()
    asking.cancel()
    await asyncio.wait({asking})
    await asyncio.wait_for(answered.wait(), 10)
    assert (await door.post("/pair", {**PHONE, "pairing_code": offer.qr_code}))[0] == 200
    assert await door.kit.state.fetch_all("SELECT count(*) FROM device") == [(1,)]


async def test_refresh_rotates(door: Door) -> None:
    """T6: the spec's answer; the old token at once again gives the same successor; a wrong device_id is 401."""
    device = await door.pair()
    body = {"device_id": device["device_id"], "refresh_token": device["refresh_token"]}
    status, first = await door.post("/token/refresh", body)
    assert status == 200
    assert sorted(first) == ["api_token", "expires_in", "refresh_token"]
    assert first["expires_in"] == 3600
    assert first["refresh_token"] != device["refresh_token"]
    assert (await door.post("/token/refresh", body))[1]["refresh_token"] == first["refresh_token"]
    other = {**body, "device_id": (await door.pair())["device_id"]}
    assert await door.code("/token/refresh", other) == (401, "INVALID_TOKEN")
    assert await door.code("/token/refresh", {"refresh_token": body["refresh_token"]}) == (400, "INVALID_REQUEST")
    assert await door.code("/token/refresh", {**body, "refresh_token": "x.y.z"}) == (401, "INVALID_TOKEN")
    assert await door.code("/token/refresh", {**body, "refresh_token": None}) == (400, "INVALID_REQUEST")
    assert (await door.call("GET", "/api/v1/devices", token=first["api_token"]))[0] == 200


async def test_kinds_of_tokens_are_not_interchangeable(door: Door) -> None:
    """T14: a refresh token is no access token, nor the other way round; codes are neither."""
    device = await door.pair()
    assert (await door.call("GET", "/api/v1/devices", token=device["refresh_token"]))[0] == 401
    body = {"device_id": device["device_id"], "refresh_token": device["api_token"]}
    assert await door.code("/token/refresh", body) == (401, "INVALID_TOKEN")
    offer = door.open()
    for code in (offer.qr_code, offer.typed_code):
        assert (await door.call("GET", "/api/v1/devices", token=code))[0] == 401
    assert (await door.post("/pair", {**PHONE, "pairing_code": device["api_token"][:100]}))[0] == 403


async def test_devices_revoke_themselves_only(door: Door) -> None:
    """T15, DESIGN 9: itself yes; another's, known or not, 403; an admin any, and again; unknown ones 404."""
    own, other, admin = await door.pair(), await door.pair(), await door.pair(role=Role.ADMIN)
    missing = "00000000-0000-4000-8000-000000000000"
    for target in (other["device_id"], missing):
        refused = await door.code("/revoke", {"device_id": target}, token=own["api_token"])
        assert refused == (403, "UNAUTHORIZED")
    assert await door.code("/revoke", {"device_id": missing}, token=admin["api_token"]) == (404, "NOT_FOUND")
    done = {"success": True, "message": "Device access revoked"}
    assert await door.post("/revoke", {"device_id": own["device_id"]}, token=own["api_token"]) == (200, done)
    for _ in range(2):
        answer = await door.post("/revoke", {"device_id": other["device_id"]}, token=admin["api_token"])
        assert answer == (200, done)
    for device in (own, other):
        refused = await door.code("/revoke", {"device_id": device["device_id"]}, token=device["api_token"])
        assert refused == (401, "DEVICE_REVOKED")
        body = {"device_id": device["device_id"], "refresh_token": device["refresh_token"]}
        assert await door.code("/token/refresh", body) == (401, "DEVICE_REVOKED")
    assert await door.code("/revoke", {"device_id": own["device_id"]}) == (401, "INVALID_TOKEN")


async def test_revocation_closes_websockets(door: Door) -> None:
    """T7: a revoked device's websocket is closed within a second; others stay and are told if they may know."""
    device, admin = await door.pair(), await door.pair(role=Role.ADMIN)

    def listen(answer: Any) -> Any:
        headers = {"Authorization": f"Bearer {answer['api_token']}"}
        return door.client.ws_connect(door.base + "/api/v1/ws", headers=headers)

    async with listen(device) as lost, listen(admin) as kept:
        begun = time.monotonic()
        await door.post("/revoke", {"device_id": device["device_id"]}, token=admin["api_token"])
        told = await kept.receive_json(timeout=180)
        assert (told["type"], told["data"]["device_id"]) == ("device.revoked", device["device_id"])
        while (message := await lost.receive(timeout=180)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert message.data == aiohttp.WSCloseCode.POLICY_VIOLATION
        assert time.monotonic() - begun < 5  # the limit is a second, on a machine that isn't busy with tests
        assert not kept.closed


async def test_login_gives_a_token_pair(door: Door) -> None:
    """DESIGN 3: an account gets what a device gets; refreshing needs no device_id."""
    await door.kit.add("anna")
    status, tokens = await door.post("/login", {"username": "Anna", "password": PASSWORD})
    assert status == 200
    assert sorted(tokens) == ["api_token", "expires_in", "refresh_token"]
    status, again = await door.post("/token/refresh", {"refresh_token": tokens["refresh_token"]})
    assert status == 200
    assert (await door.kit.who(again["api_token"])).account_id is not None


async def test_unknown_user_and_wrong_password_answer_the_same(door: Door) -> None:
    """T4: status, headers and body are equal to the letter, but for the request's number and the date."""
    await door.kit.add("anna")
    answers = set()
    for name, password in (("anna", "wrong"), ("nobody", PASSWORD), ("\0", ""), ("x" * 9_999, "y" * 9_999)):
        body = {"username": name, "password": password}
        async with door.client.post(f"{door.base}{V1}/login", json=body) as answer:
            headers = {
                key: value for key, value in answer.headers.items() if key.lower() not in {"x-request-id", "date"}
            }
            answers.add((answer.status, await answer.text(), json.dumps(headers)))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 401


@pytest.mark.parametrize(
    "body",
    [
        b'{"username": "\\ud800", "password": "x"}',
        b'{"username": "a", "password": "\\udfff\\u0000"}',
        b'{"username": "\xff", "password": "x"}',
        b'{"username": ["a"], "password": "x"}',
        b'{"username": "a"}',
        b"[]",
        b"",
        b"[" * 50_000,
        b'{"username": "a", "password": "' + b"x" * 900_000 + b'"}',
    ],
    ids=range(9),
)
async def test_no_login_input_breaks_it(door: Door, body: bytes) -> None:
    """T3: no input gives a 5xx."""
    async with door.client.post(
        f"{door.base}{V1}/login", data=body, headers={"Content-Type": "application/json"}
    ) as answer:
        assert answer.status in {400, 401, 415}


async def test_logout_ends_this_login(door: Door) -> None:
    """After logging out access and refresh token are over; another login of the same account is not."""
    await door.kit.add("anna")
    login = {"username": "anna", "password": PASSWORD}
    (_, one), (_, other) = await door.post("/login", login), await door.post("/login", login)
    assert (await door.post("/logout", token=one["api_token"]))[0] == 200
    assert await door.code("/logout", token=one["api_token"]) == (401, "INVALID_TOKEN")
    assert await door.code("/token/refresh", {"refresh_token": one["refresh_token"]}) == (401, "INVALID_TOKEN")
    assert (await door.call("GET", "/api/v1/devices", token=other["api_token"]))[0] == 200


async def test_password_change(door: Door) -> None:
    """T7: a new password ends older tokens; whoever changed it gets new ones. A device can't change it."""
    anna = await door.kit.add("anna")
    _, tokens = await door.post("/login", {"username": "anna", "password": PASSWORD})
    body = {"current_password": PASSWORD, "new_password": "new password"}
    device = await door.pair(account=anna)
    assert await door.code("/password", body, token=device["api_token"]) == (403, "UNAUTHORIZED")
    for wrong, expected in (
        ({**body, "current_password": "wrong"}, (403, "UNAUTHORIZED")),
        ({**body, "new_password": "short"}, (400, "INVALID_REQUEST")),
        ({**body, "new_password": "x" * 1_025}, (400, "INVALID_REQUEST")),
    ):
        assert await door.code("/password", wrong, token=tokens["api_token"]) == expected
    status, newer = await door.post("/password", body, token=tokens["api_token"])
    assert status == 200
    assert (await door.call("GET", "/api/v1/devices", token=tokens["api_token"]))[0] == 401
    assert (await door.call("GET", "/api/v1/devices", token=newer["api_token"]))[0] == 200
    assert await door.code("/login", {"username": "anna", "password": PASSWORD}) == (401, "INVALID_TOKEN")


async def test_admins_open_windows(door: Door) -> None:
    """DESIGN 9: an admin opens a window over HTTP; it makes members, and only admins may."""
    admin, member = await door.pair(role=Role.ADMIN), await door.pair()
    anna = await door.kit.add("anna")
    assert await door.code("/pairing-windows", {}, token=member["api_token"]) == (403, "UNAUTHORIZED")
    assert await door.code("/pairing-windows", {}) == (401, "INVALID_TOKEN")
    assert (await door.code("/pairing-windows", {"timeout_s": 301}, token=admin["api_token"]))[0] == 400
    assert (await door.code("/pairing-windows", {"username": "x"}, token=admin["api_token"]))[0] == 404
    status, window = await door.post("/pairing-windows", {"role": "admin"}, token=admin["api_token"])
    assert status == 200
    assert (window["host_id"], window["expires_in"]) == (HOST_ID, 300)
    url, _, fragment = window["url"].partition("#")
    assert url == f"{door.base}/pair"
    facts = dict(part.split("=") for part in fragment.split("&"))
    assert (facts["h"], len(facts["c"])) == (HOST_ID, 22)
    status, joined = await door.post("/pair", {**PHONE, "pairing_code": facts["c"]})
    assert (await door.kit.who(joined["api_token"])).role is Role.MEMBER
    _, window = await door.post("/pairing-windows", {"username": "ANNA"}, token=admin["api_token"])
    _, joined = await door.post("/pair", {**PHONE, "pairing_code": window["code"]})
    assert (await door.kit.who(joined["api_token"])).account_id == anna.uuid


async def test_scripts_have_no_tunnel(door: Door) -> None:
    """GET /api/v1/vpn/config is the asking device's; an account's or a script's token has none: 404."""
    scripts = door.kit.identity.scripts
    token, _ = await scripts.mint(door.kit.identity.authenticator, Role.ADMIN, 60)
    assert (await door.call("GET", "/api/v1/vpn/config", token=token))[0] == 404
    status, answer = await door.call("GET", "/api/v1/devices", token=token)
    assert (status, answer) == (200, {"devices": []})
    status, answer = await door.post("/logout", token=token)
    assert (status, answer["error"]["details"]["reason"]) == (400, "no_session")


async def test_revocation_frees_key_and_address(door: Door) -> None:
    """DESIGN 9: auth/revoke frees the key and the address, and leaves the tokens dead for good."""
    key = new_key()
    first = await door.pair(public_key=key)
    await door.post("/revoke", {"device_id": first["device_id"]}, token=first["api_token"])
    second = await door.pair(public_key=key)
    assert second["wireguard_config"]["device_ip"] == first["wireguard_config"]["device_ip"]
    with pytest.raises(DeviceRevoked):
        await door.kit.who(first["api_token"])


async def test_login_is_limited(tmp_path: Path) -> None:
    """T4, T31: the eleventh try in a minute from one address is 429."""
    async with open_kit(tmp_path) as kit:
        app = application.build(
            auth.ROUTES,
            Config(data_dir="", storage_dir=""),
            authenticator=kit.identity.authenticator,
            bus=kit.bus,
            hosts=Hosts([], names=["box"]),
        )
        app[identity.IDENTITY] = kit.identity
        async with HttpServer(app, host="127.0.0.1") as server, aiohttp.ClientSession() as client:
            door = Door(kit, client, f"http://127.0.0.1:{server.bound_port}")
            body = {"username": "nobody", "password": "x"}
            statuses = [(await door.post("/login", body))[0] for _ in range(11)]
            assert statuses == [401] * 10 + [429]
