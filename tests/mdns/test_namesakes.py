"""Who keeps a name that two hosts announce."""

from __future__ import annotations

from pixlsrve.mdns.namesakes import FORGOTTEN_S, PATIENCE_S, Contest, Verdict

EARLY, OWN, LATE = "pixlsrve-1.local.", "pixlsrve-2.local.", "pixlsrve-3.local."


def test_exactly_one_gives_way() -> None:
    """Of two hosts that hear each other, one gives way at once and the other insists, whichever is asked first."""
    ours, theirs = Contest(OWN), Contest(LATE)
    ours.heard(LATE, 0.0)
    theirs.heard(OWN, 0.0)
    assert (ours.verdict(0.0), theirs.verdict(0.0)) == (Verdict.GIVE_WAY, Verdict.INSIST)


def test_what_was_heard_counts_once() -> None:
    """Nothing heard since the last look: the name is kept, without a word."""
    contest = Contest(OWN)
    assert contest.verdict(0.0) is Verdict.KEEP
    contest.heard(EARLY, 1.0)
    assert contest.verdict(1.0) is Verdict.INSIST
    assert contest.verdict(1.0) is Verdict.KEEP


def test_the_last_one_heard_hides_nobody() -> None:
    """Of several namesakes the one that comes last in order decides, not the one that spoke last."""
    contest = Contest(OWN)
    contest.heard(LATE, 0.0)
    contest.heard(EARLY, 0.0)
    assert contest.verdict(0.0) is Verdict.GIVE_WAY


def test_patience_ends() -> None:
    """Who ought to give way and goes on speaking keeps the name: two hosts never share it for long."""
    contest = Contest(OWN)
    contest.heard(EARLY, 0.0)
    contest.heard(EARLY, PATIENCE_S)
    assert contest.verdict(PATIENCE_S) is Verdict.INSIST
    contest.heard(EARLY, PATIENCE_S + 1)
    assert contest.verdict(PATIENCE_S + 1) is Verdict.GIVE_WAY


def test_an_old_contest_is_forgotten() -> None:
    """A namesake long after another one finds the same patience: both giving way at once would leave the name free."""
    contest = Contest(OWN)
    contest.heard(EARLY, 0.0)
    assert contest.verdict(0.0) is Verdict.INSIST
    later_s = 2 * FORGOTTEN_S
    contest.heard(EARLY, later_s)
    assert contest.verdict(later_s) is Verdict.INSIST
