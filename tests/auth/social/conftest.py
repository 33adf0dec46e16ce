"""A real OpenID provider, identity on a real database, and the client that calls out."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pixlsrve.outbound import Outbound
from tests.oidc import openid

__all__ = ["openid", "outbound"]


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    """The client."""
    async with Outbound() as client:
        yield client
