"""Forged access tokens of devices and accounts: every shape that is known to have worked somewhere, none works here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

from pixlsrve.errors import NotAuthenticated
from pixlsrve.model import Role
from tests.auth.kit import HOST_ID, KEY, Kit

OTHER_KEYS = (b"", b"\0", b"\0" * 32, b"secret", b"pixlsrve", KEY.kid.encode(), HOST_ID.encode(), KEY.secret[::-1])


def _encode(part: object) -> str:
    """One part of a token: bytes as they are, everything else as JSON."""
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _sign(header: object, claims: object, key: bytes = KEY.secret, digest: Any = hashlib.sha256) -> str:
    signed = f"{_encode(header)}.{_encode(claims)}"
    return f"{signed}.{_encode(hmac.digest(key, signed.encode(), digest))}"


def _decode(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a genuine token."""
    head, claims, _ = (base64.urlsafe_b64decode(part + "==") for part in token.split("."))
    return json.loads(head), json.loads(claims)


def _without_signature(header: dict[str, Any], claims: dict[str, Any], good: str) -> Iterator[str]:
    signature = good.rpartition(".")[2]
    for algorithm in ("none", "None", "NONE", "nOnE", "", None, 0):
        head = _encode({**header, "alg": algorithm})
        yield f"{head}.{_encode(claims)}."
        yield f"{head}.{_encode(claims)}.{signature}"
    yield f"{_encode(header)}.{_encode({**claims, 'x': 1})}.{signature}"
    yield f"{_encode(header)}.{_encode(claims)}."
    yield f"{_encode(header)}.{_encode(claims)}"
    yield good[:-1]
    yield f"{good}."
    yield f"{good}.{signature}"
    yield good.rpartition(".")[0] + "." + signature[::-1]


def _by_other_keys(header: dict[str, Any], claims: dict[str, Any]) -> Iterator[str]:
    for key in OTHER_KEYS:
        yield _sign(header, claims, key)
    jwk = {"kty": "oct", "k": _encode(b"\0" * 32), "kid": KEY.kid}
    for name, value in {
        "jwk": jwk,
        "jku": "http://192.0.2.1/keys",
        "x5u": "http://192.0.2.1/c",
        "x5c": ["AAAA"],
    }.items():
        yield _sign({**header, name: value}, claims, b"\0" * 32)
    for kid in ("", "../../../../dev/null", "' OR 1=1 --", "x" * 16, None, 5, ["a"], {"a": 1}):
        yield _sign({**header, "kid": kid}, claims)


def _by_other_algorithms(header: dict[str, Any], claims: dict[str, Any]) -> Iterator[str]:
    yield _sign({**header, "alg": "HS384"}, claims, digest=hashlib.sha384)
    yield _sign({**header, "alg": "HS512"}, claims, digest=hashlib.sha512)
    for algorithm in ("RS256", "ES256", "EdDSA", "PS256", "hs256", "HS256 ", ["HS256"]):
        yield _sign({**header, "alg": algorithm}, claims)
    for critical in (["b64"], ["exp"], [], "exp", None):
        yield _sign({**header, "crit": critical, "b64": False}, claims)


def _with_other_claims(header: dict[str, Any], claims: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    account = f"account:{claims['sub'].partition(':')[2]}"
    changes: dict[str, tuple[Any, ...]] = {
        "typ": ("refresh", "pairing", "ws", "ACCESS", "", None, 1),
        "iss": ("", "PIXLSRVE", "accounts.example", None, ["pixlsrve"]),
        "aud": ("", "other", None, [HOST_ID, "other"], {"a": HOST_ID}),
        "exp": (0, 1, -1, None, "9999999999", 1e12, True, [9_999_999_999]),
        "iat": (9_999_999_999, "0", None, 1.5, True),
        "sub": (account, "device:1", "device:", "admin:1", "", None, "DEVICE:" + claims["sub"], "script:1"),
        "gen": (1, -1, "0", None, True, 10**30),
        "fam": ("", "0" * 32, other["fam"], 5, ["a"], {}),
        "jti": (None, 5, []),
    }
    for name, values in changes.items():
        for value in values:
            yield _sign(header, {**claims, name: value})
        if name not in {"gen", "fam"}:
            yield _sign(header, {key: kept for key, kept in claims.items() if key != name})
    for shape in ([], "text", 5, None, [claims], b"", b"{", b"\xff\xfe", b'{"a":' * 5_000):
        yield _sign(header, shape)
        yield _sign(shape, claims)


async def test_no_forged_token_is_accepted(kit: Kit) -> None:
    """T9, T10, T14, T16: none of well over sixty shapes works, and the genuine token goes on working."""
    device, tokens = await kit.pair()
    _, others = await kit.pair("Desk", role=Role.ADMIN)
    await kit.add("anna")
    header, claims = _decode(tokens.access_token)
    forged = [
        *_without_signature(header, claims, tokens.access_token),
        *_by_other_keys(header, claims),
        *_by_other_algorithms(header, claims),
        *_with_other_claims(header, claims, _decode(others.access_token)[1]),
        tokens.refresh_token,
        (await kit.login("anna")).refresh_token,
    ]
    assert len(set(forged)) >= 100
    accepted = []
    for token in forged:
        try:
            await kit.who(token)
        except NotAuthenticated:
            continue
        accepted.append(token)
    assert accepted == []
    assert (await kit.who(_sign(header, claims))).device_id == device.uuid


async def test_claims_give_no_rights(kit: Kit) -> None:
    """T16: what a token says of role, roots or admin means nothing, even under our own signature."""
    _, tokens = await kit.pair()
    header, claims = _decode(tokens.access_token)
    boasting = {**claims, "role": "admin", "admin": True, "roots": None, "scope": "*", "userId": 1, "username": "root"}
    assert (await kit.who(_sign(header, boasting))).role is Role.MEMBER
