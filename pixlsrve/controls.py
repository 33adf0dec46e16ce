"""What the control socket lets the commands do: the composition root's answer to `http.control.Controls`."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from dataclasses import dataclass
from typing import Any

from pixlsrve import __version__
from pixlsrve.auth.service import Identity
from pixlsrve.http.flutter.websocket import Broadcast
from pixlsrve.http.https import Https
from pixlsrve.http.reach_desk import ReachDesk
from pixlsrve.http.times import rfc3339, rfc3339_or_none
from pixlsrve.http.tunnel_state import tunnel_facts
from pixlsrve.index.indexer import Indexer
from pixlsrve.index.progress import Stage
from pixlsrve.index.workers import WorkerPool
from pixlsrve.mdns.advertiser import Advertiser
from pixlsrve.media.assets import Library, RootTotals
from pixlsrve.media.roots import Root, Roots
from pixlsrve.model import Role, RootState
from pixlsrve.store.backup.daily import DailyBackups
from pixlsrve.store.tokens import ScriptToken
from pixlsrve.wg.dns.service import TunnelDns
from pixlsrve.wg.tunnel import Tunnel

_DOING = {
    Stage.IDLE: "idle",
    Stage.LISTING: "listing the folders",
    Stage.READING: "reading metadata",
    Stage.DECODING: "making thumbnails",
    Stage.NAMING: "finding the names of places",
}
_COUNTED = (Stage.READING, Stage.DECODING)
DAMAGED_REMEDY = "Check the disk's health; `pixlsrve doctor` says what is left over."


@dataclass(kw_only=True)
class DaemonControls:
    """Reads from, and asks, the running parts."""

    urls: list[str]
    ports: dict[str, int]
    repairs: list[str]
    failing: dict[str, str]
    identity: Identity
    roots: Roots
    indexer: Indexer
    workers: WorkerPool
    library: Library
    https: Https
    advertiser: Advertiser
    broadcast: Broadcast
    reachability: ReachDesk
    tunnel: Tunnel
    dns: TunnelDns
    backups: DailyBackups
    started_s: float

    async def status(self) -> dict[str, Any]:
        """What `pixlsrve status --json` prints."""
        totals = await self.library.root_totals(viewer=None)
        return {
            "version": __version__,
            "pid": os.getpid(),
            "host_id": self.identity.host_id,
            "host_name": socket.gethostname(),
            "uptime_seconds": int(time.monotonic() - self.started_s),
            "urls": self.urls,
            "ports": self.ports,
            "tls": self.https.status(),
            "mdns": self.advertiser.status(),
            "websocket": self.broadcast.status(),
            "wireguard": await tunnel_facts(self.tunnel),
            "dns": self.dns.status(),
            "reachability": await self.reachability.status(),
            "photo_roots": [_root(root, totals.get(root.id, RootTotals())) for root in self.roots],
            "indexing_status": self._indexing(),
            "backup": await asyncio.to_thread(self.backups.status),
            "notices": self.notices(),
        }

    async def start_scan(self, *, full_scan: bool, accept_removals: bool) -> dict[str, Any]:
        """Start a scan, or join the one that waits."""
        ticket = await self.indexer.request_scan(full=full_scan, accept_removals=accept_removals)
        return {
            "scan_id": ticket.scan_id,
            "status": "started",
            "estimated_duration_seconds": ticket.estimated_duration_s,
        }

    async def scan_state(self, scan_id: str) -> dict[str, Any]:
        """How far the indexing is; whichever scan is asked about, it is done when nothing is left to do."""
        return self._indexing()

    async def mint_token(self, *, role: Role, expires_in: int) -> dict[str, Any]:
        """A new bearer token. Raises InvalidInput."""
        token, row = await self.identity.scripts.mint(self.identity.authenticator, role, expires_in)
        return {"token": token, **_token(row)}

    async def list_tokens(self) -> list[dict[str, Any]]:
        """The tokens that work."""
        return [_token(row) for row in self.identity.scripts.list_live()]

    async def revoke_token(self, token_id: str) -> None:
        """Withdraw a token, and end what is open for it. Raises NotFound."""
        await self.identity.scripts.revoke(token_id)
        await self.identity.revocation.apply()

    def line(self) -> str:
        """What the daemon is doing, in one line for `systemctl status`."""
        status = self.indexer.status()
        words = [_DOING[status.stage]]
        if status.stage in _COUNTED and status.total:
            words[0] += f", {status.done:,} of {status.total:,}"
        offline = sum(root.state is RootState.OFFLINE for root in self.roots)
        if offline:
            words.append(f"{offline} of {len(list(self.roots))} folders offline")
        words += [f"{status.photos_indexed:,} photos", f"listening on {self.urls[0]}"]
        if self.tunnel.is_up:
            words.append(f"tunnel up, {self.tunnel.last_connected()} connected")
        if self.failing:
            words.append(f"failing: {', '.join(sorted(self.failing))}")
        return "; ".join(words)

    async def look_again(self) -> None:
        """Take certificates anew where they have changed, and scan; both happen by themselves sooner or later."""
        await self.https.look_again()
        await self.indexer.request_scan()

    def _indexing(self) -> dict[str, Any]:
        """How far the indexing is."""
        status = self.indexer.status()
        return {
            "in_progress": status.in_progress,
            "stage": status.stage.value,
            "done": status.done,
            "total": status.total,
            "eta_seconds": status.eta_seconds,
            "quarantined": status.quarantined,
            "photos_indexed": status.photos_indexed,
            "last_completed": rfc3339_or_none(status.last_completed_us),
        }

    def notices(self) -> list[dict[str, str]]:
        """What is wrong, with the remedy."""
        notices = [{"message": repair, "remedy": DAMAGED_REMEDY} for repair in self.repairs]
        for root in self.roots:
            if root.state is RootState.OFFLINE:
                remedy = (
                    "Connect its disk; if the photos were removed on purpose, run `pixlsrve scan --accept-removals`."
                )
                notices.append({"message": f"The folder {root.path} is offline.", "remedy": remedy})
        for part in (self.workers, self.https, self.advertiser, self.broadcast, self.tunnel, self.dns, self.backups):
            notices += part.notices()
        for name, cause in sorted(self.failing.items()):
            notices.append({"message": f"The part {name} keeps failing ({cause}).", "remedy": "Look into the log."})
        return notices


def _root(root: Root, totals: RootTotals) -> dict[str, Any]:
    """A root as the API's host status shows it."""
    return {
        "path": str(root.path),
        "name": root.name,
        "state": root.state.value,
        "is_uploads": root.is_uploads,
        "total_photos": totals.photo_count,
        "size_bytes": totals.size_bytes,
        "last_scan": rfc3339_or_none(root.last_scan_us),
    }


def _token(row: ScriptToken) -> dict[str, Any]:
    """A token's row, without the token."""
    return {
        "id": row.jti,
        "role": row.role.value,
        "created_at": rfc3339(row.created_us),
        "expires_at": rfc3339(row.expires_us),
    }
