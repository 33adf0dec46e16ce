"""What every request passes: host, credential, limits, inputs, and the shapes of refusals."""

from __future__ import annotations

import asyncio
import json
from io import BytesIO
from typing import Any

import pytest

from pixlsrve.config import HttpConfig, RateLimitsConfig


async def test_answer_carries_its_headers(service: Any) -> None:
    """Every answer has a request number, the rate limit's state and the headers that keep browsers careful."""
    async with service.get("/api/v1/items/abc") as response:
        assert response.status == 200
        assert await response.json() == {"id": "abc", "who": "device:1"}
        headers = response.headers
    assert headers["X-RateLimit-Limit"] == "100"
    assert headers["X-RateLimit-Remaining"] == "99"
    assert int(headers["X-RateLimit-Reset"]) > 1_700_000_000
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "private, no-cache"
    assert headers["Server"] == "pixlsrve"
    assert headers["X-Request-Id"]
    assert "Access-Control-Allow-Origin" not in headers


async def test_head_is_answered_where_get_is(service: Any) -> None:
    """HEAD gives GET's headers without the body (RFC 9110 §9.3.2)."""
    async with service.request("HEAD", "/api/v1/items/abc") as response:
        assert response.status == 200
        assert int(response.headers["Content-Length"]) > 0
        assert await response.read() == b""


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic eDp5",
        "Bearer a b",
        "Bearer unknown",
        "member-token",
        "Bearer " + "x" * 5000,
    ],
)
async def test_bad_credential_is_refused(service: Any, header: str | None) -> None:
    """T13: without a valid token a member's route answers 401 and says which scheme it wants."""
    headers = {} if header is None else {"Authorization": header}
    async with service.get("/api/v1/things", token=None, headers=headers) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        error = (await response.json())["error"]
    assert error["code"] == "INVALID_TOKEN"
    is_missing = header in {None, "", "Bearer", "Bearer "}
    assert error["details"]["reason"] == ("no_token" if is_missing else "invalid_token")


@pytest.mark.parametrize(
    ("header", "message"),
    [("Bearer", "No auth token provided"), ("Bearer ", "No auth token provided"), ("Bearer x", "Invalid auth token")],
)
async def test_pisync_tells_a_missing_token_from_a_bad_one(service: Any, header: str, message: str) -> None:
    """The scheme without a token is a missing token in PiSync's words too (specs/pisync-api.md)."""
    async with service.get("/pisync/devices", token=None, headers={"Authorization": header}) as response:
        assert (response.status, await response.json()) == (401, {"message": message})


async def test_scheme_is_case_blind_and_header_single(service: Any) -> None:
    """The scheme's case doesn't matter (RFC 9110 §11.1); two Authorization headers are 400."""
    async with service.get("/api/v1/things", token=None, headers={"Authorization": "bEARER member-token"}) as response:
        assert response.status == 200
    token = b"Authorization: Bearer member-token\r\n"
    status, _, _ = await service.raw(b"GET /api/v1/things HTTP/1.1\r\nHost: box\r\n" + token * 2 + b"\r\n")
    assert status == 400


async def test_revoked_device_is_told_so(service: Any) -> None:
    """T7: a withdrawn credential is 401 DEVICE_REVOKED on the next request."""
    service.tokens.revoked.add("member-token")
    async with service.get("/api/v1/things") as response:
        assert response.status == 401
        assert (await response.json())["error"]["code"] == "DEVICE_REVOKED"


async def test_body_that_arrives_after_revocation_does_nothing(service: Any) -> None:
    """T7: a request whose body was held back until its credential was withdrawn is refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.server.bound_port)
    body = b'{"text": "x"}'
    head = "POST /api/v1/notes HTTP/1.1\r\nHost: box\r\nAuthorization: Bearer member-token\r\n"
    head += f"Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode())
    # The go-ahead and another whole exchange show that the host has looked at the credential and waits.
    assert b" 100 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    async with service.get("/api/v1/things") as response:
        assert response.status == 200
    service.tokens.revoked.add("member-token")
    writer.write(body)
    assert b" 401 " in await asyncio.wait_for(reader.readline(), 10)
    writer.close()


async def test_admin_route_refuses_members(service: Any) -> None:
    """T16: an admin's route is 403 UNAUTHORIZED for a member and open to an admin."""
    async with service.get("/api/v1/admin") as response:
        assert (response.status, (await response.json())["error"]["code"]) == (403, "UNAUTHORIZED")
    async with service.get("/api/v1/admin", token="admin-token") as response:
        assert response.status == 200


