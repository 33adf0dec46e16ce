"""For campaigns and benchmarks: this process alone in a network of its own, with the tunnel's parts inside it."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from pixlsrve.config import WireguardConfig
from pixlsrve.wg import tunnel as tunnels
from pixlsrve.wg.keys import encode_key
from pixlsrve.wg.peers import Peers
from pixlsrve.wg.tunnel import Tunnel
from pixlsrve.wg.uapi import SOCKETS
from tests.auth.kit import Kit, open_kit

INTERFACE = WireguardConfig().interface
_NEW_NETWORK, _NEW_MOUNTS = 0x40000000, 0x00020000
"""unshare(2)."""


def leave_the_network() -> None:
    """Move this process, which has one thread yet, into a network and a table of mounts of its own. Needs root."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise SystemExit("this needs Linux and root")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NETWORK | _NEW_MOUNTS) != 0:
        raise SystemExit(f"no network of our own: {os.strerror(ctypes.get_errno())}")
    SOCKETS.mkdir(parents=True, exist_ok=True)
    for command in (
        ["mount", "--make-rprivate", "/"],
        ["mount", "-t", "tmpfs", "none", str(SOCKETS)],
        ["ip", "link", "set", "lo", "up"],
    ):
        subprocess.run(command, check=True)


@contextlib.asynccontextmanager
async def running(kit: Kit, network: str) -> AsyncIterator[Tunnel]:
    """The tunnel for the peers of `kit`, up; restarted without much of a pause, however often its backend dies."""
    tunnels.FIRST_PAUSE_S = tunnels.LONGEST_PAUSE_S = 0.02
    tunnel = Tunnel(kit.peers, WireguardConfig(network=network), bus=kit.bus)
    kit.identity.revocation.on_change(tunnel.refresh)
    async with started(tunnel):
        yield tunnel


@contextlib.asynccontextmanager
async def started(tunnel: Tunnel) -> AsyncIterator[None]:
    """The service for the length of the block."""
    task = asyncio.create_task(tunnel.run())
    try:
        await until_up(tunnel)
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


@contextlib.asynccontextmanager
async def opened(folder: Path, network: str) -> AsyncIterator[Kit]:
    """Identity over a database that does not wait for the disk: this is about the tunnel."""
    async with open_kit(folder, network=network, durability="OFF") as kit:
        yield kit


async def until_up(tunnel: Tunnel) -> None:
    """Wait for the tunnel."""
    async with asyncio.timeout(60):
        while not tunnel.is_up:
            await asyncio.sleep(0.002)


def backend_pid() -> int | None:
    """The process of wireguard-go; in a network of our own there is one at most."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            parent = path.with_name("stat").read_text().rpartition(")")[2].split()[1]
            if words[0].endswith(b"wireguard-go") and int(parent) == os.getpid():
                return int(path.parent.name)
    return None


def witness() -> dict[str, str]:
    """Each peer's allowed IPs by its key, as `wg` reads them."""
    command = ["wg", "show", INTERFACE, "allowed-ips"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return dict(line.split("\t", 1) for line in done.stdout.splitlines())


async def allowed(peers: Peers) -> dict[str, str]:
    """What `witness` should say, by the database."""
    return {encode_key(peer.public_key): f"{peer.address}/32" for peer in (await peers.wanted()).values()}
