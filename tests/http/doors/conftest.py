"""Real daemons, and a real OpenID provider."""

from __future__ import annotations

from tests.daemon import daemons
from tests.oidc import openid

__all__ = ["daemons", "openid"]
