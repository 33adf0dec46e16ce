"""1,000 peers in the kernel's WireGuard: setting, listing and removing them by netlink, against `wg`; prints JSON.

Needs root and a kernel with WireGuard; `python -m tests.qemu --figures` runs it where there is none. Milliseconds,
medians of rounds that take turns. The reference is `wg setconf` and `wg show dump`, process starts included.
`memory_mb` is what a listing of all peers adds to the process, the library included.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import resource
import subprocess
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from benchmarks import harness
from pixlsrve.wg.interface import DesiredPeer, InterfaceSettings
from pixlsrve.wg.kernel import KernelBackend
from pixlsrve.wg.keys import encode_key, make_pair

NETWORK = ipaddress.IPv4Network("198.18.0.0/20")
PEERS = 1_000
NAME, OTHER = f"pb{os.getpid()}a", f"pb{os.getpid()}b"


def peak_mb() -> float:
    """The most memory that this process had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


async def took_ms(work: Coroutine[Any, Any, Any]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    await work
    return (time.perf_counter() - started) * 1e3


def stock_ms(*command: str) -> float:
    """How long one of the stock tools takes."""
    return harness.timed(lambda: subprocess.run(command, check=True, capture_output=True)) * 1e3


async def measure(folder: Path, rounds: int) -> None:
    """Take turns, and print."""
    before_mb = peak_mb()
    backend = KernelBackend()
    address = ipaddress.IPv4Interface("198.18.0.1/20")
    await backend.ensure(InterfaceSettings(name=NAME, private_key=make_pair().private, port=0, address=address))
    wanted = [
        DesiredPeer(public_key=make_pair().public, address=NETWORK.network_address + number + 2)
        for number in range(PEERS)
    ]
    listing = folder / "peers.conf"
    listing.write_text(
        "".join(
            f"[Peer]\nPublicKey = {encode_key(peer.public_key)}\nAllowedIPs = {peer.address}/32\n" for peer in wanted
        )
    )
    stock_ms("ip", "link", "add", OTHER, "type", "wireguard")
    found: dict[str, list[float]] = {name: [] for name in ("set", "list", "remove", "wg_setconf", "wg_show")}
    for _ in range(rounds):
        found["set"].append(await took_ms(backend.apply(put=wanted, remove=[])))
        found["list"].append(await took_ms(backend.peers()))
        found["remove"].append(await took_ms(backend.apply(put=[], remove=[peer.public_key for peer in wanted])))
        found["wg_setconf"].append(stock_ms("wg", "setconf", OTHER, str(listing)))
        found["wg_show"].append(stock_ms("wg", "show", OTHER, "dump"))
    memory_mb = round(peak_mb() - before_mb, 1)
    await backend.tear_down()
    harness.report(
        peers=PEERS,
        rounds=rounds,
        medians_ms={name: harness.median(values) for name, values in found.items()},
        memory_mb=memory_mb,
    )


def main() -> None:
    """Measure, and print one JSON object."""
    parser = harness.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    try:
        with harness.scratch() as folder:
            asyncio.run(measure(folder, options.rounds))
    finally:
        for name in (NAME, OTHER):
            subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)


if __name__ == "__main__":
    main()
