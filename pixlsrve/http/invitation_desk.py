"""Invitations as admins make them: the control socket's routes, and what the gallery's share with them."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from aiohttp import web
from msgspec import Meta

from pixlsrve.auth.invitations import LIFETIME_S, LONGEST_LIFETIME_S, Invitations
from pixlsrve.errors import InvalidInput, NotFound
from pixlsrve.http import routing
from pixlsrve.http.control import ControlRoute
from pixlsrve.http.inputs import BodyCheck
from pixlsrve.http.times import rfc3339
from pixlsrve.store.invitations import Invitation


class InviteBody(msgspec.Struct, frozen=True):
    """Body of POST /invitations, and of POST /api/v1/invitations; `expires_in` is in seconds."""

    email: str | None = None
    expires_in: Annotated[int, Meta(ge=1, le=LONGEST_LIFETIME_S)] = LIFETIME_S


class InvitationItem(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation that nobody has used yet; `email` is null where a code is the invitation."""

    id: int
    email: str | None
    created_at: str
    expires_at: str


class NewInvitation(InvitationItem, frozen=True, kw_only=True):
    """One just made: its code is shown only now. `links` are where a browser begins, by login provider."""

    code: str | None
    links: list[str]


class InvitationList(msgspec.Struct, frozen=True):
    """The invitations that nobody has used yet."""

    invitations: list[InvitationItem]


class InvitationDesk:
    """Makes, lists and withdraws invitations.

    `can_register` says whether a code lets somebody register with a password; `providers` are the names of the login
    providers, `public_url` is the setting.
    """

    def __init__(
        self, invitations: Invitations, *, can_register: bool, providers: tuple[str, ...], public_url: str
    ) -> None:
        self._invitations = invitations
        self._can_register = can_register
        self._providers = providers
        self._public_url = public_url.rstrip("/")
        self._read_invite = BodyCheck(InviteBody)

    def handlers(self) -> list[ControlRoute]:
        """Method, path and handler of each route."""
        return [
            ("GET", "/invitations", self._list),
            ("POST", "/invitations", self._create),
            ("DELETE", "/invitations/{number}", self._withdraw),
        ]

    @property
    def is_usable(self) -> bool:
        """Whether the settings let anybody use an invitation."""
        return self._can_register or bool(self._providers)

    async def open_ones(self) -> InvitationList:
        """Those that nobody has used yet."""
        return InvitationList([InvitationItem(**_facts(row)) for row in await self._invitations.list_open()])

    async def invite(self, body: InviteBody) -> NewInvitation:
        """A new invitation. Raises InvalidInput for an address that is none, and where nobody could use it."""
        self._check_use(body.email)
        code, row = await self._invitations.create(email=body.email, lifetime_s=body.expires_in)
        # Who has the address needs no code; one that nobody sees can't be stolen either.
        shown = code if body.email is None else None
        return NewInvitation(**_facts(row), code=shown, links=self._links(shown))

    async def withdraw(self, number: str) -> None:
        """End an invitation. Raises NotFound."""
        if not (number.isascii() and number.isdecimal() and len(number) < 16):
            raise NotFound("There is no open invitation of that number.")
        await self._invitations.withdraw(int(number))

    async def _list(self, _: web.Request) -> web.Response:
        return routing.answer(await self.open_ones())

    async def _create(self, request: web.Request) -> web.Response:
        return routing.answer(await self.invite(await self._read_invite(request)))

    async def _withdraw(self, request: web.Request) -> web.Response:
        await self.withdraw(request.match_info["number"])
        return routing.answer({"success": True})

    def _check_use(self, email: str | None) -> None:
        """Refuse an invitation that nobody could use. Raises InvalidInput."""
        if email is not None and not self._providers:
            raise InvalidInput(
                "An e-mail address counts for social login only, and no provider is set up; see [social.NAME] in the "
                "settings, or leave --email away.",
                reason="no_provider",
            )
        if not self._providers and not self._can_register:
            raise InvalidInput(
                'Nobody could use an invitation: set accounts.registration to "invite", or set up a login provider.',
                reason="registration_closed",
            )

    def _links(self, code: str | None) -> list[str]:
        """Where a browser begins, by provider; without http.public_url only the path is known."""
        query = "" if code is None else "?" + urlencode({"invite": code})
        return [f"{self._public_url}/accounts/{name}/login/{query}" for name in self._providers]


def _facts(row: Invitation) -> dict[str, Any]:
    return {
        "id": row.id,
        "email": row.email_key,
        "created_at": rfc3339(row.created_us),
        "expires_at": rfc3339(row.expires_us),
    }


INVITATIONS = web.AppKey("invitation_desk", InvitationDesk)
"""Makes, lists and withdraws invitations."""
