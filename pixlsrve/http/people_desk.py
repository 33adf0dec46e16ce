"""The control socket's routes for accounts and devices: what `pixlsrve user`, `devices` and `revoke` ask for."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from pixlsrve.auth.service import Identity
from pixlsrve.http import routing
from pixlsrve.http.control import ControlRoute
from pixlsrve.http.inputs import BodyCheck
from pixlsrve.http.people import UserItem, root_id, user_item
from pixlsrve.http.times import rfc3339, rfc3339_or_none
from pixlsrve.http.tunnel import tunnel_item
from pixlsrve.media.roots import Roots
from pixlsrve.model import Account, Device, LibraryAccess, Role
from pixlsrve.wg.overview import DeviceTunnel, Overview


class NewUserBody(msgspec.Struct, frozen=True):
    """Body of POST /users."""

    username: str
    password: str
    admin: bool = False

    def __repr__(self) -> str:
        return f"NewUserBody(username={self.username!r})"


class PasswordBody(msgspec.Struct, frozen=True):
    """Body of POST /users/password."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"PasswordBody(username={self.username!r})"


class UserBody(msgspec.Struct, frozen=True):
    """Body of POST /users/find and /users/remove."""

    username: str


class AllowBody(msgspec.Struct, frozen=True):
    """Body of POST /users/allow; `roots` are names or paths of folders, needed with `some` only."""

    username: str
    library: LibraryAccess
    roots: list[str] = []


class RoleBody(msgspec.Struct, frozen=True):
    """Body of POST /users/role."""

    username: str
    role: Role


class DeviceBody(msgspec.Struct, frozen=True):
    """Body of POST /devices/revoke: a number, an id or a name."""

    device: str


class PeopleDesk:
    """Answers about accounts and devices."""

    def __init__(self, identity: Identity, roots: Roots, overview: Overview) -> None:
        self._overview = overview
        self._identity = identity
        self._accounts = identity.accounts
        self._devices = identity.devices
        self._roots = roots
        self._read_new, self._read_password = BodyCheck(NewUserBody), BodyCheck(PasswordBody)
        self._read_user, self._read_allow = BodyCheck(UserBody), BodyCheck(AllowBody)
        self._read_role, self._read_device = BodyCheck(RoleBody), BodyCheck(DeviceBody)

    def handlers(self) -> list[ControlRoute]:
        """Method, path and handler of each route."""
        return [
            ("GET", "/users", self._list_users),
            ("POST", "/users", self._add),
            ("POST", "/users/find", self._find),
            ("POST", "/users/password", self._set_password),
            ("POST", "/users/remove", self._remove),
            ("POST", "/users/allow", self._allow),
            ("POST", "/users/role", self._set_role),
            ("GET", "/devices", self._list_devices),
            ("POST", "/devices/revoke", self._revoke),
        ]

    async def _list_users(self, _: web.Request) -> web.Response:
        return routing.answer({"users": [self._user(account) for account in self._accounts.list_all()]})

    async def _add(self, request: web.Request) -> web.Response:
        body = await self._read_new(request)
        role = Role.ADMIN if body.admin else Role.MEMBER
        return routing.answer(self._user(await self._accounts.add(body.username, body.password, role=role)))

    async def _find(self, request: web.Request) -> web.Response:
        body = await self._read_user(request)
        return routing.answer(self._user(self._accounts.named(body.username)))

    async def _set_password(self, request: web.Request) -> web.Response:
        body = await self._read_password(request)
        account = self._accounts.named(body.username)
        return routing.answer(self._user(await self._accounts.set_password(account.id, body.password)))

    async def _remove(self, request: web.Request) -> web.Response:
        body = await self._read_user(request)
        account = self._accounts.named(body.username)
        shown = self._user(account)
        await self._accounts.remove(account.id)
        return routing.answer(shown)

    async def _allow(self, request: web.Request) -> web.Response:
        body = await self._read_allow(request)
        account = self._accounts.named(body.username)
        roots = {root_id(text, self._roots) for text in body.roots}
        return routing.answer(self._user(await self._accounts.allow(account.id, body.library, roots)))

    async def _set_role(self, request: web.Request) -> web.Response:
        body = await self._read_role(request)
        account = self._accounts.named(body.username)
        return routing.answer(self._user(await self._accounts.set_role(account.id, body.role)))

    async def _list_devices(self, _: web.Request) -> web.Response:
        found = await self._overview.all()
        listed = [self._device(device, found.get(device.id)) for device in self._devices.list_all()]
        return routing.answer({"devices": listed})

    async def _revoke(self, request: web.Request) -> web.Response:
        body = await self._read_device(request)
        device = self._devices.named(body.device)
        shown = self._device(device, (await self._overview.all()).get(device.id))
        await self._devices.revoke(device)
        return routing.answer(shown)

    def _user(self, account: Account) -> UserItem:
        return user_item(account, self._identity, self._roots)

    def _device(self, device: Device, tunnel: DeviceTunnel | None) -> dict[str, Any]:
        owner = self._devices.owner(device)
        return {
            "id": device.id,
            "device_id": device.uuid,
            "device_name": device.name,
            "device_type": device.type,
            "username": None if owner is None else owner.username,
            "role": self._devices.role(device).value,
            "paired_at": rfc3339(device.paired_us),
            "last_seen_at": rfc3339_or_none(device.last_seen_us),
            "tunnel": tunnel_item(tunnel, Role.ADMIN),
        }
