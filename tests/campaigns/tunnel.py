"""Devices come and go while the tunnel's backend is killed at random: database and interface are compared each round.

    python -m tests.campaigns.tunnel --rounds 2000 [--seed N]

prints one JSON object: rounds, how often each thing was done, kills, differences (the run stops at the first one and
says which). It needs root, and works in a network of its own. Beside coming and going there are meddlers: peers and
addresses that somebody else sets on the interface, and rules that somebody flushes. A round ends when the tunnel is up
and has looked; then `wg` must show exactly the peers of the database, each with its own address.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from pixlsrve.model import Device
from pixlsrve.wg.isolation import table_name
from pixlsrve.wg.keys import encode_key, make_pair
from pixlsrve.wg.tunnel import Tunnel
from tests.auth.kit import Kit
from tests.wg import alone

NETWORK = "10.100.0.0/24"
MOST_LIVE = 40
KILLED_SHARE = 0.15
LOOK_LIMIT_S = 60.0


class Difference(AssertionError):
    """The interface is not what the database says."""


@dataclass
class Campaign:
    """One run."""

    kit: Kit
    tunnel: Tunnel
    dice: random.Random
    live: list[Device] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    rounds: int = 0

    async def round(self) -> None:
        """One thing is done, perhaps while the backend dies; then everything must be right."""
        killing = asyncio.create_task(self._kill()) if self.dice.random() < KILLED_SHARE else None
        await self._act()
        if killing is not None:
            await killing
        await self._compare()
        self.rounds += 1

    async def _act(self) -> None:
        joins = not self.live or (len(self.live) < MOST_LIVE and self.dice.random() < 0.5)
        luck = self.dice.random()
        if luck < 0.1:
            await self._meddle()
        elif luck < 0.2 and self.live:
            await self._block(self.dice.choice(self.live))
        elif joins:
            device, _ = await self.kit.pair(f"Phone {self.done['joined']}")
            self.live.append(device)
            self.done["joined"] += 1
        else:
            device = self.live.pop(self.dice.randrange(len(self.live)))
            await self.kit.identity.devices.revoke(device)
            self.done["revoked"] += 1

    async def _block(self, device: Device) -> None:
        """A device's tunnel is ended, or allowed again."""
        is_blocked = any(row.device_id == device.id and row.blocked_us for row in await self.kit.peers.all_rows())
        if is_blocked:
            await self.kit.peers.unblock(device.id)
        else:
            await self.kit.peers.block(device.id, 1, None)
        self.done["unblocked" if is_blocked else "blocked"] += 1

    async def _meddle(self) -> None:
        """Somebody else changes the interface or the rules; the next look puts it right."""
        stranger = encode_key(make_pair().public)
        address = f"10.100.0.{self.dice.randrange(2, 60)}/32"
        command = ["wg", "set", alone.INTERFACE, "peer", stranger, "allowed-ips", address]
        flush = ["nft", "delete", "table", "inet", table_name(alone.INTERFACE)]
        subprocess.run(self.dice.choice((command, flush)), capture_output=True, check=False)
        self.done["meddled"] += 1
        await self.tunnel.refresh()

    async def _kill(self) -> None:
        """SIGKILL at a random moment of what is going on."""
        await asyncio.sleep(self.dice.random() * 0.03)
        pid = alone.backend_pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self.done["killed"] += 1

    async def _compare(self) -> None:
        """What `wg` shows against the database, once the tunnel has come up and looked."""
        until_s, shown, allowed = time.monotonic() + LOOK_LIMIT_S, {"": ""}, await alone.allowed(self.kit.peers)
        while time.monotonic() < until_s:
            await alone.until_up(self.tunnel)
            await self.tunnel.refresh()
            pid = alone.backend_pid()
            shown = await asyncio.to_thread(alone.witness)
            # A kill is noticed a moment later: only what a living backend shows after a look counts.
            if self.tunnel.is_up and pid is not None and pid == alone.backend_pid():
                break
        if shown != allowed:
            raise Difference(f"wg shows {shown}, the database allows {allowed}")


async def run(rounds: int, seed: int) -> dict[str, Any]:
    """The answer."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        async with alone.opened(Path(folder), NETWORK) as kit, alone.running(kit, NETWORK) as tunnel:
            campaign = Campaign(kit, tunnel, random.Random(seed))
            difference = ""
            try:
                while campaign.rounds < rounds:
                    await campaign.round()
            except Difference as error:
                difference = str(error)
    left = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    return {
        "rounds": campaign.rounds,
        "seed": seed,
        **campaign.done,
        "differences": int(bool(difference)),
        "difference": difference or None,
        "left_behind": bool(left.strip() or alone.witness()),
        "seconds": round(time.monotonic() - began_s, 1),
    }


def main() -> None:
    """Run it, and print the answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    alone.leave_the_network()
    answer = asyncio.run(run(options.rounds, options.seed))
    print(json.dumps(answer, indent=2))
    raise SystemExit(1 if answer["differences"] or answer["left_behind"] else 0)


if __name__ == "__main__":
    main()
