"""How clients come in and go out: pairing, login, refresh, revocation, passwords (DESIGN section 3)."""

from __future__ import annotations

import base64
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from pixlsrve.auth.pairing import LONGEST_S, SHORTEST_S, Applicant
from pixlsrve.auth.refresh import TokenPair
from pixlsrve.errors import InvalidInput, NotPermitted
from pixlsrve.http import cookies, identity, keys, library, routing, tunnel
from pixlsrve.http.reach import REACH, Way
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.model import Role, Subject, SubjectKind
from pixlsrve.wg.peers import PeerConfig
from pixlsrve.wg.render import qr_picture

_Uuid = Annotated[str, Meta(max_length=100, description="A UUID.")]


class PairBody(msgspec.Struct, frozen=True):
    """Body of POST /api/v1/auth/pair."""

    device_name: str
    device_type: str
    public_key: Annotated[str, Meta(description="WireGuard's, base64; without it the host makes the keys.")] | None = (
        None
    )
    pairing_code: Annotated[str, Meta(description="The code of `pixlsrve pair`, scanned or typed.")] | None = None


class PairAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a device needs from now on; `expires_in` is the access token's life in seconds.

    `addresses` are the ways to the host, best first: a client tries them in this order and compares `host_id`.
    """

    device_id: str
    api_token: str
    wireguard_config: PeerConfig
    host_id: str
    host_name: str
    refresh_token: str
    expires_in: int
    addresses: list[Way]


class BrowserAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a page of ours is told, which has a cookie instead of tokens; `device_id` and what follows after pairing."""

    success: bool
    message: str
    device_id: str | None = None
    host_name: str | None = None
    host_id: str | None = None
    addresses: list[Way] | None = None


class RefreshBody(msgspec.Struct, frozen=True):
    """Body of POST /api/v1/auth/token/refresh."""

    refresh_token: str
    device_id: Annotated[str, Meta(description="Needed with a device's token, omitted with an account's.")] | None = (
        None
    )


class TokenAnswer(msgspec.Struct, frozen=True):
    """Tokens; `expires_in` is the access token's life in seconds."""

    api_token: str
    refresh_token: str
    expires_in: int


class RevokeBody(msgspec.Struct, frozen=True):
    """Body of POST /api/v1/auth/revoke."""

    device_id: _Uuid


class LoginBody(msgspec.Struct, frozen=True):
    """Body of POST /api/v1/auth/login."""

    username: str
    password: str


class PasswordBody(msgspec.Struct, frozen=True):
    """Body of POST /api/v1/auth/password."""

    current_password: str
    new_password: str


class WindowBody(msgspec.Struct, frozen=True):
    """Body of POST /api/v1/auth/pairing-windows; `timeout_s` is in seconds."""

    username: Annotated[str, Meta(description="Whose the device will be; without it the household's.")] | None = None
    timeout_s: Annotated[int, Meta(ge=SHORTEST_S, le=LONGEST_S)] = LONGEST_S


class WindowAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A pairing window: `url` is for a QR code, `code` to be typed; `expires_in` is in seconds.

    `qr_png` is that QR code, a PNG in Base64.
    """

    url: str
    code: str
    qr_png: str
    host_id: str
    expires_in: int


class DoneAnswer(msgspec.Struct, frozen=True):
    """That it is done, in a sentence."""

    success: bool
    message: str


async def pair(request: web.Request) -> web.Response:
    """POST /api/v1/auth/pair: let a device in, with a code or by a yes at the terminal."""
    body, host = routing.body(request, PairBody), request.app[library.HOST]
    applicant = Applicant(
        name=body.device_name,
        type=body.device_type,
        public_key=body.public_key,
        address=request.app[keys.PEERS].address(request),
        is_there=lambda: request.transport is not None and not request.transport.is_closing(),
    )
    paired = await request.app[identity.IDENTITY].pairing.pair(applicant, body.pairing_code)
    reach = request.app.get(REACH)
    addresses = [] if reach is None else reach.ways()
    if cookies.is_browser(request):
        answer = BrowserAnswer(
            success=True,
            message="Paired",
            device_id=paired.device.uuid,
            host_name=host.name,
            host_id=host.host_id,
            addresses=addresses,
        )
        return await _signed_in(request, Subject(SubjectKind.DEVICE, paired.device.id), answer)
    tokens = PairAnswer(
        device_id=paired.device.uuid,
        api_token=paired.tokens.access_token,
        wireguard_config=await tunnel.config_of(request, paired.device.id),
        host_id=host.host_id,
        host_name=host.name,
        refresh_token=paired.tokens.refresh_token,
        expires_in=paired.tokens.expires_in,
        addresses=addresses,
    )
    return routing.answer(tokens, headers=routing.NO_STORE)


async def refresh(request: web.Request) -> web.Response:
    """POST /api/v1/auth/token/refresh: the next tokens for a refresh token."""
    body = routing.body(request, RefreshBody)
    return _tokens(await request.app[identity.IDENTITY].refresh.rotate(body.refresh_token, body.device_id))


async def revoke(request: web.Request) -> web.Response:
    """POST /api/v1/auth/revoke: end a device's access; its own, or any for an admin."""
    body, asker = routing.body(request, RevokeBody), request[keys.PRINCIPAL]
    if asker.role is not Role.ADMIN and asker.device_id != body.device_id.lower():
        raise NotPermitted("A device may revoke itself; revoking others needs an administrator's token.")
    devices = request.app[identity.IDENTITY].devices
    await devices.revoke(devices.by_uuid_or_gone(body.device_id))
    return routing.answer(DoneAnswer(True, "Device access revoked"), headers=routing.NO_STORE)


