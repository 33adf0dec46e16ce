"""Accounts and invitations for admins in the gallery. Admins themselves are made, and unmade, at the terminal (T5)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from pixlsrve.errors import NotFound, NotPermitted
from pixlsrve.http import identity, library, people, routing
from pixlsrve.http.invitation_desk import INVITATIONS, InvitationList, InviteBody, NewInvitation
from pixlsrve.http.people import UserItem
from pixlsrve.http.routing import Access, Handler, Rate, Route
from pixlsrve.model import Account, LibraryAccess, Role


class UsersAnswer(msgspec.Struct, frozen=True):
    """The accounts, the oldest first; `can_invite` says whether anybody could use an invitation."""

    users: list[UserItem]
    can_invite: bool


class NewUserBody(msgspec.Struct, frozen=True):
    """Body of POST /api/v1/users; without `library` the account sees all of it, as at the terminal."""

    username: str
    password: str
    library: LibraryAccess = LibraryAccess.ALL
    roots: Annotated[list[str], Meta(max_length=1_000, description="Names of folders, for `some` only.")] = []

    def __repr__(self) -> str:
        return f"NewUserBody(username={self.username!r})"


class NewPasswordBody(msgspec.Struct, frozen=True):
    """Body of POST /api/v1/users/{user_id}/password."""

    password: str

    def __repr__(self) -> str:
        return "NewPasswordBody()"


class LibraryBody(msgspec.Struct, frozen=True):
    """Body of POST /api/v1/users/{user_id}/library."""

    library: LibraryAccess
    roots: Annotated[list[str], Meta(max_length=1_000, description="Names of folders, for `some` only.")] = []


class DoneAnswer(msgspec.Struct, frozen=True):
    """That it is done."""

    success: bool


async def list_users(request: web.Request) -> web.Response:
    """GET /api/v1/users: the accounts."""
    accounts = request.app[identity.IDENTITY].accounts.list_all()
    return routing.answer(
        UsersAnswer([_shown(request, account) for account in accounts], request.app[INVITATIONS].is_usable)
    )


async def add_user(request: web.Request) -> web.Response:
    """POST /api/v1/users: a new member; no way leads from here to an admin."""
    body = routing.body(request, NewUserBody)
    account = await request.app[identity.IDENTITY].accounts.add(
        body.username, body.password, role=Role.MEMBER, library=body.library, roots=_root_ids(request, body.roots)
    )
    return routing.answer(_shown(request, account), headers=routing.NO_STORE)


async def set_password(request: web.Request) -> web.Response:
    """POST /api/v1/users/{user_id}/password: another password for a member; older tokens and sessions end."""
    body, account = routing.body(request, NewPasswordBody), _member(request)
    account = await request.app[identity.IDENTITY].accounts.set_password(account.id, body.password)
    return routing.answer(_shown(request, account), headers=routing.NO_STORE)


async def set_library(request: web.Request) -> web.Response:
    """POST /api/v1/users/{user_id}/library: what of the library a member sees."""
    body, account = routing.body(request, LibraryBody), _member(request)
    accounts = request.app[identity.IDENTITY].accounts
    account = await accounts.allow(account.id, body.library, _root_ids(request, body.roots))
    return routing.answer(_shown(request, account))


async def remove_user(request: web.Request) -> web.Response:
    """DELETE /api/v1/users/{user_id}: remove a member, and revoke his devices."""
    await request.app[identity.IDENTITY].accounts.remove(_member(request).id)
    return routing.answer(DoneAnswer(True))


async def list_invitations(request: web.Request) -> web.Response:
    """GET /api/v1/invitations: those that nobody has used yet."""
    return routing.answer(await request.app[INVITATIONS].open_ones())


async def invite(request: web.Request) -> web.Response:
    """POST /api/v1/invitations: invite one person."""
    made = await request.app[INVITATIONS].invite(routing.body(request, InviteBody))
    return routing.answer(made, headers=routing.NO_STORE)


async def withdraw(request: web.Request) -> web.Response:
    """DELETE /api/v1/invitations/{number}: end an invitation."""
    await request.app[INVITATIONS].withdraw(request.match_info["number"])
    return routing.answer(DoneAnswer(True))


def _shown(request: web.Request, account: Account) -> UserItem:
    return people.user_item(account, request.app[identity.IDENTITY], request.app[library.ROOTS])


def _root_ids(request: web.Request, names: list[str]) -> set[int]:
    return {people.root_id(name, request.app[library.ROOTS]) for name in names}


def _member(request: web.Request) -> Account:
    """The member that the path names. Raises NotFound, and NotPermitted for an admin."""
    wanted = request.match_info["user_id"].lower()
    for account in request.app[identity.IDENTITY].accounts.list_all():
        if account.uuid != wanted:
            continue
        if account.role is Role.ADMIN:
            raise NotPermitted("Administrators are changed at the host's terminal only: `pixlsrve user`.")
        return account
    raise NotFound("There is no such account.")


_ONE = "/api/v1/users/{user_id}"


def _route(
    method: str,
    path: str,
    handler: Handler,
    summary: str,
    *,
    answer: type[msgspec.Struct],
    body: type[msgspec.Struct] | None = None,
    errors: tuple[int, ...] = (),
) -> Route:
    return Route(
        method=method,
        path=path,
        handler=handler,
        access=Access.ADMIN,
        rate=Rate.OTHER,
        summary=summary,
        body=body,
        answer=answer,
        errors=errors,
    )


ROUTES: tuple[Route, ...] = (
    _route("GET", "/api/v1/users", list_users, "The accounts.", answer=UsersAnswer),
    _route(
        "POST",
        "/api/v1/users",
        add_user,
        "Make an account for a member; admins are made at the terminal.",
        body=NewUserBody,
        answer=UserItem,
        errors=(409, 503),
    ),
    _route(
        "POST",
        f"{_ONE}/password",
        set_password,
        "Give a member another password; older tokens end.",
        body=NewPasswordBody,
        answer=UserItem,
        errors=(404, 503),
    ),
    _route(
        "POST",
        f"{_ONE}/library",
        set_library,
        "Say what of the library a member sees.",
        body=LibraryBody,
        answer=UserItem,
        errors=(404,),
    ),
    _route("DELETE", _ONE, remove_user, "Remove a member and revoke his devices.", answer=DoneAnswer, errors=(404,)),
    _route("GET", "/api/v1/invitations", list_invitations, "Invitations not used yet.", answer=InvitationList),
    _route(
        "POST",
        "/api/v1/invitations",
        invite,
        "Invite one person: by a code, or by an e-mail address for social login.",
        body=InviteBody,
        answer=NewInvitation,
    ),
    _route(
        "DELETE",
        "/api/v1/invitations/{number}",
        withdraw,
        "Withdraw an invitation.",
        answer=DoneAnswer,
        errors=(404,),
    ),
)
