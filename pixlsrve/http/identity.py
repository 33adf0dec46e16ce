"""Identity under its typed keys, and the link that a QR code carries."""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from pixlsrve.auth.service import Identity
from pixlsrve.http.https import Https
from pixlsrve.wg.endpoint import lan_address
from pixlsrve.wg.peers import Peers

_ALL = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  # compared, not bound


class JoinLinks:
    """Makes the URL of `pixlsrve pair` (DESIGN sections 3 and 9). `host` is the address bound, `port` that of HTTP.

    `port` is set when the listener is bound, `https` when there is one that may be on.
    """

    def __init__(self, host: str, host_id: str) -> None:
        self._host = host
        self._host_id = host_id
        self.port = 0
        self.https: Https | None = None

    def url(self, code: str) -> str:
        """An ordinary URL whose fragment, which no browser sends, has the code."""
        facts: dict[str, str] = {"c": code, "h": self._host_id}
        if self.https is not None and self.https.port is not None:
            facts["f"], facts["s"] = self.https.fingerprint or "", str(self.https.port)
        host = lan_address() if self._host in _ALL else self._host
        authority = f"[{host}]" if ":" in host else host
        return f"http://{authority}:{self.port}/pair#{urlencode(facts)}"


IDENTITY = web.AppKey("identity", Identity)
"""Accounts, devices, tokens, pairing."""

TUNNEL = web.AppKey("tunnel", Peers)
"""The devices' tunnel configurations."""

JOIN_LINKS = web.AppKey("join_links", JoinLinks)
"""The URLs that QR codes carry."""
