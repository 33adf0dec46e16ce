"""A crash in the middle of uploads; `python -m tests.campaigns.uploads` runs 500 rounds of this."""

from __future__ import annotations

from pathlib import Path

from tests.campaigns.uploads import campaign


def test_kills_while_clients_upload(tmp_path: Path) -> None:
    """T21: nothing acknowledged is lost, nothing half-written is visible, and sending again always works."""
    report = campaign(tmp_path, rounds=4, clients=4, seed=20_260_102)
    assert report.is_sound, report
    assert report.rounds == 4
