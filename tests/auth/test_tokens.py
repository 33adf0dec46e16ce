"""Access tokens: what is accepted, what never is, and what it costs."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from pixlsrve.auth.clock import Clock
from pixlsrve.auth.keys import SigningKey
from pixlsrve.auth.script_tokens import KIND, ScriptTokens
from pixlsrve.auth.tokens import CACHE_ENTRIES, Authenticator
from pixlsrve.errors import DeviceRevoked, InvalidInput, NotAuthenticated, NotFound
from pixlsrve.model import Role
from pixlsrve.store.database import Database
from pixlsrve.store.migrate import migrate

KEY = SigningKey("0123456789abcdef", bytes(range(32)))
HOST = "6b1d2c9e-0000-4000-8000-000000000000"


class FakeTime:
    """A wall clock and a monotonic one, moved by the test."""

    def __init__(self) -> None:
        self.wall_s = 1_800_000_000.0
        self.monotonic_s = 50.0

    def clock(self, floor_us: int = 0) -> Clock:
        return Clock(floor_us=floor_us, wall=lambda: self.wall_s, monotonic=lambda: self.monotonic_s)

    def pass_s(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds


@pytest.fixture
def now() -> FakeTime:
    return FakeTime()


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[Database]:
    migrate(tmp_path / "state.db", "state")
    async with Database.open(tmp_path / "state.db", durability="FULL") as database:
        yield database


@pytest.fixture
def tokens(state: Database, now: FakeTime) -> ScriptTokens:
    return ScriptTokens(state, now.clock())


@pytest.fixture
def authenticator(tokens: ScriptTokens, now: FakeTime) -> Authenticator:
    return Authenticator(KEY, HOST, now.clock(), {KIND: tokens})


def _claims(token_id: str, now: FakeTime, **changes: Any) -> dict[str, Any]:
    """The claims of a good token, changed; None takes one out."""
    claims = {
        "typ": "access",
        "iss": "pixlsrve",
        "aud": HOST,
        "iat": int(now.wall_s),
        "exp": int(now.wall_s) + 60,
        "jti": token_id,
        "sub": f"script:{token_id}",
    }
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def _sign(claims: dict[str, Any], *, headers: dict[str, Any] | None = None, key: bytes = KEY.secret) -> str:
    """A token with these claims, signed with our key unless another is given."""
    return jwt.encode(claims, key, "HS256", headers={"kid": KEY.kid, **(headers or {})})


async def test_minted_token_is_accepted_again_and_again(authenticator: Authenticator, tokens: ScriptTokens) -> None:
    """A minted token names its stored role each time it is sent."""
    token, row = await tokens.mint(authenticator, Role.MEMBER, 60)
    for _ in range(2):
        principal = await authenticator.authenticate(token)
        assert (principal.id, principal.role, principal.roots) == (f"script:{row.jti}", Role.MEMBER, None)


async def test_tokens_survive_a_restart(
    authenticator: Authenticator, tokens: ScriptTokens, state: Database, now: FakeTime
) -> None:
    """A token minted before a restart works after it, because its row is durable and the key stays."""
    token, _ = await tokens.mint(authenticator, Role.ADMIN, 60)
    again = ScriptTokens(state, now.clock())
    await again.load()
    principal = await Authenticator(KEY, HOST, now.clock(), {KIND: again}).authenticate(token)
    assert principal.role is Role.ADMIN


@pytest.mark.parametrize(
    "changes",
    [
        {"typ": "refresh"},
        {"typ": None},
        {"iss": "someone"},
        {"iss": None},
        {"aud": "another-host"},
        {"aud": [HOST, "another-host"]},
        {"aud": None},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": float("inf")},
        {"exp": 1e300},
        {"exp": True},
        {"iat": None},
        {"iat": 4_000_000_000},
        {"iat": "yesterday"},
        {"jti": None},
        {"jti": 7},
        {"jti": "unknown", "sub": "script:unknown"},
        {"sub": None},
        {"sub": "device:1"},
        {"sub": "script:another"},
        {"sub": ""},
    ],
)
async def test_token_with_a_wrong_claim_is_refused(
    authenticator: Authenticator, tokens: ScriptTokens, now: FakeTime, changes: dict[str, Any]
) -> None:
    """T9, T14: every claim is needed and checked, even under a good signature."""
    _, row = await tokens.mint(authenticator, Role.MEMBER, 60)
    assert (await authenticator.authenticate(_sign(_claims(row.jti, now)))).role is Role.MEMBER
    with pytest.raises(NotAuthenticated):
        await authenticator.authenticate(_sign(_claims(row.jti, now, **changes)))


@pytest.mark.parametrize(
    "headers", [{"kid": "feedfeedfeedfeed"}, {"kid": None}, {"kid": 5}, {"crit": ["exp"]}, {"crit": []}]
)
async def test_token_with_a_strange_header_is_refused(
    authenticator: Authenticator, tokens: ScriptTokens, now: FakeTime, headers: dict[str, Any]
) -> None:
    """T9: a key we don't have, and anything critical that we don't know, is refused."""
    _, row = await tokens.mint(authenticator, Role.MEMBER, 60)
    head = {"typ": "JWT", "alg": "HS256", "kid": KEY.kid, **headers}
    with pytest.raises(NotAuthenticated):
        await authenticator.authenticate(_by_hand(head, _claims(row.jti, now)))


async def test_keys_named_in_the_header_are_ignored(
    authenticator: Authenticator, tokens: ScriptTokens, now: FakeTime
) -> None:
    """T9: jku, x5u and jwk never choose the key."""
    _, row = await tokens.mint(authenticator, Role.MEMBER, 60)
    own = {"jku": "https://evil.example/keys", "x5u": "https://evil.example/c", "jwk": {"kty": "oct", "k": "AAAA"}}
    assert await authenticator.authenticate(_sign(_claims(row.jti, now), headers=own))
    with pytest.raises(NotAuthenticated):
        await authenticator.authenticate(_sign(_claims(row.jti, now), headers=own, key=b"\0" * 32))


def _by_hand(head: dict[str, Any], claims: dict[str, Any], algorithm: str = "HS256") -> str:
    """A correctly signed token whose header is exactly `head`."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (head, claims)]
    signer = jwt.get_algorithm_by_name(algorithm)
    signature = signer.sign(b".".join(parts), signer.prepare_key(KEY.secret))
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