async def test_near_route_needs_no_token_nearby(service: Any) -> None:
    """A LAN route answers loopback without a token, and with an outdated one; a good one is recognised."""
    for token, who in ((None, None), ("outdated", None), ("member-token", "device:1")):
        async with service.get("/api/v1/open", token=token) as response:
            assert (response.status, await response.json()) == (200, {"who": who})


@pytest.mark.parametrize("name", ["Via", "Forwarded", "X-Forwarded-For", "x-forwarded-host"])
async def test_near_route_is_closed_behind_an_unknown_proxy(service: Any, name: str) -> None:
    """T34: what a proxy that isn't ours passes on is neither LAN nor loopback."""
    for path in ("/api/v1/open", "/metrics"):
        async with service.get(path, token=None, headers={name: "127.0.0.1"}) as response:
            assert response.status == 401


@pytest.mark.parametrize(("forwarded", "status"), [("192.168.1.5", 200), ("203.0.113.9", 401), ("junk", 401)])
async def test_trusted_proxy_is_believed(serve: Any, forwarded: str, status: int) -> None:
    """Behind a trusted proxy the client's own address decides; one that can't be read is not near."""
    async with (
        serve(http=HttpConfig(trusted_proxies=["127.0.0.1"])) as service,
        service.get("/api/v1/open", token=None, headers={"X-Forwarded-For": forwarded}) as response,
    ):
        assert response.status == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("LocalHost", 200),
        ("pixlsrve.home.arpa", 200),
        ("box.:80", 200),
        ("photos.example.org", 200),
        ("evil.example", 421),
        ("box.evil.example", 421),
        ("", 421),
        ("a@box", 421),
        ("box/..", 421),
    ],
)
async def test_host_must_be_ours(serve: Any, host: str, status: int) -> None:
    """T27: only our own names are answered, and the refusal names the setting."""
    async with serve(http=HttpConfig(hosts=["photos.example.org"])) as service:
        found, _, body = await service.raw(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert found in ({400, 421} if status == 421 else {200})
    if found == 421:
        assert "http.hosts" in body.decode()


async def test_foreign_host_has_its_reason(service: Any) -> None:
    """T27: a program can tell a foreign Host by its reason."""
    _, _, body = await service.raw(b"GET /api/v1/things HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    assert json.loads(body)["error"]["details"] == {"reason": "unknown_host"}


@pytest.mark.parametrize("hosts", [b"", b"Host: box\r\nHost: box\r\n"])
async def test_missing_or_doubled_host_is_bad(service: Any, hosts: bytes) -> None:
    """T27: a request without a Host, or with two, is 400."""
    status, _, _ = await service.raw(b"GET /healthz HTTP/1.1\r\n" + hosts + b"\r\n")
    assert status == 400


async def test_absolute_target_is_checked(service: Any) -> None:
    """T27: a request target with a foreign host is refused although its Host header is ours."""
    status, _, _ = await service.raw(b"GET http://evil.example/healthz HTTP/1.1\r\nHost: box\r\n\r\n")
    assert status == 421


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("page=0", "page"),
        ("page=", "page"),
        ("page=1001", "page"),
        ("page=" + "9" * 400, "page"),
        ("page=-1", "page"),
        ("page=null", "page"),
        ("page=1&page=2", "page"),
        ("limit=201", "limit"),
        ("sort=size", "sort"),
        ("order=up", "order"),
        ("order=null", "order"),
        ("day=2023-02-30", "day"),
        ("day=yesterday", "day"),
        ("near=nan", "near"),
        ("near=inf", "near"),
        ("near=1e999", "near"),
        ("q=12345678901", "q"),
    ],
)
async def test_bad_parameter_is_named(service: Any, query: str, parameter: str) -> None:
    """T33: a parameter out of range or of the wrong kind is 400 and the details name it and what is allowed."""
    async with service.client.get(f"{service.base}/api/v1/things?{query}", headers=AS_MEMBER) as response:
        error = (await response.json())["error"]
    assert (response.status, error["code"]) == (400, "INVALID_REQUEST")
    assert error["details"]["parameter"] == parameter
    assert error["details"]["allowed"]
    assert error["details"]["reason"] == "invalid_parameter"
    assert parameter in error["message"]


async def test_good_parameters_arrive_typed(service: Any) -> None:
    """Declared parameters are converted, unknown ones ignored, those left out have their defaults."""
    async with service.get("/api/v1/things?limit=200&order=desc&day=2024-02-29&near=1.5&q=null&what=ever") as response:
        assert await response.json() == {
            "page": 1,
            "limit": 200,
            "sort": "name",
            "order": "desc",
            "day": "2024-02-29",
            "near": 1.5,
            "q": "null",
        }


