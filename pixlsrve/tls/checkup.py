"""What is wrong with the certificate of HTTPS, found out by looking, without a daemon."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from pixlsrve.config import HttpConfig
from pixlsrve.errors import PixlsrveError
from pixlsrve.tls import certificates
from pixlsrve.tls.keeper import OwnersKeeper

Fault = tuple[str, str, str]
"""A stable word for programs, what is wrong, what to do about it."""
SOON = dt.timedelta(days=14)


def faults(config: HttpConfig, now: dt.datetime) -> Iterator[Fault]:
    """What is wrong with the owner's certificate; the host's own is renewed by itself."""
    if not config.tls or not config.tls_cert:
        return
    keeper = OwnersKeeper(Path(config.tls_cert), Path(config.tls_key))
    try:
        keeper.refresh()
    except PixlsrveError as error:
        yield "certificate", f"HTTPS can't be served: {error.message}", "Mend these files, or take out both settings."
        return
    if keeper.expires_at - now < SOON:
        word = "ended" if keeper.expires_at < now else "ends"
        yield (
            "certificate_old",
            f"The certificate of HTTPS {word} on {keeper.expires_at:%Y-%m-%d}.",
            "Renew it where it comes from; the files of http.tls_cert and http.tls_key are taken anew by themselves.",
        )
    wanted = {name for name in (*config.hosts, urlsplit(config.public_url).hostname or "") if "." in name}
    shown = x509.load_pem_x509_certificate(Path(config.tls_cert).read_bytes())
    names = certificates.subjects_of(shown).names
    missing = sorted(name for name in wanted if not _covers(names, name))
    if missing:
        yield (
            "certificate_names",
            f"The certificate of HTTPS is not for {', '.join(missing)}.",
            "Have one made for all names in http.hosts and http.public_url.",
        )


def _covers(names: frozenset[str], name: str) -> bool:
    """Whether one of the certificate's names is this one, or a wildcard over it (RFC 6125 section 6.4.3)."""
    return name in names or f"*.{name.partition('.')[2]}" in names
