"""Who may ask for what kind of scan."""

from __future__ import annotations

from pixlsrve.errors import NotPermitted
from pixlsrve.model import Principal, Role


def check_may_accept_removals(principal: Principal, accept_removals: bool) -> None:
    """Anybody may have the library scanned; only an administrator may have losses accepted. Raises NotPermitted."""
    if accept_removals and principal.role is not Role.ADMIN:
        raise NotPermitted("Only an administrator can have removals accepted.", reason="needs_admin")