JSON = {"Content-Type": "application/json; charset=utf-8"}
AS_MEMBER = {"Authorization": "Bearer member-token"}


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"text":"a","extra":1}', JSON, 200),
        (b'{"text":1}', JSON, 400),
        (b'{"number":1}', JSON, 400),
        (b'{"text":"a","number":true}', JSON, 400),
        (b"[]", JSON, 400),
        (b"", JSON, 400),
        (b"{", JSON, 400),
        (b'{"text":"\xff"}', JSON, 400),
        (b'{"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}", JSON, 400),
        (b'{"text":"' + b"a" * 1_100_000 + b'"}', JSON, 413),
        (b'{"text":"a"}', {"Content-Type": "text/plain"}, 415),
        (b'{"text":"a"}', {**JSON, "Content-Encoding": "gzip"}, 415),
    ],
)
async def test_body_is_checked(service: Any, body: bytes, headers: dict[str, str], status: int) -> None:
    """T18: a JSON route takes JSON of the right types only; unknown fields are ignored."""
    async with service.request("POST", "/api/v1/notes", data=BytesIO(body), headers=headers) as response:
        answer = await response.json()
    assert response.status == status
    if status != 200:
        assert answer["error"]["code"] == "INVALID_REQUEST"


async def test_optional_body_may_be_missing(service: Any) -> None:
    """A body all of whose fields have defaults may be left out."""
    async with service.request("POST", "/api/v1/flags") as response:
        assert await response.json() == {"full": False}


@pytest.mark.parametrize(
    ("how", "status", "code", "reason"),
    [
        ("input", 400, "INVALID_REQUEST", "invalid_input"),
        ("path", 400, "PATH_TRAVERSAL", "path_traversal"),
        ("permission", 403, "UNAUTHORIZED", "not_permitted"),
        ("missing", 404, "NOT_FOUND", "not_found"),
        ("conflict", 409, "INVALID_REQUEST", "conflict"),
        ("large", 413, "INVALID_REQUEST", "too_large"),
        ("range", 416, "INVALID_REQUEST", "requested_range_not_satisfiable"),
        ("bug", 500, "INTERNAL_ERROR", "internal"),
        ("timeout", 500, "INTERNAL_ERROR", "internal"),
        ("storage", 500, "INTERNAL_ERROR", "storage"),
        ("later", 503, "INTERNAL_ERROR", "offline"),
        ("full", 507, "INTERNAL_ERROR", "disk_full"),
    ],
)
async def test_error_has_status_code_and_reason(service: Any, how: str, status: int, code: str, reason: str) -> None:
    """T15: every error is the envelope with a stable code and reason, and says nothing of the program's inside."""
    async with service.get(f"/api/v1/fail/{how}") as response:
        text = await response.text()
    error = json.loads(text)["error"]
    assert (response.status, error["code"], error["details"]["reason"]) == (status, code, reason)
    assert set(error) == {"code", "message", "details"}
    assert error["message"]
    assert not any(word in text for word in ("Traceback", "SELECT", "/srv", "ValueError"))
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers.get("Retry-After") == ("7" if how == "later" else None)
    assert response.headers.get("Content-Range") == ("bytes */5" if how == "range" else None)