async def login(request: web.Request) -> web.Response:
    """POST /api/v1/auth/login: tokens for a name and a password; a cookie for a page of ours."""
    body, services = routing.body(request, LoginBody), request.app[identity.IDENTITY]
    account = await services.accounts.check_password(body.username, body.password)
    if cookies.is_browser(request):
        answer = BrowserAnswer(success=True, message="Signed in")
        return await _signed_in(request, Subject(SubjectKind.ACCOUNT, account.id), answer, account.generation)
    return _tokens(
        await services.refresh.issue(Subject(SubjectKind.ACCOUNT, account.id), generation=account.generation)
    )


async def logout(request: web.Request) -> web.Response:
    """POST /api/v1/auth/logout: end this browser's session, or this token and the refresh tokens it came with."""
    services, credential = request.app[identity.IDENTITY], request.app[keys.CALLERS].credential(request)
    response = routing.answer(DoneAnswer(True, "Signed out"), headers=routing.NO_STORE)
    if credential.is_session:
        await services.sessions.end(credential.value)
        cookies.clear_session(request, response)
    else:
        family = services.authenticator.claims(credential.value).family
        if family is None:
            message = "This token ends by itself; `pixlsrve token revoke` ends a script's."
            raise InvalidInput(message, reason="no_session")
        await services.refresh.end(family)
    return response


async def change_password(request: web.Request) -> web.Response:
    """POST /api/v1/auth/password: change one's own password; all older tokens end, new ones are answered."""
    body, services = routing.body(request, PasswordBody), request.app[identity.IDENTITY]
    asker = request[keys.PRINCIPAL]
    if asker.account_id is None or asker.device_id is not None:
        raise NotPermitted("Only somebody who has signed in with a name and a password can change the password.")
    account = services.directory.subject_account(asker.account_id)
    account = await services.accounts.change_password(account.id, body.current_password, body.new_password)
    if request.app[keys.CALLERS].credential(request).is_session:
        answer = BrowserAnswer(success=True, message="The password is changed")
        return await _signed_in(request, Subject(SubjectKind.ACCOUNT, account.id), answer, account.generation)
    return _tokens(
        await services.refresh.issue(Subject(SubjectKind.ACCOUNT, account.id), generation=account.generation)
    )


async def open_window(request: web.Request) -> web.Response:
    """POST /api/v1/auth/pairing-windows: open a pairing window; a member's, since admins are made at the terminal."""
    body, services = routing.body(request, WindowBody), request.app[identity.IDENTITY]
    account = None if body.username is None else services.accounts.named(body.username)
    offer = services.pairing.open(account=account, lifetime_s=body.timeout_s)
    url = request.app[identity.JOIN_LINKS].url(offer.qr_code)
    answer = WindowAnswer(
        url=url,
        code=offer.typed_code,
        qr_png=base64.b64encode(qr_picture(url)).decode("ascii"),
        host_id=services.host_id,
        expires_in=offer.expires_in,
    )
    return routing.answer(answer, headers=routing.NO_STORE)


async def _signed_in(
    request: web.Request, subject: Subject, answer: BrowserAnswer, generation: int | None = None
) -> web.Response:
    """A new session for a page of ours; scripts never see what it holds (THREATS T28)."""
    response = routing.answer(answer, headers=routing.NO_STORE)
    value = await request.app[identity.IDENTITY].sessions.create(subject, generation=generation)
    cookies.set_session(request, response, value)
    return response


def _tokens(pair: TokenPair) -> web.Response:
    """Tokens as an answer that no cache keeps."""
    return routing.answer(TokenAnswer(pair.access_token, pair.refresh_token, pair.expires_in), headers=routing.NO_STORE)


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/v1/auth/pair",
        handler=pair,
        access=Access.PUBLIC,
        rate=Rate.AUTH,
        summary="Pair a device: with the code of an open pairing window, or by a yes at the host's terminal.",
        body=PairBody,
        answer=PairAnswer,
        errors=(403, 409, 503),
    ),
    Route(
        method="POST",
        path="/api/v1/auth/token/refresh",
        handler=refresh,
        access=Access.PUBLIC,
        rate=Rate.AUTH,
        summary="Exchange a refresh token for the next pair of tokens.",
        body=RefreshBody,
        answer=TokenAnswer,
        errors=(401,),
    ),
    Route(
        method="POST",
        path="/api/v1/auth/revoke",
        handler=revoke,
        access=Access.MEMBER,
        rate=Rate.AUTH,
        summary="Revoke a device: itself, or any for an administrator.",
        body=RevokeBody,
        answer=DoneAnswer,
        errors=(403, 404),
    ),
    Route(
        method="POST",
        path="/api/v1/auth/login",
        handler=login,
        access=Access.PUBLIC,
        rate=Rate.AUTH,
        summary="Tokens for a user name and a password.",
        body=LoginBody,
        answer=TokenAnswer,
        errors=(401,),
    ),
    Route(
        method="POST",
        path="/api/v1/auth/logout",
        handler=logout,
        access=Access.MEMBER,
        rate=Rate.AUTH,
        summary="End the token of this request and the refresh tokens it came with.",
        answer=DoneAnswer,
    ),
    Route(
        method="POST",
        path="/api/v1/auth/password",
        handler=change_password,
        access=Access.MEMBER,
        rate=Rate.AUTH,
        summary="Change one's own password; every older token ends.",
        body=PasswordBody,
        answer=TokenAnswer,
        errors=(403,),
    ),
    Route(
        method="POST",
        path="/api/v1/auth/pairing-windows",
        handler=open_window,
        access=Access.ADMIN,
        rate=Rate.AUTH,
        summary="Open a pairing window for one device.",
        body=WindowBody,
        answer=WindowAnswer,
        errors=(404, 503),
    ),
)
