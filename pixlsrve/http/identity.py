"""Identity under its typed keys, and the link that a QR code carries."""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from pixlsrve.auth.service import Identity
from pixlsrve.wg.endpoint import lan_address
from pixlsrve.wg.peers import Peers

_ALL = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  # compared, not bound


class JoinLinks:
    """Makes the URL of `pixlsrve pair` (DESIGN sections 3 and 9). `host` is the address bound, `port` that of HTTP.

    `port`, `tls_port` and `fingerprint` (of the certificate) are set when the listeners are bound; the latter two stay
    None without TLS.
    """

    def __init__(self, host: str, host_id: str) -> None:
        self._host = host
        self._host_id = host_id
        self.port = 0
        self.tls_port: int | None = None
        self.fingerprint: str | None = None

    def url(self, code: str) -> str:
        """An ordinary URL whose fragment, which no browser sends, has the code."""
        facts: dict[str, str] = {"c": code, "h": self._host_id}
        if self.fingerprint is not None:
            facts["f"] = self.fingerprint
        if self.tls_port is not None:
            facts["s"] = str(self.tls_port)
        host = lan_address() if self._host in _ALL else self._host
        authority = f"[{host}]" if ":" in host else host
        return f"http://{authority}:{self.port}/pair#{urlencode(facts)}"


IDENTITY = web.AppKey("identity", Identity)
"""Accounts, devices, tokens, pairing."""

TUNNEL = web.AppKey("tunnel", Peers)
"""The devices' tunnel configurations."""

JOIN_LINKS = web.AppKey("join_links", JoinLinks)
"""The URLs that QR codes carry."""
