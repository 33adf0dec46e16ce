"""Who asks, as the host knows it: GET /api/v1/auth/me, by which a page decides what to offer."""

from __future__ import annotations

from typing import Literal

import msgspec
from aiohttp import web

from pixlsrve.http import identity, keys, library, routing
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.model import LibraryAccess, Principal, Role


class MeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks; `name` is the device's or the account's, null for a script's token.

    `username` is the account that signed in or owns the device, null where that is the household.
    """

    kind: Literal["device", "account", "script"]
    role: Role
    name: str | None
    username: str | None
    device_id: str | None
    library: LibraryAccess
    host_id: str
    host_name: str


async def get_me(request: web.Request) -> web.Response:
    """GET /api/v1/auth/me: who asks, and what he may do."""
    asker, host = request[keys.PRINCIPAL], request.app[library.HOST]
    services = request.app[identity.IDENTITY]
    account = None if asker.account_id is None else services.directory.subject_account(asker.account_id)
    username = None if account is None else account.username
    device = None if asker.device_id is None else services.devices.by_uuid(asker.device_id)
    kind: Literal["device", "account", "script"] = "script" if account is None else "account"
    if device is not None:
        kind = "device"
        owner = services.devices.owner(device)
        username = None if owner is None else owner.username
    return routing.answer(
        MeAnswer(
            kind=kind,
            role=asker.role,
            name=username if device is None else device.name,
            username=username,
            device_id=asker.device_id,
            library=_library_of(asker),
            host_id=host.host_id,
            host_name=host.name,
        )
    )


def _library_of(asker: Principal) -> LibraryAccess:
    """How much of the library there is for somebody."""
    if asker.roots is None:
        return LibraryAccess.ALL
    return LibraryAccess.SOME if asker.roots else LibraryAccess.NONE


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/auth/me",
        handler=get_me,
        access=Access.MEMBER,
        rate=Rate.OTHER,
        summary="Who asks: device or account, its role, and the host's name.",
        answer=MeAnswer,
    ),
)