async def test_each_door_has_its_shape(service: Any) -> None:
    """Other doors say the same in their own shape."""
    async with service.get("/pisync/fail/missing") as response:
        assert (response.status, await response.json()) == (404, {"message": "No."})
    async with service.get("/media_get/fail/missing") as response:
        assert (response.status, await response.json()) == (404, {"error": "No."})
    async with service.get("/pisync") as response:
        assert "message" in await response.json()
    async with service.get("/api/v10") as response:
        assert isinstance((await response.json())["error"], str)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "NOT_FOUND"),
        ("GET", "/api/v1", 404, "NOT_FOUND"),
        ("GET", "/api/v1//list", 404, "NOT_FOUND"),
        ("DELETE", "/api/v1/things", 405, "INVALID_REQUEST"),
        ("OPTIONS", "/api/v1/things", 405, "INVALID_REQUEST"),
        ("PURGE", "/api/v1/things", 405, "INVALID_REQUEST"),
        ("GET", "/api/v1/items/..", 400, "PATH_TRAVERSAL"),
        ("GET", "/api/v1/items/%2e%2e", 400, "PATH_TRAVERSAL"),
        ("GET", "/api/v1/items/..%2f..%2fetc%2fpasswd", 400, "PATH_TRAVERSAL"),
        ("GET", "/api/v1/items/..%5c..", 400, "PATH_TRAVERSAL"),
        ("GET", "/api/v1/items/a%00b", 400, "PATH_TRAVERSAL"),
        ("GET", "/api/v1/items/C:", 400, "PATH_TRAVERSAL"),
        ("GET", "/api/v1/items/../../../etc/passwd", 400, "PATH_TRAVERSAL"),
        ("GET", "/api/v1/items/%ff%fe", 200, ""),
        ("GET", "/api/v1/items/a%0d%0ab", 400, "PATH_TRAVERSAL"),
    ],
)
async def test_odd_targets(service: Any, method: str, path: str, status: int, code: str) -> None:
    """T19: unknown paths are 404, unknown methods 405 with Allow, climbing ones 400; none is a 500."""
    request = f"{method} {path} HTTP/1.1\r\nHost: box\r\nAuthorization: Bearer member-token\r\n\r\n"
    found, headers, body = await service.raw(request.encode())
    assert found == status
    if code:
        assert json.loads(body)["error"]["code"] == code
    assert ("allow" in headers) == (status == 405)
    if status == 405:
        assert headers["allow"] == "GET,HEAD"


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: box\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: box\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: box\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: box\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"GET / HTTP/1.1\r\nHost: box\r\n" + b"X: y\r\n" * 500 + b"\r\n",
    ],
)
async def test_malformed_request_is_answered_in_json(service: Any, request_: bytes) -> None:
    """T15: what is no HTTP gets a 400 envelope, and nothing of the parser's inside."""
    status, headers, body = await service.raw(request_)
    assert status in {400, 404}
    assert headers["content-type"] == "application/json"
    assert headers["server"] == "pixlsrve"
    assert b"aiohttp" not in body
    assert json.loads(body)


@pytest.mark.parametrize("line", ["BREW /path HTTP/1.1", "get /api/v1/things HTTP/1.1", "O'NEIL /path HTTP/1.0"])
async def test_unknown_method_is_not_implemented(service: Any, line: str) -> None:
    """A method that nobody knows is no damaged request: 501 (RFC 9110 §9.1), counted like everything else."""
    status, headers, body = await service.raw(f"{line}\r\nHost: box\r\n\r\n".encode())
    assert (status, headers["content-type"]) == (501, "application/json")
    assert json.loads(body)["error"]["details"] == {"reason": "not_implemented"}
    assert "x-ratelimit-remaining" in headers


@pytest.mark.parametrize("line", ["nonsense", "BREW", "BREW /path", "BREW /path SIP/2.0", "BR(W /path HTTP/1.1"])
async def test_line_that_is_no_request_is_bad(service: Any, line: str) -> None:
    """What has not the form of a request is 400, whatever its first word."""
    status, _, _ = await service.raw(f"{line}\r\nHost: box\r\n\r\n".encode())
    assert status == 400


@pytest.mark.parametrize(
    ("path", "shape"),
    [("/api/v1/things", "envelope"), ("/api/v1/nothing", "envelope"), ("/pisync/fail/missing", "message")],
)
async def test_unknown_expectation_is_refused_by_the_door(service: Any, path: str, shape: str) -> None:
    """An expectation that nobody knows is 417 (RFC 9110 §10.1.1) in the door's own shape, and counted."""
    token = "Authorization: Bearer member-token"
    request = f"GET {path} HTTP/1.1\r\nHost: box\r\n{token}\r\nExpect: cake\r\n\r\n"
    status, headers, body = await service.raw(request.encode())
    answer = json.loads(body)
    assert (status, headers["content-type"]) == (417, "application/json")
    assert "x-request-id" in headers
    assert answer["error"]["code"] == "INVALID_REQUEST" if shape == "envelope" else set(answer) == {"message"}


async def test_expectation_of_an_old_client_is_passed_over(service: Any) -> None:
    """HTTP/1.0 knows no expectations: they are ignored (RFC 9110 §10.1.1)."""
    head = b"GET /api/v1/things HTTP/1.0\r\nHost: box\r\nAuthorization: Bearer member-token\r\nExpect: cake\r\n\r\n"
    assert (await service.raw(head))[0] == 200


