"""Who may ask for what kind of scan."""

from __future__ import annotations

from pixlsrve.errors import NotPermitted
from pixlsrve.model import Principal, Role


def check_may_scan(principal: Principal, accept_removals: bool) -> None:
    """Whoever sees some of the library may have it scanned; only an administrator may have losses accepted.

    Raises NotPermitted.
    """
    if principal.roots == frozenset():
        raise NotPermitted("You see nothing of the library yet; ask the host's owner.", reason="no_library")
    if accept_removals and principal.role is not Role.ADMIN:
        raise NotPermitted("Only an administrator can have removals accepted.", reason="needs_admin")
