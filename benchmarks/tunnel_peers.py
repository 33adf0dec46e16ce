"""Revocation to the peer gone from `wg show`, and 1,000 peers: time to reconcile, and memory; prints JSON.

Needs root, wireguard-go, wireguard-tools and nftables; it works in a network of its own. Revocations are those of the
real identity over a real database that waits for the disk, each one looked for with `wg` until it is gone, whose own
start is part of the time. Reference of the same run: `wg set … peer … remove` to gone, and `wg syncconf` of the same
1,000 peers. Reach: p99 over 200 at most 1 s (THREATS T7). Milliseconds; memory in MB (10^6) of resident pages.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from benchmarks import harness
from pixlsrve.wg.keys import encode_key, make_pair
from pixlsrve.wg.tunnel import Tunnel
from tests.auth.kit import Kit, open_kit
from tests.wg import alone

NETWORK = "10.100.0.0/20"
REVOKED = 200
PEERS = 1_000
REPEATS = 15


async def gone(key: str) -> None:
    """Until `wg` does not show the peer any more."""
    while key in await asyncio.to_thread(alone.witness):
        pass


async def span_ms(work: Callable[[], Awaitable[object]]) -> float:
    """How long it takes."""
    began_s = time.perf_counter()
    await work()
    return (time.perf_counter() - began_s) * 1000


def figures(times: list[float]) -> dict[str, float]:
    """Median, p99, most."""
    ordered = sorted(times)
    at_99 = ordered[min(len(ordered) - 1, round(len(ordered) * 0.99))]
    return {"p50": round(statistics.median(ordered), 1), "p99": round(at_99, 1), "most": round(ordered[-1], 1)}


async def revocations(kit: Kit, tunnel: Tunnel) -> dict[str, dict[str, float]]:
    """Ours and `wg`'s own, in turn."""
    ours, reference = [], []
    for number in range(REVOKED):
        device, _ = await kit.pair(f"Phone {number}")
        row = next(row for row in await kit.peers.all_rows() if row.device_id == device.id)
        key, other = encode_key(row.public_key), encode_key(make_pair().public)
        await tunnel.refresh()

        async def revoke() -> None:
            looking = asyncio.create_task(gone(key))  # noqa: B023  # awaited within this turn
            await kit.identity.devices.revoke(device)  # noqa: B023  # the same
            await looking

        async def remove() -> None:
            await asyncio.to_thread(wg, "peer", other, "remove")  # noqa: B023  # the same
            await gone(other)  # noqa: B023  # the same

        ours.append(await span_ms(revoke))
        wg("peer", other, "allowed-ips", "10.100.15.250/32")
        reference.append(await span_ms(remove))
    return {"ours_ms": figures(ours), "wg_set_ms": figures(reference)}


def wg(*arguments: str) -> None:
    """`wg set`."""
    subprocess.run(["wg", "set", alone.INTERFACE, *arguments], check=True)


def resident_mb(pid: int | str) -> float:
    """VmRSS of proc_pid_status(5)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024 / 1e6


async def many(kit: Kit, tunnel: Tunnel, folder: Path) -> dict[str, object]:
    """1,000 peers from nothing, with nothing to do, and put back after all were removed."""
    before = {"ours": resident_mb("self"), "wireguard_go": resident_mb(alone.backend_pid() or "self")}
    for number in range(PEERS):
        await kit.pair(f"Phone {number}")
    await tunnel.refresh()
    after = {"ours": resident_mb("self"), "wireguard_go": resident_mb(alone.backend_pid() or "self")}
    allowed = await alone.allowed(kit.peers)
    same = alone.witness() == allowed
    file = folder / "peers.conf"
    peers = "".join(f"[Peer]\nPublicKey = {key}\nAllowedIPs = {ip}\n" for key, ip in allowed.items())
    idle, full, reference = [], [], []
    for _ in range(REPEATS):
        idle.append(await span_ms(tunnel.refresh))
        empty(file)
        full.append(await span_ms(tunnel.refresh))
        same = same and alone.witness() == allowed
        empty(file)
        file.write_text(interface_section() + peers)
        reference.append(await span_ms(lambda: asyncio.to_thread(sync, file)))
    return {
        "peers": len(allowed),
        "interface_equals_database": same,
        "reconcile_nothing_to_do_ms": figures(idle),
        "reconcile_all_missing_ms": figures(full),
        "wg_syncconf_all_missing_ms": figures(reference),
        "added_mb": {name: round(after[name] - before[name], 1) for name in before},
        "resident_mb": {name: round(size, 1) for name, size in after.items()},
    }


def interface_section() -> str:
    """What `wg syncconf` needs so that it leaves key and port alone."""
    shown = subprocess.run(["wg", "showconf", alone.INTERFACE], capture_output=True, text=True, check=True).stdout
    return shown.partition("[Peer]")[0]


def empty(file: Path) -> None:
    """Remove all peers."""
    file.touch(0o600)
    file.write_text(interface_section())
    sync(file)


def sync(file: Path) -> None:
    """`wg syncconf`."""
    subprocess.run(["wg", "syncconf", alone.INTERFACE, str(file)], check=True)


async def measure(folder: Path) -> dict[str, object]:
    """Both."""
    for name in ("few", "many"):
        (folder / name).mkdir()
    async with open_kit(folder / "few", network=NETWORK) as kit, alone.running(kit, NETWORK) as tunnel:
        revoked = await revocations(kit, tunnel)
    async with alone.opened(folder / "many", NETWORK) as kit, alone.running(kit, NETWORK) as tunnel:
        return {"revocation": revoked, "thousand": await many(kit, tunnel, folder)}


def main() -> None:
    """Run it, and print the answer."""
    harness.parser(__doc__).parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    alone.leave_the_network()
    with tempfile.TemporaryDirectory() as folder:
        harness.report(**asyncio.run(measure(Path(folder))))


if __name__ == "__main__":
    main()
