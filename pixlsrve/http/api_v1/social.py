"""Social login for native apps, which bring a token that the provider's own library gave them (DESIGN section 3)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from pixlsrve.http import cookies, doors, identity, routing
from pixlsrve.http.api_v1.auth import DoneAnswer, TokenAnswer
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.model import Subject, SubjectKind

_Token = Annotated[str, Meta(max_length=16_384)]


class SocialBody(msgspec.Struct, frozen=True):
    """Body of POST /api/v1/auth/social."""

    provider: Annotated[str, Meta(max_length=100)]
    id_token: Annotated[_Token, Meta(description="Of an OpenID Connect provider.")] | None = None
    access_token: Annotated[_Token, Meta(description="Facebook's.")] | None = None
    nonce: Annotated[str, Meta(max_length=512, description="What the app had the provider put into it.")] | None = None
    invite: Annotated[str, Meta(max_length=100, description="The code of `pixlsrve user invite`.")] | None = None

    def __repr__(self) -> str:
        return "SocialBody(...)"


class ProviderAnswer(msgspec.Struct, frozen=True):
    """A login provider, and where a browser begins."""

    name: str
    login_url: str


class ProvidersAnswer(msgspec.Struct, frozen=True):
    """The login providers of this host."""

    providers: list[ProviderAnswer]


async def sign_in(request: web.Request) -> web.Response:
    """POST /api/v1/auth/social: tokens for a provider's token; a page of our own gets a cookie instead."""
    body, services = routing.body(request, SocialBody), request.app[identity.IDENTITY]
    account = await request.app[doors.DOORS].social.recognise(
        body.provider,
        id_token=body.id_token,
        access_token=body.access_token,
        nonce=body.nonce,
        invite=body.invite,
    )
    subject = Subject(SubjectKind.ACCOUNT, account.id)
    if cookies.is_browser(request):
        response = routing.answer(DoneAnswer(True, "Signed in"), headers=routing.NO_STORE)
        cookies.set_session(request, response, await services.sessions.create(subject, generation=account.generation))
        return response
    pair = await services.refresh.issue(subject, generation=account.generation)
    return routing.answer(TokenAnswer(pair.access_token, pair.refresh_token, pair.expires_in), headers=routing.NO_STORE)


async def list_providers(request: web.Request) -> web.Response:
    """GET /api/v1/auth/social: what a sign-in page offers."""
    names = request.app[doors.DOORS].social.names
    return routing.answer(ProvidersAnswer([ProviderAnswer(name, f"/accounts/{name}/login/") for name in names]))


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/v1/auth/social",
        handler=sign_in,
        access=Access.PUBLIC,
        rate=Rate.AUTH,
        summary="Tokens for a login provider's token.",
        body=SocialBody,
        answer=TokenAnswer,
        errors=(401, 403, 404, 503),
    ),
    Route(
        method="GET",
        path="/api/v1/auth/social",
        handler=list_providers,
        access=Access.PUBLIC,
        rate=Rate.OTHER,
        summary="The login providers that a sign-in page can offer.",
        answer=ProvidersAnswer,
    ),
)
