"""A short run of the identity campaign, and proof that it would notice."""

from __future__ import annotations

import pytest

from pixlsrve.auth import refresh
from pixlsrve.auth.revocation import Revocation
from pixlsrve.model import Subject
from pixlsrve.store.database import Transaction
from tests.campaigns.identity import campaign


async def test_identity_follows_its_model() -> None:
    """T6, T7, T8: over random steps, deaths included, pairing, refreshing and revoking do what the model says."""
    result = await campaign(600, seed=20_261_121)
    assert result["divergences"] == 0, result
    assert result["deaths"] > 0


async def test_the_campaign_notices_a_wrong_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grace that is longer than promised is found."""
    monkeypatch.setattr(refresh, "GRACE_S", 90)
    assert (await campaign(3_000, seed=1))["divergences"] == 1


async def test_the_campaign_notices_a_forgotten_revocation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A revocation that is applied but not recorded is found after a death."""

    async def nothing(self: Revocation, transaction: Transaction, device_id: int) -> None:
        return None

    monkeypatch.setattr(Revocation, "_record_device", nothing)
    assert (await campaign(3_000, seed=1))["divergences"] == 1


async def test_the_campaign_notices_tokens_that_outlive_their_family(monkeypatch: pytest.MonkeyPatch) -> None:
    """Access tokens that go on after a reuse are found."""

    def always(self: refresh.RefreshTokens, family_id: str, subject: Subject) -> bool:
        return True

    monkeypatch.setattr(refresh.RefreshTokens, "is_live", always)
    assert (await campaign(3_000, seed=1))["divergences"] == 1
