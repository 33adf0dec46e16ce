"""Accounts as admins see them, at the terminal and in the gallery."""

from __future__ import annotations

import msgspec

from pixlsrve.auth.service import Identity
from pixlsrve.errors import InvalidInput
from pixlsrve.http.times import rfc3339, rfc3339_or_none
from pixlsrve.media.roots import Roots
from pixlsrve.model import Account, LibraryAccess, Role


class UserItem(msgspec.Struct, frozen=True, kw_only=True):
    """An account; `id` is what /pisync shows, `roots` the names of the folders that it may see where not all."""

    id: int
    user_id: str
    username: str
    role: Role
    library: LibraryAccess
    roots: list[str]
    has_password: bool
    devices: int
    """How many devices it owns."""
    created_at: str
    last_login_at: str | None


def user_item(account: Account, identity: Identity, roots: Roots) -> UserItem:
    """An account with what belongs to it."""
    names = {root.id: root.name for root in roots}
    return UserItem(
        id=account.id,
        user_id=account.uuid,
        username=account.username,
        role=account.role,
        library=LibraryAccess.ALL if account.role is Role.ADMIN else account.library,
        roots=sorted(names.get(root_id, f"#{root_id}") for root_id in account.roots),
        has_password=account.has_password,
        devices=sum(device.account_id == account.id for device in identity.devices.list_all()),
        created_at=rfc3339(account.created_us),
        last_login_at=rfc3339_or_none(account.last_login_us),
    )


def root_id(text: str, roots: Roots) -> int:
    """The root with this name or path. Raises InvalidInput naming those there are."""
    for root in roots:
        if text in {root.name, str(root.path)} or text.rstrip("/") == str(root.path):
            return root.id
    known = ", ".join(root.name for root in roots)
    raise InvalidInput(f"There is no photo folder {text!r}; there are: {known}.", reason="unknown_root")
