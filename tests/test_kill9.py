"""A crash at any point loses nothing (DESIGN section 7); `python -m tests.campaigns.kill9` runs 200 rounds of this."""

from __future__ import annotations

from pathlib import Path

from tests.campaigns.kill9 import campaign


def test_ten_kills_in_mid_scan(tmp_path: Path) -> None:
    """T39: after SIGKILL at random moments the databases are sound, the next start needs no hand, and ids stay."""
    report = campaign(tmp_path, rounds=10, seed=20_260_101)
    assert report.is_sound, report
    assert report.rounds == 10
