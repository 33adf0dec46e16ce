"""What the checkups of other packages have found, as findings: the tunnel's, the certificate's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pixlsrve.doctor.finding import Finding


def told(faults: Iterable[tuple[str, str, str]]) -> Iterator[Finding]:
    """The faults that `wg.checkup` or `tls.checkup` found: a word for programs, what is wrong, what to do.

    Warnings, since none of them keeps the host from working at home.
    """
    for check, message, remedy in faults:
        yield Finding(check=check, severity="warning", message=message, remedy=remedy)