@pytest.mark.parametrize("algorithm", ["none", "HS512", "hs256", None])
async def test_other_algorithm_is_refused(
    authenticator: Authenticator, tokens: ScriptTokens, now: FakeTime, algorithm: str | None
) -> None:
    """T9: there is one algorithm, and the token does not choose it."""
    _, row = await tokens.mint(authenticator, Role.MEMBER, 60)
    signed_with = "HS512" if algorithm == "HS512" else "HS256"
    token = _by_hand({"alg": algorithm, "kid": KEY.kid}, _claims(row.jti, now), signed_with)
    with pytest.raises(NotAuthenticated):
        await authenticator.authenticate(token)
    with pytest.raises(NotAuthenticated):
        await authenticator.authenticate(token.rsplit(".", 1)[0] + ".")


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b.c", "é.ü.ß", "\ud800", "x" * 100_000, "eyJhbGciOiJIUzI1NiJ9..", "null", "[]"]
)
async def test_anything_else_is_refused(authenticator: Authenticator, text: str) -> None:
    """No text makes anything but a refusal."""
    with pytest.raises(NotAuthenticated):
        await authenticator.authenticate(text)


async def test_expired_token_stays_expired_when_the_clock_goes_back(
    authenticator: Authenticator, tokens: ScriptTokens, now: FakeTime
) -> None:
    """T11: setting the clock back revives nothing, and does not make a token live longer."""
    token, _ = await tokens.mint(authenticator, Role.MEMBER, 60)
    await authenticator.authenticate(token)
    now.wall_s -= 10_000
    now.monotonic_s += 59
    await authenticator.authenticate(token)
    now.monotonic_s += 1
    with pytest.raises(NotAuthenticated, match="expired"):
        await authenticator.authenticate(token)