async def test_client_that_waits_is_told_to_go_on(service: Any) -> None:
    """`Expect: 100-continue` is answered before the body comes (RFC 9110 §10.1.1)."""
    head = b"POST /api/v1/notes HTTP/1.1\r\nHost: box\r\nAuthorization: Bearer member-token\r\n"
    body = b'{"text": "a"}'
    what = b"Content-Type: application/json\r\nContent-Length: 13\r\nExpect: 100-Continue\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", service.server.bound_port)
    writer.write(head + what)
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_limit_refuses_with_headers(serve: Any) -> None:
    """T31: beyond the limit the answer is 429 with Retry-After; another caller has a count of its own."""
    async with serve(limits=RateLimitsConfig(photos="2/minute")) as service:
        for _ in range(2):
            async with service.get("/api/v1/items/a") as response:
                assert response.status == 200
        async with service.get("/api/v1/items/a") as response:
            assert response.status == 429
            assert (await response.json())["error"]["code"] == "RATE_LIMITED"
        assert response.headers["X-RateLimit-Remaining"] == "0"
        assert 1 <= int(response.headers["Retry-After"]) <= 60
        async with service.get("/api/v1/items/a", token="admin-token") as response:
            assert response.status == 200


async def test_failed_credentials_are_counted(serve: Any) -> None:
    """T31: guessing tokens runs into the limit of the guesser's address, not of the owner."""
    async with serve(limits=RateLimitsConfig(photos="2/minute")) as service:
        statuses = []
        for _ in range(3):
            async with service.get("/api/v1/items/a", token="guess") as response:
                statuses.append(response.status)
        assert statuses == [401, 401, 429]
        async with service.get("/api/v1/items/a") as response:
            assert response.status == 200


async def test_unknown_routes_are_counted(serve: Any) -> None:
    """T31: unknown addresses carry the headers of `other` and run into its limit."""
    async with serve(limits=RateLimitsConfig(other="1/minute")) as service:
        async with service.get("/api/v1/nothing") as response:
            assert (response.status, response.headers["X-RateLimit-Limit"]) == (404, "1")
        async with service.get("/api/v1/nothing") as response:
            assert response.status == 429


@pytest.mark.parametrize(
    "head",
    [
        "GET /api/v1/list2 HTTP/1.1\r\nHost: evil.example",
        "GET /api/v1/items/a HTTP/1.1\r\nHost: evil.example",
        "GET /api/v1/items/a HTTP/1.0",
        "GET /api/v1/items/a HTTP/1.1\r\nHost: box\r\nHost: box",
        "GET /api/v1/items/a HTTP/1.1",
        "nonsense",
    ],
)
async def test_refused_hosts_and_no_http_are_counted(service: Any, head: str) -> None:
    """T31: answers to a foreign Host, to none, and to what is no HTTP carry the rate-limit headers too."""
    status, headers, _ = await service.raw(f"{head}\r\n\r\n".encode())
    assert status in {400, 421}
    assert int(headers["x-ratelimit-remaining"]) == int(headers["x-ratelimit-limit"]) - 1
    assert int(headers["x-ratelimit-reset"]) > 0


async def test_limit_off_omits_the_headers(serve: Any) -> None:
    """A limit that is off counts nothing and says nothing."""
    async with serve(limits=RateLimitsConfig(photos="off")) as service, service.get("/api/v1/items/a") as response:
        assert response.status == 200
        assert not any(name.startswith("X-RateLimit") for name in response.headers)


async def test_auth_limit_counts_by_address(serve: Any) -> None:
    """T31: the limit of logins is the address's, whatever token comes along."""
    async with serve(limits=RateLimitsConfig(auth="1/minute")) as service:
        async with service.get("/api/v1/public") as response:
            assert response.status == 200
        async with service.get("/api/v1/public", token="admin-token") as response:
            assert response.status == 429


async def test_failure_in_a_stream_cuts_the_connection(service: Any) -> None:
    """An answer that fails after it began is cut off, so that nobody takes the half for the whole."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.server.bound_port)
    writer.write(b"GET /api/v1/stream HTTP/1.1\r\nHost: box\r\nAuthorization: Bearer member-token\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert answer.endswith(b"\r\n\r\nhalf")
    assert b"X-RateLimit-Limit" in answer
    assert answer.count(b"HTTP/1.1") == 1


async def test_whole_server_as_target(service: Any) -> None:
    """`OPTIONS *` passes the gate like every request (RFC 9110 §9.3.7): counted, and answered in JSON."""
    status, headers, body = await service.raw(b"OPTIONS * HTTP/1.1\r\nHost: box\r\n\r\n")
    assert (status, headers["content-type"]) == (404, "application/json")
    assert "x-ratelimit-limit" in headers
    assert "error" in json.loads(body)
    assert (await service.raw(b"OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n"))[0] == 421
