"""What keeps the tunnel from coming up, as findings: without it phones reach the host at home only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pixlsrve.doctor.finding import Finding


def check_tunnel(faults: Iterable[tuple[str, str, str]]) -> Iterator[Finding]:
    """The faults that `wg.checkup` or `tls.checkup` found: a word for programs, what is wrong, what to do."""
    for check, message, remedy in faults:
        yield Finding(check=check, severity="warning", message=message, remedy=remedy)