def test_clock_continues_after_a_restart(now: FakeTime) -> None:
    """T11: a clock that was set back while the daemon was down goes on from where it was."""
    clock = now.clock()
    seen_us = clock.now_us()
    now.wall_s -= 86_400
    assert now.clock(floor_us=seen_us).now_us() == seen_us


async def test_role_comes_from_the_store(authenticator: Authenticator, tokens: ScriptTokens, now: FakeTime) -> None:
    """T16: a role claim, even a signed one, gives nothing."""
    _, row = await tokens.mint(authenticator, Role.MEMBER, 60)
    principal = await authenticator.authenticate(_sign(_claims(row.jti, now, role="admin", isAdmin=True)))
    assert principal.role is Role.MEMBER


async def test_revoked_token_fails_at_once_and_after_a_restart(
    authenticator: Authenticator, tokens: ScriptTokens, state: Database, now: FakeTime
) -> None:
    """T7: a withdrawn token is refused as such from the next request on, for good."""
    token, row = await tokens.mint(authenticator, Role.MEMBER, 60)
    await authenticator.authenticate(token)
    await tokens.revoke(row.jti)
    await tokens.revoke(row.jti)
    with pytest.raises(DeviceRevoked):
        await authenticator.authenticate(token)
    again = ScriptTokens(state, now.clock())
    await again.load()
    with pytest.raises(DeviceRevoked):
        await Authenticator(KEY, HOST, now.clock(), {KIND: again}).authenticate(token)
    assert again.list_live() == []


async def test_only_live_tokens_are_listed(authenticator: Authenticator, tokens: ScriptTokens, now: FakeTime) -> None:
    """The list has what works, the oldest first."""
    _, first = await tokens.mint(authenticator, Role.MEMBER, 60)
    now.pass_s(30)
    _, second = await tokens.mint(authenticator, Role.ADMIN, 60)
    assert tokens.list_live() == [first, second]


async def test_token_itself_is_not_stored(
    authenticator: Authenticator, tokens: ScriptTokens, state: Database, tmp_path: Path
) -> None:
    """T36: the database holds nothing that could be sent as a credential."""
    token, _ = await tokens.mint(authenticator, Role.MEMBER, 60)
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("state.db*"))
    assert token.encode() not in stored
    assert token.rsplit(".", 1)[1].encode() not in stored


@pytest.mark.parametrize("lifetime_s", [0, -1, 11 * 366 * 86_400])
async def test_lifetime_has_limits(authenticator: Authenticator, tokens: ScriptTokens, lifetime_s: int) -> None:
    """A token lives between a second and ten years."""
    with pytest.raises(InvalidInput):
        await tokens.mint(authenticator, Role.MEMBER, lifetime_s)


async def test_unknown_token_cannot_be_revoked(tokens: ScriptTokens) -> None:
    """Revoking what is not there says so."""
    with pytest.raises(NotFound):
        await tokens.revoke("0" * 32)


async def test_cache_is_bounded(authenticator: Authenticator, tokens: ScriptTokens, now: FakeTime) -> None:
    """T31: any number of good tokens keeps a bounded number of them in memory."""
    _, row = await tokens.mint(authenticator, Role.MEMBER, 60)
    for number in range(CACHE_ENTRIES + 10):
        await authenticator.authenticate(_sign(_claims(row.jti, now, n=number)))
    assert len(authenticator._seen) == CACHE_ENTRIES


async def test_real_clock_is_used_unless_told_otherwise(state: Database) -> None:
    """Without arguments the clock is the computer's."""
    assert abs(Clock().now_s() - time.time()) < 5
