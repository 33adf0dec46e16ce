"""Where uploads go, under their typed keys."""

from __future__ import annotations

from aiohttp import web

from pixlsrve.errors import NotPermitted
from pixlsrve.http import keys
from pixlsrve.media.uploads.service import Uploads
from pixlsrve.media.uploads.sessions import Sessions
from pixlsrve.model import Principal

UPLOADS = web.AppKey("uploads", Uploads)
"""Takes files in."""

UPLOAD_SESSIONS = web.AppKey("upload_sessions", Sessions)
"""Those that can be resumed."""


def owner_of(principal: Principal) -> str:
    """Whose an upload is: the device's, else the account's. Raises NotPermitted for who sees nothing of the library."""
    if principal.roots == frozenset():
        raise NotPermitted(
            "This account sees nothing of the library, and so may not add to it; an administrator can open it.",
            reason="no_library",
        )
    return principal.device_id or principal.account_id or principal.id


async def check_again(request: web.Request) -> None:
    """Refuse what arrived from somebody who has lost their rights meanwhile (THREATS T7). Raises NotAuthenticated."""
    principal = await request.app[keys.CALLERS].identify_again(request)
    owner_of(principal)
